"""Checking somebody else's artifact: every promise is recomputed from its bytes, nothing in it is believed.

Strategy: six levels from the bytes up to the score, each of which passes, fails, or is skipped
where an earlier failure leaves nothing to judge; the reason is always said. The reader refuses a
file with one error, which tells the level that failed. Whatever the bytes are, the answer is a list
of checks and never an error: a file of a newer version, one beyond the limits and one that never
was an artifact fail their structure. Only data, tokenizers and code files that cannot be read
raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ArtifactError, ChecksumMismatch, VerificationError
from ..files.code_files import import_closure
from ..files.ledger import code_rows
from ..format.artifact import Artifact, decode_tensors, read_artifact
from ..format.container.container import checked_section_table
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..progress import StageProgress
from .check import Check, Outcome, judged, skipped
from .evaluation import ScoringOptions, choose_documents, read_scoring_data, score_program
from .interpreter import Interpreter
from .known_splits import SplitMatch, SplitVerdict
from .scorer_checks import check_interpreter

DEFAULT_TOLERANCE = 0.0005  # bits per byte; the difference between two machines' float32 sums is far below it
SCORE_VALUES = (
    "bits_per_byte",
    "standard_error",
    "bits_per_token",
    "perplexity",
    "word_perplexity",
    "tokens",
    "bytes",
    "words",
    "unknown_tokens",
    "hidden_bytes",
    "worse_than_guessing",
    "seconds",
    "tokens_per_second",
)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score an artifact on, and the score that was promised of it.

    data, tokenizer : paths          token shard, UTF-8 text or JSON lines, and the tokenizer
    expected : float or None         promised bits per byte, None to only measure
    tolerance : float                allowed distance from `expected`, in bits per byte
    split : str or None              known split that the data must be; else the one that their files are named like
    the others                       as in `evaluation.ScoringOptions`
    """

    data: str | Path
    tokenizer: str | Path
    expected: float | None = None
    tolerance: float = DEFAULT_TOLERANCE
    sequence_length: int | None = None
    stride: int | None = None
    max_tokens: int | None = None
    split: str | None = None
    splits: Sequence[str | Path] = ()
    threads: int | None = None
    progress: StageProgress | None = None


def verify_artifact(
    data: bytes,
    *,
    cap: int | None = None,
    code_files: Sequence[str | Path] = (),
    score: ScoreRequest | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Check]:
    """Check the bytes of an artifact, whatever they are; one check a level, always in this order.

    structure     every record parses and obeys every rule of the format
    checksums     the stored CRC-32s are those of the header and of every section
    decoding      all tensors decode
    digest        their SHA-256 is the stored one
    size          artifact plus the import closure of `code_files`, in bytes, at most `cap` when given
    score         when asked for: bits per byte, at most `tolerance` from `expected` when given

    Raises DataError when data, tokenizer or code files are at fault.
    """
    file_checks, artifact = _check_file(data, limits)
    tensor_checks, tensors = _check_tensors(artifact)
    checks = [*file_checks, *tensor_checks, _check_size(len(data), code_files, cap)]
    if score is not None:
        checks.append(_check_score(artifact, tensors, score))
    return checks


def _check_file(data: bytes, limits: Limits) -> tuple[list[Check], Artifact | None]:
    """The checks "structure" and "checksums", and the artifact when both pass."""
    try:
        artifact = read_artifact(data, limits)
    except ChecksumMismatch as error:
        return [skipped("structure", "the bytes are not those that were written"), _failed("checksums", error)], None
    except ArtifactError as error:
        return [_failed("structure", error), _checksums_alone(data, limits)], None
    tensors, instructions = len(artifact.directory), len(artifact.program.instructions)
    structure = f"{len(artifact.sections)} sections, {instructions} instructions, {tensors} tensors"
    return [_passed("structure", structure), _checksums_passed(len(artifact.sections))], artifact


def _checksums_alone(data: bytes, limits: Limits) -> Check:
    """The check "checksums" of a file whose structure is at fault, in what they protect or already before them."""
    try:
        return _checksums_passed(len(checked_section_table(data, limits)))
    except ChecksumMismatch as error:
        return _failed("checksums", error)
    except ArtifactError:
        return skipped("checksums", "its sections cannot be found whole")


