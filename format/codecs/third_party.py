"""Integer codecs of other people, offered by installed packages as entry points of the group `bytecap.codecs`.

Strategy: wire ids from PRIVATE are given to nobody, so an artifact with one is read where a package that knows it is
installed, and refused as unsupported elsewhere. Packages are looked through once a process, when such an id is first
met. What is offered is held to what a codec must do: whatever it raises, and whatever it gives that is not what was
asked for, becomes one error that names the package.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArtifactError, UnsupportedArtifact
from ..plug_ins import PlugIn, installed_plug_ins
from .integer_codec import ExpectedScales, IntegerCodec
from .outcomes import check_magnitudes
from .registry import INTEGER_CODECS

GROUP = "bytecap.codecs"
PRIVATE = range(128, 256)
PARTS = ("wire_id", "name", "encode", "decode")
NAMED = 2  # tensors in an error


def codec_of(wire_id: int) -> type[IntegerCodec] | GuardedCodec:
    """The codec of a wire id, ours or of an installed package; KeyError for one that nobody knows."""
    return INTEGER_CODECS[wire_id] if wire_id in INTEGER_CODECS else installed_codecs()[wire_id]


def unknown_codec(wire_id: int) -> str:
    """Why a wire id cannot be decoded here; empty when it can."""
    if wire_id in INTEGER_CODECS or (wire_id in PRIVATE and wire_id in installed_codecs()):
        return ""
    if wire_id not in PRIVATE:
        return f"integer codec {wire_id}, this version knows {sorted(INTEGER_CODECS)}"
    broken = "".join(f"; {found.sentence}" for found in offered_codecs() if found.fault)
    return f"integer codec {wire_id} is of a package that is not installed{broken}"


@functools.cache
def offered_codecs() -> tuple[PlugIn, ...]:
    """Every codec that an installed package offers, with what is wrong with it."""
    return tuple(installed_plug_ins(GROUP, "codec", _fault))


@functools.cache
def installed_codecs() -> Mapping[int, GuardedCodec]:
    """By wire id, those that can be used."""
    return {each.thing.wire_id: GuardedCodec(each) for each in offered_codecs() if not each.fault}


def _fault(codec: Any, others: Sequence[Any]) -> str:
    """Why a codec cannot stand beside others; empty when it can."""
    missing = [part for part in PARTS if not hasattr(codec, part)]
    if missing:
        return f"it lacks {', '.join(missing)} of a codec"
    if type(codec.wire_id) is not int or codec.wire_id not in PRIVATE:
        return f"its wire_id must be a number from {PRIVATE.start} to {PRIVATE.stop - 1}, which are left to packages"
    if not isinstance(codec.name, str) or not codec.name:
        return "its name must be a string"
    for other in (*INTEGER_CODECS.values(), *others):
        for part in ("wire_id", "name"):
            if getattr(other, part) == getattr(codec, part):
                return f"the codec {other.name!r} has the {part} {getattr(codec, part)!r} already"
    return ""


class CodecFault(UnsupportedArtifact):
    """What is wrong with a codec of another package; `matrix` is the number of the one in its stream that it fails on,
    None where that is not known.
    """

    def __init__(self, message: str, offset: int | None = None, where: str = "", matrix: int | None = None) -> None:
        self.matrix = matrix
        super().__init__(message, rule="R-STR-2", offset=offset, where=where)

    def of(self, tensors: Sequence[str]) -> CodecFault:
        """The same fault with the tensors that the matrices of the stream are of."""
        names = list(dict.fromkeys(tensors if self.matrix is None else tensors[self.matrix : self.matrix + 1]))
        more = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
        told = f"{', '.join(map(repr, names[:NAMED]))}{more}"
        if not names:
            return self
        return CodecFault(f"{self.message}, on {told}", self.offset, self.where, self.matrix)


@dataclass(frozen=True)
class GuardedCodec:
    """A codec of another package, whose faults are told apart from those of the bytes."""

    offered: PlugIn

    @property
    def wire_id(self) -> int:
        return self.offered.thing.wire_id

    @property
    def name(self) -> str:
        return self.offered.thing.name

    @property
    def described(self) -> str:
        """Whose it is, in words."""
        return f"the codec {self.name!r} of the package {self.offered.package}"

    def encode(self, matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes:
        """As of every codec; CodecFault when it fails otherwise, or gives something else."""
        for codes in matrices:
            check_magnitudes(codes)
        try:
            payload = self.offered.thing.encode(matrices, scales)
        except Exception as error:  # whatever other people's modules raise
            what = f"fails to encode ({type(error).__name__}: {error})"
            raise self._failed(what, matrix=self._first_failing(matrices, scales)) from error
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise self._failed(f"gives {type(payload).__name__} where bytes were asked for")
        return bytes(payload)

    def _first_failing(self, matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> int | None:
        """The first matrix that it cannot encode by itself."""
        for number, pair in enumerate(zip(matrices, scales, strict=True)):
            try:
                self.offered.thing.encode([pair[0]], [pair[1]])
            except Exception:  # the one that is looked for
                return number
        return None

    def decode(
        self, payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]:
        """As of every codec; CodecFault when it fails otherwise, or gives something else."""
        try:
            matrices, ends = self.offered.thing.decode(payload, scales, offset=offset, where=where)
            matrices, ends = [np.asarray(codes) for codes in matrices], [int(end) for end in ends]
            for codes in matrices:
                check_magnitudes(codes)
        except ArtifactError:
            raise
        except Exception as error:  # whatever other people's modules raise
            raise self._failed(f"fails ({type(error).__name__}: {error})", offset, where) from error
        wanted = [(scale.rows.size, scale.columns.size) for scale in scales]
        given = [codes.shape for codes in matrices]
        if given != wanted or len(ends) != len(wanted) or any(codes.dtype != np.int32 for codes in matrices):
            raise self._failed("gives no int32 matrices of the sizes asked for", offset, where)
        return [np.require(codes, requirements=["C", "W", "O"]) for codes in matrices], ends  # weights take their place

    def _failed(self, what: str, offset: int | None = None, where: str = "", matrix: int | None = None) -> CodecFault:
        return CodecFault(f"{self.described} {what}", offset, where, matrix)
