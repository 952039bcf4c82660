"""What `bytecap diagnose` prints: the verdict first, then the numbers that it follows from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .text_lines import print_field

if TYPE_CHECKING:
    from ..lab.measure.diagnosis import Diagnosis, Side
    from ..lab.measure.head_gradient import HeadGradient, Spectrum


def diagnosis_document(found: Diagnosis) -> dict[str, Any]:
    """Everything found as JSON values; null where nothing was measured or a number is infinite."""
    return {
        "verdict": {"bytes": found.limit_in_bytes, "gradient": found.limit_in_gradient},
        "head_tensor": found.head_tensor,
        "head_shape": list(found.head_shape),
        "tied": found.tied,
        "bits": found.bits,
        "tokens": found.tokens,
        "held_out_tokens": found.held_out_tokens,
        "head_spectrum": _spectrum_document(found.head_spectrum),
        "hidden_spectrum": _spectrum_document(found.hidden_spectrum),
        "gradient": dataclasses.asdict(found.gradient),
        "head": _side_document(found.head),
        "trunk": _side_document(found.trunk),
        "notes": list(found.notes),
    }


def _spectrum_document(spectrum: Spectrum) -> dict[str, Any]:
    return {
        "rank": spectrum.rank,
        "effective_rank": spectrum.effective_rank,
        "stable_rank": spectrum.stable_rank,
        "condition": spectrum.condition if math.isfinite(spectrum.condition) else None,
        "singular_values": spectrum.values.tolist(),
    }


def _side_document(side: Side) -> dict[str, Any]:
    losses = {"predicted_per_byte": side.loss_per_byte, "measured_per_byte": side.measured_per_byte}
    return {**dataclasses.asdict(side), "tensors": list(side.tensors), **losses}


def print_diagnosis(found: Diagnosis) -> None:
    """The diagnosis as text, a line each."""
    gradient = found.gradient
    rows, columns = found.head_shape
    tied = "tied to" if found.tied else "apart from"
    lines = {
        "bytes": _bytes_verdict(found),
        "gradient": _gradient_verdict(found),
        "": None,
        "head": f"{found.head_tensor}, {integer(rows)} x {integer(columns)}, {tied} the embedding",
        "head matrix": _spectrum_text(found.head_spectrum),
        "hidden states": _spectrum_text(found.hidden_spectrum),
        "softcap": f"{100 * gradient.through_softcap:.1f} % of the squared norm of p - onehot is left after its slope",
        "projection": f"{_kept(gradient)} of that is in the range of the head (mean over tokens "
        f"{100 * gradient.projected_mean:.2f} %, a random direction {100 * gradient.random_projected:.2f} %)",
        "weighted": f"|W'g|² is {100 * gradient.weighted:.2f} % of what the head's greatest singular value would pass "
        f"(a random direction {100 * gradient.random_weighted:.2f} %), "
        f"in {gradient.hidden_directions:.1f} effective directions",
        "head bytes": _side_text(found.head, found.bits),
        "trunk bytes": _side_text(found.trunk, found.bits),
        "data": f"{integer(found.tokens)} tokens, measured on {integer(found.held_out_tokens)} held-out tokens",
    }
    for title, text in lines.items():
        if text is None:
            click.echo()
        else:
            print_field(title, text, 15)


def _bytes_verdict(found: Diagnosis) -> str:
    """`the head is the limit: an error costs it 45.2 times as much a byte as the trunk (measured: 30.1 times)`."""
    limit = found.limit_in_bytes
    first, second = (found.trunk, found.head) if limit == "trunk" else (found.head, found.trunk)
    other = "head" if limit == "trunk" else "trunk"
    predicted, measured = _times(first.loss_per_byte, second.loss_per_byte), ""
    if first.measured_per_byte is not None:
        measured = f"{_times(first.measured_per_byte, second.measured_per_byte)} as measured and "
    cost = f"{measured}{predicted} as predicted as much a byte as the {other}"
    if limit == "undecided":
        return f"undecided: at {found.bits} bits, error costs the head {cost}, which is even or contradictory"
    doubt = "" if measured else ", and nothing was measured"
    return f"the {limit} is the limit: at {found.bits} bits, error costs it {cost}{doubt}"


def _times(first: float | None, second: float | None) -> str:
    return f"{first / second:.1f} times" if first is not None and second else "infinitely"


def _gradient_verdict(found: Diagnosis) -> str:
    gradient, verdict = found.gradient, found.limit_in_gradient
    kept = f"the head lets {_kept(gradient)} of its outputs' gradient (squared norm) pass"
    chance = f"random directions of its rank {100 * gradient.random_projected:.2f} %"
    match verdict:
        case "trunk":
            return f"not the head: {kept}"
        case "width":
            return f"the width is the limit, as of any head so narrow: {kept}, more than {chance}"
        case "head":
            return f"the head is the limit: {kept}, no more than {chance}"
    return f"undecided, the text is too short to tell: {kept}, {chance}"


def _kept(gradient: HeadGradient) -> str:
    """`13.55 ± 0.04 %`: the share that passes, with its standard error."""
    error = "" if gradient.projected_error is None else f" ± {100 * gradient.projected_error:.2f}"
    return f"{100 * gradient.projected:.2f}{error} %"


def _spectrum_text(spectrum: Spectrum) -> str:
    least = spectrum.values[spectrum.rank - 1] if spectrum.rank else 0.0
    greatest = spectrum.values[0] if spectrum.rank else 0.0
    return (
        f"rank {spectrum.rank} of {len(spectrum.values)}, effective rank {spectrum.effective_rank:.1f}, "
        f"stable rank {spectrum.stable_rank:.2f}, "
        f"singular values {greatest:.4g} to {least:.4g}, condition number {spectrum.condition:.4g}"
    )


def _side_text(side: Side, bits: int) -> str:
    measured = "" if side.measured is None else f", {side.measured:.3g} measured"
    return (
        f"{integer(side.weights)} weights at {bits} bits, {integer(round(side.bytes))} bytes: "
        f"{side.predicted:.3g} nats a token predicted{measured}; {side.loss_per_byte:.3g} a byte"
    )
