"""What `bytecap compile` prints: the verdict, the ledger, what was assumed, and the predicted loss."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..compiler.explanation.prediction import prediction_text
from ..compiler.explanation.table_steps import table_steps_text
from ..files.numbers import integer
from ..format.identity import Identity, identity_text
from .ledger_report import cap_line, ledger_document, print_ledger
from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..compiler.pipeline import CompileResult


def compile_document(result: CompileResult, output: Path | None) -> dict[str, Any]:
    """The result as JSON values"""
    return {
        "output": None if output is None else str(output),
        "sha256": hashlib.sha256(result.artifact).hexdigest(),
        "ledger": ledger_document(result.ledger),
        "report": result.report,
        "provenance": result.provenance,
    }


def print_compile_report(result: CompileResult, output: Path | None) -> None:
    """The result as text; the first line is the verdict."""
    report = result.report
    digest = hashlib.sha256(result.artifact).hexdigest()
    print_text(f"{output}  {cap_line(result.ledger)}  sha256 {digest}")
    click.echo()
    print_ledger(result.ledger)
    lines = {
        "architecture": _assignments(report["architecture"]),
        **({"told by": _told_by(report["told"])} if report["told"] else {}),
        "from defaults": _assumed(report),
        "weights": _weights(report),
        "effort": f"{report['effort']} of 1 to 9",
        "calibration": _calibration(report),
        "identity": _identity(report),
        **({"code": "; ".join(report["code_notes"])} if report["code_notes"] else {}),
        "byte price": _price(report),
        "profiles": _profiles(report["profile"], report["profiles"]),
        **({"candidates": _candidates(report["candidates"])} if report["candidates"] else {}),
        **({"metadata": _metadata(report["metadata"])} if report["candidates"] else {}),
        "measured": _measured(report),
        "predicted": prediction_text(report["predicted_loss"], report["prediction"]),
        **({"scored": _scored(report["score"])} if report["score"] else {}),
        "instructions": _instructions(report["instructions"]),
        "seconds": _seconds(report["seconds"]),
        "forecast": _forecast(report),
        **({"work folder": _work(report["work"])} if report["work"] else {}),
    }
    for title, text in lines.items():
        print_field(title, text, 15)
    if report["at_finest_steps"]:
        print_text("the cap is larger than the finest steps need: more bytes would not make the model better")


def _calibration(report: Mapping[str, Any]) -> str:
    """`65,536 tokens by tokenizer.json`, and what was assumed of the file."""
    by = "" if report["tokenizer"] is None else f" by {report['tokenizer']}"
    return "; ".join([f"{integer(report['calibration_tokens'])} tokens{by}", *report["calibration_notes"]])


def _identity(report: Mapping[str, Any]) -> str:
    """`1,024 pieces, tokenizer 3fa4b2c1d5e6, architecture unknown`, and what is missing."""
    digests = {name: report["identity"][name] for name in ("tokenizer", "architecture")}
    known = Identity(report["identity"]["pieces"], **{n: d and bytes.fromhex(d) for n, d in digests.items()})
    return "; ".join([*([identity_text(known)] if known.known else []), *report["identity_notes"]])


def _weights(report: Mapping[str, Any]) -> str:
    return f"{integer(report['weights'])} at {report['bits_per_weight']:.3f} bits each, the whole artifact counted"


def _price(report: Mapping[str, Any]) -> str:
    sizes = ", ".join(integer(trial["bytes"]) for trial in report["trials"])
    return f"{report['byte_price']:.4g}, sizes tried: {sizes}"


def _told_by(told: Mapping[str, str]) -> str:
    """Who told which hyperparameters: `config.json beside it: rope_theta, head_dim; shapes: vocab_size`."""
    sources = dict.fromkeys(told.values())
    return "; ".join(f"{source}: {', '.join(n for n, s in told.items() if s == source)}" for source in sources)


def _assumed(report: Mapping[str, Any]) -> str:
    values = {name: report["architecture"].get(name, "") for name in report["defaults"]}
    return _assignments(values) or "nothing"


def _assignments(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _candidates(found: Mapping[str, Any]) -> str:
    """What the menus came to: `low-rank for 1 matrix (saves 2,571 bytes), ...`."""
    won = [row for row in found["kinds"] if row["won"]]
    parts = []
    for row in won:
        matrices = "1 matrix" if row["won"] == 1 else f"{row['won']} matrices"
        parts.append(f"{row['kind']} for {matrices} (saves {integer(round(row['saved']))} bytes)")
    finer = [f"{row['name']} {table_steps_text(row)} by its measured loss" for row in found["finer"]]
    return ", ".join([*parts, *finer]) or "no kind pays, every matrix is one grid"


def _profiles(chosen: str, sizes: Mapping[str, int]) -> str:
    """Bytes of the artifact under every profile: `default 17,944 (this), fast 18,303 bytes with the same integers`."""
    parts = ", ".join(
        f"{profile} {integer(size)}{' (this)' if profile == chosen else ''}" for profile, size in sizes.items()
    )
    if len(sizes) == 1:
        return f"{parts} bytes; the others are measured at efforts from 5 on"
    return f"{parts} bytes with the same integers"


def _metadata(rows: Sequence[Mapping[str, Any]]) -> str:
    """Bytes that say where and how finely values stand: `step exponents 201, codewords 35 bytes`."""
    return ", ".join(f"{row['name']} {integer(row['bytes'])}" for row in rows) + " bytes" if rows else "none"


def _measured(report: Mapping[str, Any]) -> str:
    if report["measured_loss"] is None:
        return "nothing, the calibration text is too short to hold any of it out"
    tokens = f"{integer(report['held_out_tokens'])} held-out tokens of the calibration text"
    loss = f"{report['measured_loss']:.3g} nats a token"
    if report["measured_bits_per_byte"] is not None:
        loss += f" ({report['measured_bits_per_byte']:.5f} bits per byte)"
    return f"{loss} of divergence from the checkpoint on {tokens}"


def _instructions(found: Mapping[str, Any]) -> str:
    """`openblas Haswell, znver4, ...: reproducible, fingerprint ca31cc3594c8cc45`."""
    used = ", ".join(f"{library} {name}" for library, name in found["libraries"].items())
    whose = "the same bytes elsewhere" if found["reproducible"] else "others may give other bytes (--reproducible)"
    return f"{used}; fingerprint {found['fingerprint']}: {whose}"


def _scored(score: Mapping[str, Any]) -> str:
    """`1.89337 bits per byte, the checkpoint 1.87512: +18.25 ± 0.31 mBPB on 16,384 tokens, 43,091 bytes of val.bin`."""
    of, doubts = ", ".join(score["data"]), "".join(f"; {note}" for note in score["notes"])
    if score["artifact"] is None:
        return f"nothing of {of}{doubts}"
    figures = [score[which]["bits_per_byte"] for which in ("artifact", "checkpoint")]
    error = score["gap"]["standard_error_mbpb"]
    gap = f"{score['gap']['mbpb']:+.2f}" + ("" if error is None else f" ± {error:.2f}")
    what = f"{integer(score['tokens'])} tokens, {integer(score['bytes'])} bytes of {of}"
    limit = (
        f" in windows of {integer(score['sequence_length'])} (at most {integer(score['tokens_at_most'])} are scored)"
    )
    return f"{figures[0]:.5f} bits per byte, the checkpoint {figures[1]:.5f}: {gap} mBPB on {what}{limit}{doubts}"


def _work(work: Mapping[str, Any]) -> str:
    """`w: took over calibration on 98,304 tokens; 12.3 MB, removed`."""
    taken = f"took over {', '.join(work['taken_over'])}" if work["taken_over"] else "nothing there to take over"
    left = f"{integer(work['bytes_left'])} bytes left in it" if work["bytes_left"] else "removed"
    return "; ".join([f"{work['folder']}: {taken}", *work["refused"], f"{integer(work['bytes'])} bytes, {left}"])


def _forecast(report: Mapping[str, Any]) -> str:
    """`200 s (120 to 380) and 1.2 GB, taken 214 s and 1.1 GB`: before the work, beside what it came to."""
    said, stages = report["forecast"], ("calibrate", "land", "measure")
    taken = sum(report["seconds"].get(stage, 0.0) for stage in stages)
    memory = "" if report["peak_bytes"] is None else f" and {report['peak_bytes'] / 1e9:.1f} GB"
    span = f"{sum(said['seconds'].values()):.0f} s ({said['low']:.0f} to {said['high']:.0f})"
    where = ", for the processor alone" if "gpu" in report["instructions"]["libraries"] else ""
    return f"{span} and {said['peak_bytes'] / 1e9:.1f} GB before the work{where}; it took {taken:.0f} s{memory}"


def _seconds(stages: Mapping[str, float]) -> str:
    parts = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items())
    return f"{sum(stages.values()):.1f} ({parts})"
