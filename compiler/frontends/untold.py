"""Hyperparameters that nothing tells and that change what a model computes: the error that asks for them, and the
answers that public code gives, so that text may tell which of them is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...errors import CheckpointError
from .architecture_file import Parameter

Answer = Mapping[str, object]  # as an architecture file would say it
Question = Sequence[Answer]  # the answers that there are, the most usual first

HEADS, ROTATED = "num_attention_heads", "rotary_dims"
HEAD_WIDTHS = (64, 32, 128, 16, 96, 48, 80, 24, 256, 8)
WITH_ROTATIONS = {"hidden_act": "silu", "norm": "rms_norm"}  # usual where queries and keys are rotated
USUAL: Mapping[str, Sequence[object]] = {
    "rope_theta": (10_000.0, 500_000.0, 1_000_000.0, 100_000.0),
    "layer_norm_eps": (1e-5, 1e-6),
    "rms_norm_eps": (1e-5, 1e-6),
    "layer_norm_epsilon": (1e-5, 1e-6),
    "n_groups": (1, 8),
    "logit_softcap": (0.0, 15.0, 30.0),
    "query_key_factor": (1.0, 1.2),
}


class UntoldError(CheckpointError):
    """What has to be told of a checkpoint.

    questions : each with the answers that are tried where there is text; one without answers cannot be told by any
    """

    def __init__(self, message: str, questions: Sequence[Question]) -> None:
        super().__init__(message)
        self.questions = questions


def usual_questions(names: Sequence[str], parameters: Mapping[str, Parameter], query_rows: int) -> list[Question]:
    """Of hyperparameters, with the answers that are usual; query_rows : of the queries of all heads together"""
    heads = [{HEADS: query_rows // width} for width in HEAD_WIDTHS if query_rows % width == 0]
    usual = WITH_ROTATIONS if {ROTATED, "rope_theta"} & {*names} else {}
    if HEADS not in names:
        return [_question(name, parameters.get(name), usual) for name in names]
    if ROTATED in names:  # which depends on the width of heads: all of it, or nothing
        turned = [{**each, ROTATED: query_rows // each[HEADS]} for each in heads]
        heads = turned + [{**each, ROTATED: 0} for each in heads]
    others = [name for name in names if name not in (HEADS, ROTATED)]
    return [heads, *(_question(name, parameters.get(name), usual) for name in others)]


def _question(name: str, parameter: Parameter | None, usual: Mapping[str, str]) -> Question:
    values = sorted(_values(name, parameter), key=lambda value: value != usual.get(name, value))
    return [{name: value} for value in values]


def _values(name: str, parameter: Parameter | None) -> Iterator[object]:
    if name in USUAL:
        yield from USUAL[name]
    elif parameter is not None:
        yield from (True, False) if parameter.kind is bool else parameter.choices
