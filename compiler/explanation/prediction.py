"""How far the second-order prediction of a compile may be trusted: what was measured over it, now and before.

Strategy: a prediction is a sum over statistics. Fewer tokens than determine them, or a text that hardly varies, make it
small and wrong; then it is no prediction, and the report says so. Where it is one, what was measured is divided by it;
where nothing was measured, what other compiles came to stands in its place. Second order is for small errors: where it
is far off what was measured, the errors are not small, and predicted losses tell an order and no amount.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..job import CompileJob

TOKENS_A_COLUMN = 10  # of the widest matrix: fewer tokens leave its second moment to chance
LEAST_SHARE, LEAST_TOKENS = 0.01, 16  # distinct tokens, of the vocabulary and at all
# Measured over predicted loss with distillation and without: prose (the lowest), stories260K and SmolLM2-135M (the
# highest). Gemma 3 270M, whose table has more rows than its calibration tokens, had 5.1.
USUAL_RATIOS = {True: (0.6, 1.4), False: (0.7, 1.4)}
BLOCK = 1 << 20  # tokens that are looked at at once
# From where a prediction is no estimate: it counts correlations of inputs less than they are, and nothing that
# distillation makes up for, so that it may well be too much.
HOLDS = 0.55, 1.5
FAR_OFF_MEANS = (
    "the second-order model does not hold at these errors, so go by what was measured: predicted losses of tensors and "
    "of other sizes tell an order and no amount"
)


def judge_prediction(job: CompileJob, predicted: float, measured: float | None) -> dict[str, Any]:
    """As JSON values: `supported` and why not (`doubts`), `measured_over_predicted` of this compile, None where nothing
    was measured or predicted, what it `usually` is, [least, most], and whether the prediction `holds`: that ratio is
    between those of HOLDS, None where it is not known.
    """
    doubts = statistics_doubts(job)
    ratio = measured / predicted if measured is not None and predicted > 0 else None
    known = {"measured_over_predicted": ratio, "holds": None if ratio is None else HOLDS[0] < ratio < HOLDS[1]}
    return {"supported": not doubts, "doubts": doubts, **known, "usually": list(usual_ratios(job))}


def usual_ratios(job: CompileJob) -> tuple[float, float]:
    """(least, most) that was measured over a prediction in other compiles, with distillation or without as this one."""
    return USUAL_RATIOS[job.recipe.distillation.enabled]


def statistics_doubts(job: CompileJob) -> list[str]:
    """Why the calibration text does not determine the statistics, in sentences; none where it does."""
    tokens, found = job.statistics.tokens, []
    widest = max((_columns(job, index) for index in job.statistics.matrices), default=0)
    if tokens < TOKENS_A_COLUMN * widest:
        found.append(
            f"{tokens:,} calibration tokens are fewer than {TOKENS_A_COLUMN} for each of the {widest:,} inputs of the "
            "widest matrix"
        )
    size = job.model.program.vocabulary_size
    distinct, least = _distinct_tokens(job), min(size // 2, max(LEAST_TOKENS, int(LEAST_SHARE * size)))
    if distinct < least:
        found.append(f"the calibration text has {distinct:,} different tokens of {size:,}, fewer than {least:,}")
    return found


def _distinct_tokens(job: CompileJob) -> int:
    """How many tokens of the vocabulary the calibration text has; block by block, since a shard may be long."""
    found = np.zeros(job.model.program.vocabulary_size, dtype=bool)
    for start in range(0, len(job.text), BLOCK):
        found[job.text[start : start + BLOCK]] = True
    return int(found.sum())


def in_bits_per_byte(nats_a_token: float | None, bytes_a_token: float | None) -> float | None:
    """A loss in bits for each byte of text; None where either is not known."""
    return None if nats_a_token is None or not bytes_a_token else nats_a_token / math.log(2) / bytes_a_token


def _columns(job: CompileJob, index: int) -> int:
    values = job.model.tensors[index].values
    return values.size // len(values)


def prediction_text(predicted: float, judged: Mapping[str, Any]) -> str:
    """The prediction in a sentence, never by itself: beside what was measured, what is usual, or why it is none."""
    if not judged["supported"]:
        return f"nothing: {'; '.join(judged['doubts'])}; the statistics do not determine the model, give more text"
    loss, ratio = f"{predicted:.3g} nats a token more loss than the checkpoint", judged["measured_over_predicted"]
    if ratio is None:
        return f"{loss}; nothing was measured, which usually is {usual_text(judged['usually'])}"
    far = "" if judged["holds"] else f"; {FAR_OFF_MEANS}"
    return f"{loss}; measured is {ratio:.2f} times that{far}"


def usual_text(usual: Sequence[float]) -> str:
    """`0.7 to 1.4 times that at this effort`."""
    least, most = usual
    return f"{least:g} to {most:g} times that at this effort"


def far_off_notes(judged: Mapping[str, Any]) -> list[str]:
    """What is to be said of a prediction that does not hold, as notes; none of any other."""
    if not judged["supported"] or judged["holds"] is not False:
        return []
    return [f"measured is {judged['measured_over_predicted']:.2f} times the predicted loss: {FAR_OFF_MEANS}"]