def _check_tensors(artifact: Artifact | None) -> tuple[list[Check], list[np.ndarray] | None]:
    """The checks "decoding" and "digest", and the tensors when both pass."""
    if artifact is None:
        return [skipped(name, "the file could not be read") for name in ("decoding", "digest")], None
    decoding = _passed("decoding", f"{sum(entry.elements for entry in artifact.directory):,} weights")
    try:
        tensors = decode_tensors(artifact)
    except ChecksumMismatch as error:
        return [decoding, _failed("digest", error)], None
    except ArtifactError as error:
        return [_failed("decoding", error), skipped("digest", "the tensors do not decode")], None
    digest = artifact.digest.hex()
    return [decoding, _passed("digest", f"sha256 {digest}", {"sha256": digest})], tensors


def _check_size(artifact_bytes: int, code_files: Sequence[str | Path], cap: int | None) -> Check:
    """The check "size", which needs no more of the artifact than its length."""
    code_bytes = sum(row.bytes for row in code_rows(import_closure(code_files)))
    total = artifact_bytes + code_bytes
    values = {"artifact_bytes": artifact_bytes, "code_bytes": code_bytes, "total_bytes": total, "cap": cap}
    detail = f"{artifact_bytes:,} artifact + {code_bytes:,} code = {total:,} bytes"
    if cap is None:
        return _passed("size", detail, values)
    detail += f", {abs(cap - total):,} {'within' if total <= cap else 'over'} the cap of {cap:,}"
    return judged("size", total <= cap, detail, values)


def _check_score(artifact: Artifact | None, tensors: list[np.ndarray] | None, request: ScoreRequest) -> Check:
    if artifact is None or tensors is None:
        return skipped("score", "there are no trustworthy tensors to run")
    options = ScoringOptions(
        sequence_length=request.sequence_length,
        stride=request.stride,
        max_tokens=request.max_tokens,
        threads=request.threads,
        progress=request.progress,
        splits=request.splits,
        split=request.split,
    )
    read = read_scoring_data(artifact.program, request.data, request.tokenizer, options)
    try:
        model = Interpreter(artifact.program, tensors)
        read = choose_documents(model, read, options)
        score = score_program(model, read, options)
    except VerificationError as error:
        return Check("score", Outcome.FAILED, str(error))
    asked = check_interpreter(model, read.tokens.ids)
    kept = read.split.verdict is not SplitVerdict.DIFFERENT and asked.outcome is not Outcome.FAILED
    doubts = "".join(f"; {note}" for note in read.notes)
    doubts += f"; the tokenizer does not spell {score.hidden_bytes:,} bytes of the text" if score.hidden_bytes else ""
    doubts += "; worse than guessing" if score.worse_than_guessing else ""
    expected, tolerance = request.expected, request.tolerance
    promise = {"expected_bits_per_byte": expected, "tolerance": tolerance}
    values = (
        {name: getattr(score, name) for name in SCORE_VALUES} | promise | _split_values(read.split) | dict(asked.values)
    )
    doubts += f"; {read.split.detail}; {asked.detail}"
    detail = f"{score.bits_per_byte:.6f} bits per byte on {score.tokens:,} tokens, {score.bytes:,} bytes{doubts}"
    if expected is None:
        return judged("score", kept, detail, values)
    difference = score.bits_per_byte - expected
    detail += f"; {difference:+.6f} from the expected {expected}, tolerance {tolerance}"
    return judged("score", kept and abs(difference) <= tolerance, detail, values)


def _split_values(match: SplitMatch) -> dict[str, object]:
    name = None if match.split is None else match.split.name
    return {"split": name, "split_verdict": match.verdict.value, "data": dict(match.facts)}


def _passed(name: str, detail: str, values: Mapping[str, object] | None = None) -> Check:
    return Check(name, Outcome.PASSED, detail, values or {})


def _checksums_passed(sections: int) -> Check:
    return _passed("checksums", f"the header's and {sections} sections'")


def _failed(name: str, error: ArtifactError) -> Check:
    return Check(name, Outcome.FAILED, str(error), {"rule": error.rule, "offset": error.offset})
