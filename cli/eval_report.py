"""What `bytecap eval` prints: the score, and against a reference the paired gap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .reading_report import print_notes, print_reading, reading_document
from .text_lines import print_field

if TYPE_CHECKING:
    from ..interface import EvaluatedText, Evaluation
    from ..interface.scoring_places import ScoredBy
    from ..runtime.known_splits import SplitMatch
    from ..runtime.scoring import Gap, Score
    from ..runtime.scoring_budget import ScoringWork


def score_document(score: Score) -> dict[str, Any]:
    """A score as JSON values; bits_per_byte is null where no bytes are known."""
    return {
        "bits_per_byte": score.bits_per_byte if score.bytes else None,
        "standard_error": score.standard_error,
        "bits_per_token": score.bits_per_token,
        "perplexity": score.perplexity,
        "word_perplexity": score.word_perplexity,
        "tokens": score.tokens,
        "bytes": score.bytes,
        "words": score.words,
        "unknown_tokens": score.unknown_tokens,
        "hidden_bytes": score.hidden_bytes,
        "unscored_tokens": score.unscored_tokens,
        "kept_tokens": score.kept_tokens,
        "sequence_length": score.sequence_length,
        "stride": score.stride,
        "rows_without_piece": score.rows_without_piece,
        "probability_without_piece": score.probability_without_piece,
        "worse_than_guessing": score.worse_than_guessing,
        "seconds": score.seconds,
        "tokens_per_second": score.tokens_per_second,
    }


def work_document(work: ScoringWork) -> dict[str, int]:
    """What scoring takes at most, as JSON values: multiply-adds of all tokens, bytes of memory."""
    return {
        "multiply_adds": work.multiply_adds,
        "memory_bytes": work.memory_bytes,
        "weight_bytes": work.weight_bytes,
        "sequence_bytes": work.sequence_bytes,
        "threads": work.threads,
    }


def scored_by_document(scored_by: ScoredBy) -> dict[str, Any]:
    """What computed the losses as JSON values; its notes are among those of the evaluation."""
    return {
        "name": scored_by.name,
        "device": scored_by.device,
        "backend": scored_by.backend,
        "workers": scored_by.workers,
        "processors": list(scored_by.processors),
        "difference": None if scored_by.difference is None else dict(scored_by.difference),
    }


def scored_by_text(scored_by: ScoredBy) -> str:
    """The same in a line."""
    if scored_by.backend is None:
        return scored_by.name
    return f"{scored_by.name}, on {scored_by.workers} worker{'s' * (scored_by.workers != 1)} of {scored_by.backend}"


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
        "checkpoint": None if evaluation.reading is None else reading_document(evaluation.reading),
        "text": text_document(evaluation.text),
        "work": None if evaluation.work is None else work_document(evaluation.work),
        "scored_by": scored_by_document(evaluation.scored_by),
        "notes": [*evaluation.text.notes, *score_notes(evaluation.score, evaluation.text)],
    }


def text_document(text: EvaluatedText) -> dict[str, Any]:
    """The conventions of a score as JSON values."""
    return {
        "tokenizer": None if text.tokenizer is None else dict(text.tokenizer),
        "documents": text.documents,
        "separate": text.separate,
        "beginning": text.beginning,
        "beginning_piece": text.beginning_piece,
        "is_text": text.is_text,
        "split": split_document(text.split),
    }


def split_document(match: SplitMatch) -> dict[str, Any]:
    """Which known split the data are as JSON values; name is null where they are none."""
    name = None if match.split is None else match.split.name
    return {"verdict": match.verdict.value, "name": name, "detail": match.detail, **match.facts}


def gap_text(gap: Gap) -> str:
    """`+12.34 ± 0.31 mBPB`."""
    return f"{gap.mbpb:+.2f} ± {gap.standard_error_mbpb:.2f} mBPB"


def score_text(score: Score) -> str:
    """Bits per byte, their standard error and what they were measured on; bits per token where no bytes are known."""
    speed = f"{score.seconds:.1f} s, {integer(round(score.tokens_per_second))} tokens/s"
    if score.kept_tokens:
        speed = f"{integer(score.kept_tokens)} tokens kept from before, the others in {speed}"
    if not score.bytes:
        return f"{score.bits_per_token:.5f} bits per token  ({integer(score.tokens)} tokens, bytes not known, {speed})"
    text = f"{integer(score.tokens)} tokens, {integer(score.bytes)} bytes"
    error = "" if score.standard_error is None else f" ± {score.standard_error:.5f}"
    return f"{score.bits_per_byte:.5f}{error} bits per byte  ({text}, {speed})"


def perplexity_text(score: Score) -> str:
    """Bits per token and the perplexities, the second line of a score."""
    parts = [f"{score.bits_per_token:.5f} bits per token", f"perplexity {_large(score.perplexity)} a token"]
    if score.words:
        parts.append(f"{_large(score.word_perplexity)} a word ({integer(score.words)} words)")
    return ", ".join(parts)


def _large(value: float | None) -> str:
    return "beyond 1e304" if value is None else f"{value:,.2f}" if value < 1e6 else f"{value:.3g}"


def conventions_text(score: Score, text: EvaluatedText) -> str:
    """How the text was read: windows, documents and what begins them."""
    windows = f"windows of {integer(score.sequence_length)} tokens"
    if score.stride < score.sequence_length:
        windows += f", {integer(score.stride)} scored in each"
    parts = [windows]
    if text.documents is not None:
        parts.append(f"{integer(text.documents)} document{'s' * (text.documents != 1)}")
    if text.separate or (text.documents or 0) > 1:
        parts.append("each read from its own beginning" if text.separate else "one running on into the next")
    if text.is_text:
        piece = "" if text.beginning_piece is None else f" {text.beginning_piece!r}"
        parts.append("no token before them" if text.beginning is None else f"token {text.beginning}{piece} before each")
    if score.unscored_tokens:
        parts.append(f"{integer(score.unscored_tokens)} token{'s' * (score.unscored_tokens != 1)} left out")
    return ", ".join(parts)


def score_notes(score: Score, text: EvaluatedText) -> list[str]:
    """What must be known to read a score right, in sentences."""
    from ..runtime.score import what_hiding_does

    notes = []
    if score.worse_than_guessing and score.vocabulary_size is not None:
        uniform = math.log2(score.vocabulary_size)
        notes.append(
            f"worse than guessing: {score.bits_per_token:.2f} bits a token, where the same probability for each of "
            f"{integer(score.vocabulary_size)} tokens gives {uniform:.2f}; probably another architecture or tokenizer"
        )
    if score.hidden_bytes:
        notes.append(
            f"the tokenizer does not spell {integer(score.hidden_bytes)} of the {integer(score.bytes)} bytes of the "
            "text (it rewrites characters or lacks them), and no model predicts what it hides; bits per byte are of "
            f"the text's own bytes{what_hiding_does(score)}"
        )
    if score.unknown_tokens and not text.is_text:
        lost = f"{integer(score.unknown_tokens)} tokens are unknown pieces, whose text is not counted"
        notes.append(f"{lost}; the score is an upper bound")
    if score.rows_without_piece:
        notes.append(
            f"{integer(score.rows_without_piece)} of the model's {integer(score.vocabulary_size or 0)} rows have no "
            f"piece in the tokenizer; they get {100 * score.probability_without_piece:.2g} % of the probability"
        )
    return notes


def print_evaluation(evaluation: Evaluation) -> None:
    """The evaluation as text: two lines a model, one for the gap, one for the conventions; doubts go to stderr."""
    scores = {evaluation.kind: evaluation.score}
    if evaluation.reference is not None:
        scores["reference"] = evaluation.reference
    for name, score in scores.items():
        print_field(name, score_text(score), 12)
        print_field("", perplexity_text(score), 12)
    if evaluation.gap is not None:
        print_field("gap", gap_text(evaluation.gap), 12)
    if evaluation.text.tokenizer is not None:
        print_field("tokenizer", "{source}  ({kind}, {pieces:,} pieces)".format(**evaluation.text.tokenizer), 12)
    print_field("read", conventions_text(evaluation.score, evaluation.text), 12)
    print_field("data", evaluation.text.split.detail, 12)
    if evaluation.scored_by.device is not None or evaluation.scored_by.backend is not None:
        print_field("scored by", scored_by_text(evaluation.scored_by), 12)
    _print_doubts(evaluation)
    print_notes((*evaluation.text.notes, *score_notes(evaluation.score, evaluation.text)))


def _print_doubts(evaluation: Evaluation) -> None:
    if evaluation.same_program is False:
        click.echo(
            "bytecap: note: the two models have different programs; "
            "if the architecture was guessed wrong, give --architecture",
            err=True,
        )
    if evaluation.reading is not None:
        print_reading(evaluation.reading)
