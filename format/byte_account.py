"""The records of an account of bytes: sections, tensors and their terms, what serves them all, and sums of them.

Strategy: rows are facts (inspection.py makes them from an artifact); sums by role and layer, and the exceptions, are
read off the rows when they are asked for, so that they cannot disagree with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..display import ShownByFacts, rows_table
from .identity import Identity
from .program.summary import ProgramSummary
from .tensors.raw_planes import ITEM_BYTES
from .tensors.terms import Alias, LowRank

NO_LAYER = "outside layers"
TOGETHER = "what serves them all"  # the row of the bytes that are no tensor's


@dataclass(frozen=True, slots=True)
class SectionRow:
    """One section of the file; offsets and sizes in bytes."""

    name: str
    codec: str
    offset: int
    stored_bytes: int
    decoded_bytes: int


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream of integers: its codec and the bytes of its payload."""

    number: int
    codec: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TermRow:
    """One term of a tensor: in words, the bytes of its integers and planes, and apart from
    them those of its set.

    set_bytes : int    in stream 0 or, uncompressed, in the directory; both are shared rows and not in `bytes`
    book_bytes : int   of the codewords that it stores; in `bytes`
    raw_bytes : int    of the planes that it stores; in `bytes`, the rest of which is in streams
    members : int      rows, columns or elements of its set, as `members_of` says; 0 of a term without one
    """

    kind: str
    description: str
    bytes: int
    set_bytes: int
    book_bytes: int
    raw_bytes: int = 0
    members: int = 0
    members_of: str = ""


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor; `bytes` are those of its terms, and bits_per_weight is 8 * bytes / elements.

    role, layer            what the program does with it (program/roles.py)
    entropy_bits : float   order-0 entropy of its integers, of raw values that of their bytes plane by plane, bits a
        weight: what a coder without contexts would need
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    description: str
    elements: int
    bytes: int
    terms: tuple[TermRow, ...]
    role: str = ""
    layer: int | None = None
    entropy_bits: float = 0.0

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.bytes / self.elements if self.elements else 0.0  # a checkpoint's tensor may be empty

    @property
    def raw_bits(self) -> int:
        """Bits a weight of its type in the checkpoint; of another type than those that artifacts know, as stored."""
        return 8 * ITEM_BYTES[self.dtype] if self.dtype in ITEM_BYTES else round(self.bits_per_weight)

    @property
    def is_alias(self) -> bool:
        """Whether its weights are stored with another tensor."""
        return self.terms[0].kind == Alias.name


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Tensors together; bits are means over the weights that they store, None where these are stored elsewhere."""

    name: str
    tensors: int
    elements: int
    bytes: int
    bits_per_weight: float | None
    entropy_bits: float | None
    raw_bits: float | None


@dataclass(frozen=True, slots=True)
class SharedRow:
    """Bytes that serve all tensors together; `items` counts what they tell, where that can be counted."""

    name: str
    bytes: int
    items: int | None = None


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """What a tensor stores apart from its main term: rows or columns rescued, single elements corrected, a product."""

    tensor: str
    kind: str
    members: int
    members_of: str
    bytes: int


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(ShownByFacts):
    """What an artifact holds.

    bytes : int                                file size = sum of `tensors` and `shared`
    sections : tuple of SectionRow             in file order; with the header and table they cover the file
    tensors : tuple of TensorRow               in directory order
    streams : tuple of StreamRow               in file order; stream 0 holds step exponents
    metadata : tuple of SharedRow              bytes that say where and how finely values stand, counted
        in other rows already; records in the directory before it is compressed
    """

    format_version: str
    bytes: int
    sha256: str
    header_bytes: int
    sections: tuple[SectionRow, ...]
    tensors: tuple[TensorRow, ...]
    shared: tuple[SharedRow, ...]
    streams: tuple[StreamRow, ...]
    metadata: tuple[SharedRow, ...]
    provenance: Mapping[str, object]
    identity: Identity
    program: ProgramSummary

    def shown_facts(self) -> Mapping[str, str]:
        """Sizes and what the program computes."""
        return {
            "": f"{self.bytes:,} bytes",
            "bits a weight": f"{self.bits_per_weight:.3f}",
            "tensors": f"{len(self.tensors):,}",
            "computes": self.program.words,
        }

    def _repr_html_(self) -> str:
        rows = [
            (row.name, f"{row.tensors:,}", f"{row.elements:,}", f"{row.bytes:,}", _decimals(row.bits_per_weight))
            for row in self.roles
        ]
        return super(Inspection, self)._repr_html_() + rows_table(
            "by role", ("role", "tensors", "weights", "bytes", "bits a weight"), rows
        )

    @property
    def weights(self) -> int:
        """Stored weights; those of aliases are counted once, at their source."""
        return sum(row.elements for row in self.tensors if not row.is_alias)

    @property
    def bits_per_weight(self) -> float:
        """Of the whole file."""
        return 8 * self.bytes / self.weights

    @property
    def roles(self) -> tuple[GroupRow, ...]:
        """The tensors by what the program does with them, the most bytes first."""
        return by_role(self.tensors)

    @property
    def layers(self) -> tuple[GroupRow, ...]:
        """The tensors by layer, those of no one layer first."""
        return by_layer(self.tensors)

    @property
    def exceptions(self) -> tuple[ExceptionRow, ...]:
        """In the order of the directory."""
        return tuple(
            ExceptionRow(row.name, term.kind, term.members, term.members_of, term.bytes + term.set_bytes)
            for row in self.tensors
            for term in row.terms
            if term.members or (term.kind == LowRank.name and len(row.terms) > 1)
        )


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def by_role(rows: Iterable[TensorRow]) -> tuple[GroupRow, ...]:
    """Sums by role, the most bytes first."""
    return tuple(sorted(group_rows(rows, lambda row: row.role), key=lambda row: (-row.bytes, row.name)))


def by_layer(rows: Iterable[TensorRow]) -> tuple[GroupRow, ...]:
    """Sums by layer, those of no one layer first."""
    ordered = sorted(rows, key=lambda row: -1 if row.layer is None else row.layer)
    return tuple(group_rows(ordered, lambda row: NO_LAYER if row.layer is None else f"layer {row.layer}"))


def group_rows(rows: Iterable[TensorRow], key: Callable[[TensorRow], str]) -> list[GroupRow]:
    """Sums of tensors by a key, in the order of their first."""
    groups: dict[str, list[TensorRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [_group_row(name, members) for name, members in groups.items()]


def _group_row(name: str, rows: Sequence[TensorRow]) -> GroupRow:
    stored = [row for row in rows if not row.is_alias]
    elements, size = sum(row.elements for row in stored), sum(row.bytes for row in rows)

    def mean(bits: Callable[[TensorRow], float]) -> float | None:
        return sum(bits(row) * row.elements for row in stored) / elements if elements else None

    coded = 8 * size / elements if elements else None
    entropy, raw = mean(lambda row: row.entropy_bits), mean(lambda row: row.raw_bits)
    return GroupRow(name, len(rows), elements, size, coded, entropy, raw)
