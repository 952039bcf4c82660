"""What `bytecap diagnose` prints: the verdict first, then the numbers that it follows from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer

if TYPE_CHECKING:
    from ..lab.measure.diagnosis import Diagnosis, Side
    from ..lab.measure.head_gradient import Spectrum


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
        "projection": f"{100 * gradient.projected:.2f} % of that is in the range of the head (mean over tokens "
        f"{100 * gradient.projected_mean:.2f} %, a random direction {100 * gradient.random_projected:.2f} %)",
        "weighted": f"|W'g|² is {100 * gradient.weighted:.2f} % of what the head's greatest singular value would pass "
        f"(a random direction {100 * gradient.random_weighted:.2f} %), "
        f"in {gradient.hidden_directions:.1f} effective directions",
        "head bytes": _side_text(found.head, found.bits),
        "trunk bytes": _side_text(found.trunk, found.bits),
        "data": f"{integer(found.tokens)} tokens, measured on {integer(found.held_out_tokens)} held-out tokens",
    }
    for title, text in lines.items():
        click.echo("" if text is None else f"{title:<14} {text}")


def _bytes_verdict(found: Diagnosis) -> str:
    """`the head is the limit: an error costs it 45.2 times as much a byte as the trunk (measured: 30.1 times)`."""
    first, second = (found.head, found.trunk) if found.limit_in_bytes == "head" else (found.trunk, found.head)
    other = "trunk" if found.limit_in_bytes == "head" else "head"
    measured = (
        ""
        if first.measured_per_byte is None
        else f" (measured: {_times(first.measured_per_byte, second.measured_per_byte)})"
    )
    times = _times(first.loss_per_byte, second.loss_per_byte)
    cost = f"error costs it {times} as much a byte as the {other}{measured}"
    return f"the {found.limit_in_bytes} is the limit: at {found.bits} bits, {cost}"


def _times(first: float | None, second: float | None) -> str:
    return f"{first / second:.1f} times" if first is not None and second else "infinitely"


def _gradient_verdict(found: Diagnosis) -> str:
    lost = 100 * (1 - found.gradient.projected)
    loss = f"the head loses {lost:.1f} % of the squared norm of its outputs' gradient"
    return f"the {found.limit_in_gradient} is the limit: {loss}"


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
