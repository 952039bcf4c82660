"""Checking somebody else's artifact: every promise is recomputed from its bytes, nothing in it is believed.

Strategy: six levels from the bytes up to the score, each of which passes, fails, or is skipped
where nothing was asked or an earlier failure leaves nothing to judge; the reason is always said. The
reader refuses a file with one error, which tells the level that failed. Whatever the bytes are, the
answer is a list of checks and never an error: a file of a newer version, one beyond the limits and
one that never was an artifact fail their structure. Only data, tokenizers and code files that cannot
be read raise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import ArtifactError, BudgetError, ChecksumMismatch, VerificationError
from ..files.code.closure_records import is_own_package
from ..files.code_files import closure_notes, counted_files, script_closure
from ..files.ledger import code_rows
from ..format.artifact import Artifact, decode_tensors, read_artifact
from ..format.container.container import checked_section_table
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..progress import Progress, StageProgress
from .bounded_scoring import bound_scoring
from .check import Check, Outcome, judged, skipped
from .evaluation import ScoringOptions, choose_documents, read_scoring_data, score_program
from .identity import compare_tokenizer, described
from .interpreter import Interpreter
from .known_splits import SplitMatch, SplitVerdict
from .score import Score, what_hiding_does
from .scorer_checks import check_interpreter
from .scoring_budget import NO_BUDGET, ScoringBudget, check_program_memory
from .tokenizers import Tokenizer, load_tokenizer

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
    "unscored_tokens",
    "sequence_length",
    "stride",
    "rows_without_piece",
    "probability_without_piece",
    "worse_than_guessing",
    "tokens_per_second",
)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score an artifact on, and the score that was promised of it.

    data : path or several           token shards, UTF-8 texts or JSON lines; a pattern, or "-" for standard input
    expected : float or None         promised bits per byte, None to only measure
    tolerance : float                allowed distance from `expected`, in bits per byte
    split : str or None              known split that the data must be; else the one that their files are named like
    the others                       as in `evaluation.ScoringOptions`; a score beyond `budget` is a failed check
    """

    data: str | Path | Sequence[str | Path]
    expected: float | None = None
    tolerance: float = DEFAULT_TOLERANCE
    sequence_length: int | None = None
    stride: int | None = None
    max_tokens: int | None = None
    split: str | None = None
    splits: Sequence[str | Path] = ()
    threads: int | None = None
    progress: StageProgress | None = None
    reading: Progress | None = None
    budget: ScoringBudget = NO_BUDGET


LEVELS = ("structure", "checksums", "ledger", "decode", "identity", "score")


def verify_artifact(
    data: bytes,
    *,
    cap: int | None = None,
    code_files: Sequence[str | Path] = (),
    tokenizer: str | Path | None = None,
    other_tokenizer: bool = False,
    score: ScoreRequest | None = None,
    limits: Limits = DEFAULT_LIMITS,
    file_bytes: int | None = None,
) -> list[Check]:
    """Check the bytes of an artifact, whatever they are; one check for each of LEVELS, always in this order.

    structure     every record parses and obeys every rule of the format
    checksums     the stored CRC-32s are those of the header and of every section
    ledger        artifact plus the import closure of `code_files`, in bytes, at most `cap` when given
    decode        all tensors decode, and their SHA-256 is the stored one
    identity      `tokenizer` is the one that the artifact was made with; with `other_tokenizer` it need not be
    score         when asked for: bits per byte, at most `tolerance` from `expected` when given

    `file_bytes` is the size of the file, where `data` are only as much of it as shows that it is no artifact.
    Behind the ledger stands the check `decoder` when the code imports bytecap, which is then not counted.
    Each check has the seconds that it took. Raises DataError when data, tokenizer or code files are at fault.
    """
    clock = Clock()
    checksums = clock.timed(_check_checksums(data, limits))
    structure, artifact = _check_structure(data, limits, checksums)
    checks = [clock.timed(structure), checksums]
    checks += [clock.timed(check) for check in _check_ledger(file_bytes or len(data), code_files, cap)]
    decode, tensors = _check_decode(artifact)
    checks.append(clock.timed(decode))
    loaded = None if tokenizer is None else load_tokenizer(tokenizer)
    identity = clock.timed(_check_identity(artifact, loaded, other_tokenizer))
    if score is None:
        found = skipped("score", "no data were given")
    elif artifact is None or tensors is None:
        found = skipped("score", "there are no trustworthy tensors to run")
    elif identity.failed:
        found = skipped("score", "it would be that of another tokenizer's bytes; --other-tokenizer scores all the same")
    else:
        found = _check_score(artifact, tensors, loaded, score, other_tokenizer)
    return [*checks, identity, clock.timed(found)]


class Clock:
    """Seconds from one check to the next."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def timed(self, check: Check) -> Check:
        """The check with the seconds since the one before."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return replace(check, seconds=seconds)


def _check_checksums(data: bytes, limits: Limits) -> Check:
    """The check "checksums", also of a file whose structure is at fault, in what they protect or before them."""
    try:
        return _passed("checksums", f"the header's and {len(checked_section_table(data, limits))} sections'")
    except ChecksumMismatch as error:
        return _failed("checksums", error)
    except ArtifactError:
        return skipped("checksums", "its sections cannot be found whole")


def _check_structure(data: bytes, limits: Limits, checksums: Check) -> tuple[Check, Artifact | None]:
    """The check "structure", and the artifact when it passes."""
    if checksums.outcome is Outcome.FAILED:
        return skipped("structure", "the bytes are not those that were written"), None
    try:
        artifact = read_artifact(data, limits)
    except ArtifactError as error:
        return _failed("structure", error), None
    tensors, instructions = len(artifact.directory), len(artifact.program.instructions)
    return _passed(
        "structure", f"{len(artifact.sections)} sections, {instructions} instructions, {tensors} tensors"
    ), artifact


