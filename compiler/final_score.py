"""The score at the end of a compile: bits per byte of the artifact and of its checkpoint on the same evaluation tokens.

Strategy: the text is read before the work, so that what is wrong with it is told at once, and scored after it, when
nothing else of the compile is in memory; the checkpoint is read again for it. So that it stays quick beside the
compile, only the first tokens are scored. What cannot be scored says why and spoils nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, VerificationError
from ..format.artifact import decode_tensors, read_artifact
from ..format.program.program import Program
from ..progress import Progress, stage_of
from ..runtime.data_files import Content, inspect_data
from ..runtime.evaluation import ScoringData, ScoringOptions, choose_documents, read_scoring_data, score_program
from ..runtime.interpreter import Interpreter
from ..runtime.scoring import Score, paired_gap, target_count
from ..runtime.tokenizers import load_tokenizer
from ..runtime.tokens import read_tokens
from .model.model import Model

EVALUATION_TOKENS = 16_384  # a score that is told within a few thousandths of a bit per byte, in seconds to minutes
LEAST_SEQUENCES = 2  # that a standard error needs


@dataclass(frozen=True, slots=True)
class EvaluationText:
    """What is scored at the end.

    paths            as they were given
    data : ScoringData or None    None where it cannot be scored; `notes` say why
    limit : int                   tokens that are scored, at most
    """

    paths: tuple[str, ...]
    data: ScoringData | None
    limit: int
    notes: tuple[str, ...]


def read_evaluation(
    program: Program,
    evaluation: Sequence[Path | str],
    tokenizer: Path | str | None,
    tokens: int | None,
    progress: Progress | None = None,
) -> EvaluationText | None:
    """The evaluation text that will be scored; None where there is none.

    tokens : how many are scored at most; by default EVALUATION_TOKENS, or LEAST_SEQUENCES where those are longer

    Raises DataError for a tokenizer that did not make the tokens, and for data at fault otherwise.
    """
    if not evaluation:
        return None
    paths, length = tuple(map(str, evaluation)), program.sequence_length
    limit = max(EVALUATION_TOKENS, LEAST_SEQUENCES * length) if tokens is None else tokens
    if len({inspect_data(path).content is Content.SHARD for path in paths}) > 1:
        return EvaluationText(paths, None, limit, ("they are token shards and texts; score files of one kind",))
    loaded = None if tokenizer is None else load_tokenizer(tokenizer)
    sizes = program.vocabulary_size, program.boundary_token
    found = read_tokens(paths, loaded, *sizes, max_tokens=limit, progress=progress)
    try:
        target_count(found, length, limit)
    except DataError as error:
        return EvaluationText(paths, None, limit, (str(error),))
    data = read_scoring_data(program, paths, loaded, ScoringOptions(max_tokens=limit, reading=progress))
    if data.text is None:
        reason = "how many bytes its tokens stand for is not known; name the tokenizer with --tokenizer"
        return EvaluationText(paths, None, limit, (reason,))
    return EvaluationText(paths, data, limit, data.notes)


def score_compile(
    text: EvaluationText, artifact: bytes, checkpoint: Model, threads: int, progress: Progress
) -> dict[str, object]:
    """The scores as JSON values: `artifact` and `checkpoint` with bits_per_byte and bits_per_token, the `gap` in
    mBPB with its standard error, and what they are of. The scores are null where nothing could be scored.
    """
    if text.data is None:
        return _reported(text, None, None)
    content = read_artifact(artifact)
    ours = Interpreter(content.program, decode_tensors(content), names=content.names)
    given = checkpoint.tensors
    theirs = Interpreter(checkpoint.program, [t.values for t in given], names=[t.name for t in given])
    options = ScoringOptions(max_tokens=text.limit, threads=threads, progress=stage_of(progress, "score"))
    try:
        data = choose_documents(ours, text.data, options)
        scores = [score_program(model, data, options) for model in (ours, theirs)]
    except VerificationError as error:
        return _reported(text, None, None) | {"notes": [*text.notes, str(error)]}
    return _reported(text, *scores) | {"notes": list(data.notes)}


def _reported(text: EvaluationText, artifact: Score | None, checkpoint: Score | None) -> dict[str, object]:
    scored = artifact is not None and checkpoint is not None
    return {
        "data": list(text.paths),
        "artifact": _figures(artifact),
        "checkpoint": _figures(checkpoint),
        "gap": _gap(artifact, checkpoint) if scored else None,
        "tokens": None if artifact is None else artifact.tokens,
        "bytes": None if artifact is None else artifact.bytes,
        "sequence_length": None if artifact is None else artifact.sequence_length,
        "tokens_at_most": text.limit,
        "notes": list(text.notes),
    }


def _gap(artifact: Score, checkpoint: Score) -> dict[str, float | None]:
    """The paired gap in mBPB; its standard error is None where the text is one sequence."""
    try:
        found = paired_gap(checkpoint, artifact)
    except DataError:
        return {"mbpb": 1000 * (artifact.bits_per_byte - checkpoint.bits_per_byte), "standard_error_mbpb": None}
    return {"mbpb": found.mbpb, "standard_error_mbpb": found.standard_error_mbpb}


def _figures(score: Score | None) -> dict[str, float] | None:
    if score is None:
        return None
    return {"bits_per_byte": score.bits_per_byte, "bits_per_token": score.bits_per_token}
