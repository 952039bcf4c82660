"""Checking somebody else's artifact: every promise is recomputed from its bytes, nothing in it is believed.

Strategy: a straight list of checks from the bytes up to the score; one that fails ends the list where the later ones
would have no meaning. Only the artifact's faults become failed checks: unreadable data or code files raise, and so does a file
that is no artifact, or one that this reader does not know or was told to be too small for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import (
    ArtifactError,
    ChecksumMismatch,
    DataError,
    LimitExceeded,
    NotAnArtifact,
    UnsupportedArtifact,
    VerificationError,
)
from ..files.code_files import import_closure
from ..files.ledger import build_ledger
from ..format.artifact import Artifact, decode_tensors, read_artifact, write_artifact
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..progress import StageProgress
from .evaluation import evaluate_program

CANNOT_JUDGE = (NotAnArtifact, UnsupportedArtifact, LimitExceeded)
DEFAULT_TOLERANCE = 0.0005  # bits per byte; the difference between two machines' float32 sums is far below it


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and whether it is kept; `values` are its numbers, for machines."""

    name: str
    passed: bool
    detail: str
    values: Mapping[str, object] = field(default_factory=dict)


def verify_artifact(
    data: bytes,
    *,
    cap: int | None = None,
    code_files: Sequence[str | Path] = (),
    data_path: str | Path | None = None,
    tokenizer_path: str | Path | None = None,
    expected_bits_per_byte: float | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    sequence_length: int | None = None,
    stride: int | None = None,
    max_tokens: int | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: StageProgress | None = None,
) -> list[Check]:
    """Check the bytes of an artifact; the checks in the order made.

    structure, checksums       it parses, obeys every rule, and its stored CRC-32s are those of its sections
    canonical                  it is the one encoding of its content: write(read(b)) == b
    decoding, digest           all tensors decode, and to the SHA-256 that was stored
    size                       artifact plus the import closure of `code_files`, in bytes, at most `cap` when given
    score                      with `data_path` and `tokenizer_path`: bits per byte, at most `tolerance` from
                               `expected_bits_per_byte` when given

    Raises NotAnArtifact, UnsupportedArtifact or LimitExceeded where nothing can be said about the promises; DataError
    when data, tokenizer or code files are at fault or one of data and tokenizer is missing.
    """
    if (data_path is None) != (tokenizer_path is None) or (expected_bits_per_byte is not None and data_path is None):
        raise DataError(
            "a score needs both data and their tokenizer; give both, or neither and no expected bits per byte"
        )
    checks, artifact = _check_structure(data, limits)
    if artifact is None:
        return checks
    checks.append(_check_canonical(data, artifact))
    decoded, tensors = _check_tensors(artifact)
    checks += decoded
    checks.append(_check_size(data, code_files, cap))
    if tensors is not None and data_path is not None:
        options = {
            "sequence_length": sequence_length,
            "stride": stride,
            "max_tokens": max_tokens,
            "threads": threads,
            "progress": progress,
        }
        checks.append(
            _check_score(artifact, tensors, data_path, tokenizer_path, expected_bits_per_byte, tolerance, options)
        )
    return checks


def _check_structure(data: bytes, limits: Limits) -> tuple[list[Check], Artifact | None]:
    try:
        artifact = read_artifact(data, limits)
    except CANNOT_JUDGE:
        raise
    except ChecksumMismatch as error:
        return [_failed("checksums", error)], None
    except ArtifactError as error:
        return [_failed("structure", error)], None
    tensors, instructions = len(artifact.directory), len(artifact.program.instructions)
    structure = f"{len(artifact.sections)} sections, {instructions} instructions, {tensors} tensors"
    checksums = f"the header's and {len(artifact.sections)} sections'"
    return [Check("structure", True, structure), Check("checksums", True, checksums)], artifact


def _failed(name: str, error: ArtifactError) -> Check:
    return Check(name, False, str(error), {"rule": error.rule, "offset": error.offset})


def _check_canonical(data: bytes, artifact: Artifact) -> Check:
    written = write_artifact(artifact)
    detail = "writing it again gives the same bytes"
    if written != data:
        place = next(
            (i for i, (a, b) in enumerate(zip(written, data, strict=False)) if a != b), min(len(written), len(data))
        )
        detail = f"writing it again gives other bytes from offset 0x{place:04x} on"
    return Check("canonical", written == data, detail)


def _check_tensors(artifact: Artifact) -> tuple[list[Check], list[np.ndarray] | None]:
    """The checks "decoding" and "digest", and the tensors when both pass."""
    decoding = Check("decoding", True, f"{sum(entry.elements for entry in artifact.directory):,} weights")
    try:
        tensors = decode_tensors(artifact)
    except CANNOT_JUDGE:
        raise
    except ChecksumMismatch as error:
        return [decoding, _failed("digest", error)], None
    except ArtifactError as error:
        return [_failed("decoding", error)], None
    digest = artifact.digest.hex()
    return [decoding, Check("digest", True, f"sha256 {digest}", {"sha256": digest})], tensors


def _check_size(data: bytes, code_files: Sequence[str | Path], cap: int | None) -> Check:
    ledger = build_ledger(data, import_closure(code_files), cap)
    values = {
        "artifact_bytes": ledger.artifact_bytes,
        "code_bytes": ledger.code_bytes,
        "total_bytes": ledger.total_bytes,
        "cap": cap,
    }
    detail = f"{ledger.artifact_bytes:,} artifact + {ledger.code_bytes:,} code = {ledger.total_bytes:,} bytes"
    if cap is not None:
        side = "within" if ledger.fits else "over"
        detail += f", {abs(cap - ledger.total_bytes):,} {side} the cap of {cap:,}"
    return Check("size", ledger.fits, detail, values)


def _check_score(
    artifact: Artifact,
    tensors: list[np.ndarray],
    data_path: str | Path,
    tokenizer_path: str | Path,
    expected: float | None,
    tolerance: float,
    options: Mapping[str, object],
) -> Check:
    try:
        score = evaluate_program(artifact.program, tensors, data_path, tokenizer_path, **options)
    except VerificationError as error:
        return Check("score", False, str(error))
    names = ("bits_per_byte", "bits_per_token", "tokens", "bytes", "unknown_tokens", "seconds", "tokens_per_second")
    values = {name: getattr(score, name) for name in names} | {
        "expected_bits_per_byte": expected,
        "tolerance": tolerance,
    }
    detail = f"{score.bits_per_byte:.6f} bits per byte on {score.tokens:,} tokens, {score.bytes:,} bytes"
    if expected is None:
        return Check("score", True, detail, values)
    difference = score.bits_per_byte - expected
    detail += f"; {difference:+.6f} from the expected {expected}, tolerance {tolerance}"
    return Check("score", abs(difference) <= tolerance, detail, values)
