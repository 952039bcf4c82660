"""What `bytecap pack` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .ledger_report import cap_line, ledger_document, print_ledger
from .text_lines import print_text

if TYPE_CHECKING:
    from ..packing.folder import Packed


def pack_text(output: Path, packed: Packed) -> None:
    """The ledger, the files, how the script compares with the runtime, its score, and what was assumed."""
    print_ledger(packed.ledger)
    print_text(f"{output}  {cap_line(packed.ledger)}; as shipped and as counted the same")
    for name, data in packed.files.items():
        click.echo(f"  {name}  {integer(len(data))} bytes")
    trial = packed.trial
    print_text(
        f"{packed.script} was run: its loss on {trial.tokens} made-up tokens is {trial.script_loss:.6f} nats a token, "
        f"{trial.difference:+.1e} from the runtime's"
    )
    if packed.score is None:
        print_text("not scored: give --data and --tokenizer, or run the script on them; submission.json has no val_bpb")
    else:
        score = packed.score
        print_text(
            f"scored: {score.bits_per_byte:.8f} bits per byte, val_loss {score.loss:.8f}, "
            f"{integer(score.tokens)} tokens, {integer(score.bytes)} bytes, documents {packed.documents}"
        )
    for note in packed.notes:
        print_text(f"note: {note}", 6)


def pack_document(output: Path, packed: Packed) -> dict[str, Any]:
    """The fields of the `--json` document."""
    score, trial = packed.score, packed.trial
    return {
        "output": str(output),
        "script": packed.script,
        "files": {name: len(data) for name, data in packed.files.items()},
        "ledger": ledger_document(packed.ledger),
        "documents": packed.documents,
        "trial": {
            "tokens": trial.tokens,
            "script_loss": trial.script_loss,
            "runtime_loss": trial.runtime_loss,
            "difference": trial.difference,
        },
        "score": None
        if score is None
        else {
            "val_loss": score.loss,
            "val_bpb": score.bits_per_byte,
            "tokens": score.tokens,
            "bytes": score.bytes,
        },
        "notes": list(packed.notes),
    }
