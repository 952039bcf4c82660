"""What `bytecap diff` prints: the verdict, the tensors that differ, then program, provenance and scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .eval_report import conventions_text, gap_document, score_document, score_notes, text_document
from .reading_report import print_notes
from .tables import print_table
from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..format.comparison import Comparison, TensorDifference
    from ..interface import Difference

PROGRAM_LINES = 40
REORDERED = (
    "that may be another order and no damage: a compile sorts hidden units and dimensions of values by their steps, "
    "which leaves what the model computes as it is"
)


def difference_document(first: Path, second: Path, difference: Difference) -> dict[str, Any]:
    """The fields of the `--json` document; scores and gap are null without data."""
    found = difference.comparison
    return {
        "first": {"artifact": str(first), "bytes": found.first.bytes, "sha256": found.first.sha256},
        "second": {"artifact": str(second), "bytes": found.second.bytes, "sha256": found.second.sha256},
        "same_file": found.same_file,
        "same_model": found.same_model,
        "tensors": [_tensor_document(tensor) for tensor in found.tensors],
        "shared_bytes": list(found.shared_bytes),
        "program": list(found.program),
        "recipe": list(difference.recipe),
        "provenance": {name: list(pair) for name, pair in found.provenance.items()},
        "identity": {name: list(pair) for name, pair in found.identity.items()},
        "scores": difference.scores and [score_document(score) for score in difference.scores],
        "gap": difference.gap and {**gap_document(difference.gap), "interval_mbpb": list(difference.gap.interval_mbpb)},
        "text": None if difference.text is None else text_document(difference.text),
        "notes": _notes(difference),
    }


def _notes(difference: Difference) -> list[str]:
    """What must be known to read errors and scores right, of both, in sentences."""
    far = sum((tensor.relative_error or 0.0) > 1 for tensor in difference.comparison.tensors)
    notes = [f"{integer(far)} of the relative errors {'is' if far == 1 else 'are'} above 1; {REORDERED}"] if far else []
    if difference.text is None or difference.scores is None:
        return notes
    found = [note for score in difference.scores for note in score_notes(score, difference.text)]
    return [*notes, *difference.text.notes, *dict.fromkeys(found)]


def _tensor_document(tensor: TensorDifference) -> dict[str, Any]:
    sides = (tensor.first, tensor.second)
    return {
        "name": tensor.name,
        "equal": tensor.equal,
        "relative_error": tensor.relative_error,
        "bytes": [row and row.bytes for row in sides],
        "bits_per_weight": [row and row.bits_per_weight for row in sides],
        "shape": [row and list(row.shape) for row in sides],
    }


def print_difference(first: Path, second: Path, difference: Difference, everything: bool) -> None:
    """The text for people."""
    found = difference.comparison
    print_text(found.verdict)
    for name, path, side in (("first", first, found.first), ("second", second, found.second)):
        print_text(f"{name:<7} {path}  {integer(side.bytes)} bytes  sha256 {side.sha256[:16]}", 8)
    click.echo()
    if not found.same_file:
        _print_tensors(found, [t for t in found.tensors if everything or not t.equal or t.byte_change])
    _print_changes(difference)
    print_notes(_notes(difference))


def _print_tensors(found: Comparison, tensors: Sequence[TensorDifference]) -> None:
    """Those `tensors` and what serves them all; the total is what lies between the two files."""
    from ..format.byte_account import TOGETHER

    if not tensors:
        click.echo("every tensor is the same\n")
        return
    rows = []
    for tensor in tensors:
        sides = (tensor.first, tensor.second)
        bits = [f"{row.bits_per_weight:.3f}" if row else "-" for row in sides]
        error = "-" if tensor.relative_error is None else f"{tensor.relative_error:.2e}" if not tensor.equal else "0"
        rows.append((tensor.name, _change(tensor.byte_change), *bits, error))
    first, second = found.shared_bytes
    rows.append((TOGETHER, _change(second - first), "", "", ""))
    print_table(
        ("tensor", ">bytes", ">bits/weight", ">then", ">relative error"),
        rows,
        ("total", _change(found.second.bytes - found.first.bytes), "", "", ""),
        dispensable=(">bits/weight", ">then"),
    )


def _change(size: int) -> str:
    return f"{size:+,}" if size else "0"


def _print_changes(difference: Difference) -> None:
    found = difference.comparison
    for line in difference.recipe:
        print_field("recipe", line, 12)
    for line in found.program[:PROGRAM_LINES]:
        print_field("program", line, 12)
    if len(found.program) > PROGRAM_LINES:
        print_field("program", f"{len(found.program) - PROGRAM_LINES} more lines differ; --json has them all", 12)
    for name, (before, after) in found.provenance.items():
        sides = " then ".join(json.dumps(side, sort_keys=True) for side in (before, after))
        print_field("provenance", f"{name}: {sides}", 12)
    for name, (before, after) in found.identity.items():
        print_field("identity", f"{name}: {json.dumps(before)} then {json.dumps(after)}", 12)
    if difference.scores is not None and difference.gap is not None:
        for name, score in zip(("first", "second"), difference.scores, strict=True):
            print_field(name, f"{score.bits_per_byte:.5f} bits per byte on {integer(score.tokens)} tokens", 12)
        if difference.text is not None:
            by = difference.text.tokenizer
            if by is not None:
                print_field("tokenizer", "{source}  ({kind}, {pieces:,} pieces)".format(**by), 12)
            print_field("read", conventions_text(difference.scores[1], difference.text), 12)
        gap = difference.gap
        least, most = gap.interval_mbpb
        interval = f"95 % between {least:+.2f} and {most:+.2f}"
        print_field(
            "gap", f"{gap.mbpb:+.2f} ± {gap.standard_error_mbpb:.2f} mBPB, the second less the first; {interval}", 12
        )
