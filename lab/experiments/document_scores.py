"""Losses and bytes by document, which compare models of different vocabularies on the same text.

Strategy: the windows of `runtime.scoring`, without overlap, over all tokens of the documents; each target's
loss and bytes belong to the document that holds it, the boundary token's to the document that it begins.
Differences between models are paired by document and by seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError, VerificationError
from ...files.intervals import INTERVAL, standard_errors
from ...format.program.program import Program
from ...progress import StageProgress, silent_stage
from ...runtime.interpreter import Interpreter
from ...runtime.tokenizers import SentencepieceTokenizer
from ...runtime.windows import Window, windows
from ..measure.estimate import Estimate

BATCH = 8  # windows a call


@dataclass(frozen=True, slots=True, eq=False)
class DocumentScores:
    """nats : float64 [documents]; bytes, tokens : int64 [documents], of the same targets."""

    nats: np.ndarray
    bytes: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[float]]) -> DocumentScores:
        """From what `lists` gave."""
        return cls(**{name: np.array(values) for name, values in lists.items()})

    @property
    def lists(self) -> dict[str, list]:
        """As JSON values."""
        return {"nats": self.nats.tolist(), "bytes": self.bytes.tolist(), "tokens": self.tokens.tolist()}

    @property
    def bits_per_byte(self) -> float:
        return float(self.nats.sum() / self.bytes.sum() / math.log(2))

    @property
    def nats_per_token(self) -> float:
        return float(self.nats.sum() / self.tokens.sum())


def score_documents(
    program: Program,
    tensors: Sequence[np.ndarray],
    ids: np.ndarray,
    tokenizer: SentencepieceTokenizer,
    *,
    threads: int,
    finished: StageProgress = silent_stage,
) -> DocumentScores:
    """Score whole documents: integer ids [n], the first the boundary token.

    Raises DataError when the tokens begin otherwise or the byte table contradicts their text,
    VerificationError for a loss that is not finite.
    """
    if len(ids) < 2 or ids[0] != program.boundary_token:
        raise DataError("documents to score must begin with the boundary token and hold text")
    table = tokenizer.byte_table()
    tokenizer.check_decoding(ids, "the evaluation text")
    model, plan = (
        Interpreter(program, tensors),
        list(windows(len(ids) - 1, program.sequence_length, program.sequence_length)),
    )
    jobs = (
        [[w] for w in plan[-1:]]
        if len(plan) == 1
        else [*(plan[i : min(i + BATCH, len(plan) - 1)] for i in range(0, len(plan) - 1, BATCH)), plan[-1:]]
    )
    losses = []

    def run(job: Sequence[Window]) -> np.ndarray:
        return model.token_losses(np.stack([ids[w.start : w.stop + 1] for w in job]).astype(np.int64)).ravel()

    from ...compiler.workers import iterate_jobs  # torch, which naming the experiments does without

    for done, part in enumerate(iterate_jobs(run, jobs, threads), start=1):
        losses.append(part)
        finished(done, len(jobs))
    nats = np.concatenate(losses)
    if not np.isfinite(nats).all():
        raise VerificationError("the model's losses are not finite; its weights are damaged or the training diverged")
    document = np.cumsum(ids == program.boundary_token)[1:] - 1
    return DocumentScores(
        np.bincount(document, nats),
        np.bincount(document, table.target_bytes(ids)).astype(np.int64),
        np.bincount(document).astype(np.int64),
    )


def nats_of(scores: Sequence[DocumentScores]) -> np.ndarray:
    """float64 [seeds, documents]."""
    return np.stack([score.nats for score in scores])


def paired_difference(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> Estimate:
    """(second - first) / weights as a ratio of sums.

    first, second : float64 [seeds, documents]; weights : [documents], bytes or tokens

    The error has two sources, which add in squares: which documents were drawn (that of a ratio estimator,
    Cochran, Sampling Techniques, 6.4) and which seeds, widened so that the interval of 1.96 standard errors
    is Student's for so few. With one seed the second is unknown and left out.
    """
    difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    total, documents = weights.sum(), difference.shape[1]
    mean = float(difference.mean(0).sum() / total)
    residual = difference.mean(0) - mean * weights
    by_document = math.sqrt(documents / max(documents - 1, 1) * float(residual @ residual)) / total
    return Estimate(mean, math.hypot(by_document, over_seeds(difference.sum(1) / total).standard_error))


def seeds_note(seeds: int) -> str:
    """What an answer has to add where its interval knows of no other training; empty where it does."""
    return "" if seeds > 1 else "; one seed: how far trainings differ is not in the intervals"


def over_seeds(values: np.ndarray | Sequence[float]) -> Estimate:
    """Mean over seeds [n], and its standard error, which is 0 with one seed.

    The error is widened so that 1.96 of it make Student's 95 % interval.
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    if count < 2:
        return Estimate(float(values.mean()), 0.0)
    widened = standard_errors(count) / INTERVAL
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(count) * widened)