def _check_ledger(artifact_bytes: int, code_files: Sequence[str | Path], cap: int | None) -> list[Check]:
    """The check "ledger", which needs no more of the artifact than its length, and "decoder" where it is called for."""
    closure = script_closure(code_files)
    code_bytes = sum(row.bytes for row in code_rows(counted_files(closure)))
    total = artifact_bytes + code_bytes
    decoders = [missing for missing in closure.missing if is_own_package(missing)]
    others = [missing for missing in closure.missing if missing not in decoders]
    notes = closure_notes(replace(closure, missing=others))
    values = {"artifact_bytes": artifact_bytes, "code_bytes": code_bytes, "total_bytes": total, "cap": cap}
    detail = f"{artifact_bytes:,} artifact + {code_bytes:,} code = {total:,} bytes"
    if cap is not None:
        detail += f", {abs(cap - total):,} {'within' if total <= cap else 'over'} the cap of {cap:,}"
    detail = "; ".join([detail, *notes])
    ledger = judged("ledger", cap is None or total <= cap, detail, {**values, "code_notes": notes})
    return [ledger, *([_decoder_note([missing.place for missing in decoders])] if decoders else [])]


def _decoder_note(places: Sequence[str]) -> Check:
    """The check "decoder": whether a package may be imported without being counted is for a challenge's rules."""
    what = "imports bytecap, whose decoder is not among the counted files"
    detail = f"{', '.join(places)} {what}; `bytecap pack` makes a folder that decodes by itself"
    return Check("decoder", Outcome.NOTED, detail, {"places": list(places)})


def _check_decode(artifact: Artifact | None) -> tuple[Check, list[np.ndarray] | None]:
    """The check "decode", and the tensors when it passes."""
    if artifact is None:
        return skipped("decode", "the file could not be read"), None
    try:
        check_program_memory(artifact.program, artifact.directory, NO_BUDGET)
        tensors = decode_tensors(artifact)
    except ArtifactError as error:
        return _failed("decode", error), None
    except BudgetError as error:
        return Check("decode", Outcome.FAILED, str(error)), None
    weights, digest = sum(entry.elements for entry in artifact.directory), artifact.digest.hex()
    values = {"weights": weights, "sha256": digest}
    return _passed("decode", f"{weights:,} weights, sha256 {digest}", values), tensors


def _check_identity(artifact: Artifact | None, tokenizer: Tokenizer | None, other: bool) -> Check:
    if artifact is None:
        return skipped("identity", "the file could not be read")
    if tokenizer is None:
        stored = artifact.identity
        own = "names none" if stored.pieces is None else f"was made with one of {described(stored)}"
        check = skipped("identity", f"no tokenizer was given; the artifact {own}")
        return replace(check, values={"stored": stored.values, "given": None})
    check = compare_tokenizer(artifact.identity, artifact.program.vocabulary_size, tokenizer)
    if check.outcome is Outcome.FAILED and other:
        return replace(check, outcome=Outcome.SKIPPED, detail=f"another tokenizer was wanted: {check.detail}")
    return check


def _check_score(
    artifact: Artifact,
    tensors: list[np.ndarray],
    tokenizer: Tokenizer | None,
    request: ScoreRequest,
    other_tokenizer: bool,
) -> Check:
    options = ScoringOptions(
        sequence_length=request.sequence_length,
        stride=request.stride,
        max_tokens=request.max_tokens,
        threads=request.threads,
        progress=request.progress,
        reading=request.reading,
        splits=request.splits,
        split=request.split,
        other_tokenizer=other_tokenizer,
        budget=request.budget,
    )
    read = read_scoring_data(artifact.program, request.data, tokenizer, options)
    try:
        model, options, _ = bound_scoring(Interpreter(artifact.program, tensors, names=artifact.names), read, options)
        read = choose_documents(model, read, options)
        score = score_program(model, read, options)
        asked = check_interpreter(model, read.tokens.ids)
    except (VerificationError, BudgetError) as error:
        return Check("score", Outcome.FAILED, str(error))
    kept = read.split.verdict is not SplitVerdict.DIFFERENT and asked.outcome is not Outcome.FAILED
    doubts = "".join(f"; {note}" for note in read.notes)
    if score.hidden_bytes:
        doubts += f"; the tokenizer does not spell {score.hidden_bytes:,} bytes of the text{what_hiding_does(score)}"
    doubts += what_is_missing(score)
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


def what_is_missing(score: Score) -> str:
    """What bits per byte stand on beside the text: windows, and tokens and rows that have no piece."""
    found = f"; in windows of {score.sequence_length:,} tokens"
    found += f"; {score.unscored_tokens:,} tokens left out" if score.unscored_tokens else ""
    found += f"; {score.unknown_tokens:,} tokens are the unknown piece" if score.unknown_tokens else ""
    if score.rows_without_piece:
        share = f"{100 * score.probability_without_piece:.2g} % of the probability"
        found += f"; {score.rows_without_piece:,} rows without a piece get {share}"
    return found + ("; worse than guessing" if score.worse_than_guessing else "")


def _split_values(match: SplitMatch) -> dict[str, object]:
    name = None if match.split is None else match.split.name
    return {"split": name, "split_verdict": match.verdict.value, "data": dict(match.facts)}


def _passed(name: str, detail: str, values: Mapping[str, object] | None = None) -> Check:
    return Check(name, Outcome.PASSED, detail, values or {})


def _failed(name: str, error: ArtifactError) -> Check:
    return Check(name, Outcome.FAILED, str(error), {"rule": error.rule, "offset": error.offset})
