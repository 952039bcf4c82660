"""What `bytecap eval` prints: the score, and against a reference the paired gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer

if TYPE_CHECKING:
    from ..interface import Evaluation
    from ..runtime.scoring import Gap, Score


def score_document(score: Score) -> dict[str, Any]:
    """A score as JSON values."""
    return {
        "bits_per_byte": score.bits_per_byte,
        "bits_per_token": score.bits_per_token,
        "tokens": score.tokens,
        "bytes": score.bytes,
        "unknown_tokens": score.unknown_tokens,
        "sequence_length": score.sequence_length,
        "seconds": score.seconds,
        "tokens_per_second": score.tokens_per_second,
    }


def gap_document(gap: Gap) -> dict[str, float]:
    """A gap as JSON values, in thousandths of a bit per byte."""
    return {"mbpb": gap.mbpb, "standard_error_mbpb": gap.standard_error_mbpb}


def evaluation_document(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON values; reference, gap and same_program are null without --against."""
    return {
        "kind": evaluation.kind,
        "score": score_document(evaluation.score),
        "reference": None if evaluation.reference is None else score_document(evaluation.reference),
        "gap": None if evaluation.gap is None else gap_document(evaluation.gap),
        "same_program": evaluation.same_program,
        "assumed": dict(evaluation.assumed),
        "told": dict(evaluation.told),
    }


def gap_text(gap: Gap) -> str:
    """`+12.34 ± 0.31 mBPB`."""
    return f"{gap.mbpb:+.2f} ± {gap.standard_error_mbpb:.2f} mBPB"


def score_text(score: Score) -> str:
    """Bits per byte, and what they were measured on."""
    speed = f"{score.seconds:.1f} s, {integer(round(score.tokens_per_second))} tokens/s"
    text = f"{integer(score.tokens)} tokens, {integer(score.bytes)} bytes"
    return f"{score.bits_per_byte:.5f} bits per byte  ({text}, {speed})"


def print_evaluation(evaluation: Evaluation) -> None:
    """The evaluation as text: one line a model, one for the gap; doubts go to stderr."""
    click.echo(f"{evaluation.kind:<11} {score_text(evaluation.score)}")
    if evaluation.reference is not None:
        click.echo(f"{'reference':<11} {score_text(evaluation.reference)}")
        click.echo(f"{'gap':<11} {gap_text(evaluation.gap)}")
    if evaluation.score.unknown_tokens:
        lost = f"{integer(evaluation.score.unknown_tokens)} tokens are unknown pieces, whose text is not counted"
        click.echo(f"bytecap: note: {lost}; the score is an upper bound", err=True)
    _print_doubts(evaluation)


def _print_doubts(evaluation: Evaluation) -> None:
    if evaluation.same_program is False:
        click.echo(
            "bytecap: note: the two models have different programs; "
            "if the architecture was guessed wrong, give --architecture",
            err=True,
        )
    if evaluation.assumed:
        assumed = ", ".join(
            f"{name} {'' if value is None else value}".strip() for name, value in evaluation.assumed.items()
        )
        told = f"; the rest is told by {', '.join(sorted(set(evaluation.told.values())))}" if evaluation.told else ""
        click.echo(f"bytecap: note: assumed of the checkpoint: {assumed}{told}; --architecture changes that", err=True)
