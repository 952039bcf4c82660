"""The files of a submission folder beside artifact and script: what is said of them, in numbers that were measured.

Strategy: every number comes from the files' bytes or from a run of the script; a field that nobody measured or told is
left out. Names of fields are the public challenge's.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..files.ledger import Ledger, LedgerRow, build_ledger
from ..files.numbers import integer
from ..runtime.tokenizers import ByteTable
from ..version import VERSION

ARTIFACT_NAME, TABLE_NAME, LOG_NAME = "model.bcap", "token_bytes.bin", "eval.log"
REQUIREMENTS = "numpy\ntorch>=2.1\n# numba is optional: without it a C compiler decodes, and without that numpy\n"
LEADING_SPACE, NO_TEXT = 1 << 14, 1 << 15  # as packing/loader/shards.py reads them


@dataclass(frozen=True, slots=True)
class Description:
    """What the submitter says of a submission; None is left out.

    author, github_id, name, blurb, date, track : as in the challenge's submission.json
    """

    author: str | None = None
    github_id: str | None = None
    name: str | None = None
    blurb: str | None = None
    date: str | None = None
    track: str | None = None


@dataclass(frozen=True, slots=True)
class MeasuredScore:
    """What a run of the packed script printed.

    loss : nats a token; bits_per_byte, both to the eight digits printed; tokens, bytes : scored
    """

    loss: float
    bits_per_byte: float
    tokens: int
    bytes: int


def submission_ledger(artifact: bytes, code: Mapping[str, bytes], cap: int | None) -> Ledger:
    """Every byte that counts: the artifact by section and the code files by name."""
    ledger = build_ledger(artifact, cap=cap)
    rows = (*ledger.rows, *(LedgerRow("code", name, len(data)) for name, data in code.items()))
    size = sum(len(data) for data in code.values())
    return replace(ledger, rows=rows, code_bytes=size, total_bytes=ledger.artifact_bytes + size)


def byte_table_entries(table: ByteTable) -> bytes:
    """A uint16 a piece, bytes and two flags, as packing/loader/shards.py has them."""
    entries = table.base_bytes.astype(np.int64) | LEADING_SPACE * table.leading_space
    return np.where(table.boundary, NO_TEXT, entries).astype("<u2").tobytes()


def encode_byte_table(table: ByteTable) -> bytes:
    """The table as the loader reads it: the entries, compressed."""
    return zlib.compress(byte_table_entries(table), 9)


def submission_json(described: Description, ledger: Ledger, score: MeasuredScore | None) -> bytes:
    """submission.json: what was told, what was measured, and the bytes."""
    told = {name: getattr(described, name) for name in ("author", "github_id", "name", "blurb", "date", "track")}
    measured = {} if score is None else {"val_loss": score.loss, "val_bpb": score.bits_per_byte}
    sizes = {
        "bytes_total": ledger.total_bytes,
        "bytes_code": ledger.code_bytes,
        "bytes_model": ledger.artifact_bytes,
    }
    fields = {name: value for name, value in told.items() if value is not None} | measured | sizes
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


def readme(
    described: Description, ledger: Ledger, score: MeasuredScore | None, script: str, command: Sequence[str]
) -> bytes:
    """README.md: how to run it, what it scores where that was measured, and where every byte is.

    command : the words after the script's name with which it was scored, or how to score it
    """
    title = described.name or "A packed model"
    lines = [f"# {title}", "", *([described.blurb, ""] if described.blurb else [])]
    lines += [
        f"`{script}` decodes `{ARTIFACT_NAME}`, runs it and scores it. It needs numpy and torch and nothing else;",
        "where numba can be imported it decodes faster. Weights are in the artifact alone, bit for bit.",
        "",
        "```sh",
        " ".join(["python", script, *command]),
        "```",
        "",
        "`DATA_PATH` and `TOKENIZER_PATH` may say data and tokenizer, too. Under torchrun rank 0 does all the work.",
        "",
        *_score_lines(score),
        "## Bytes",
        "",
        "As shipped and as counted, the same:",
        "",
        *_ledger_lines(ledger),
        "",
        "README.md, submission.json, requirements.txt and logs are not read by the script and not counted.",
        f"The script is packed; bytecap {VERSION} wrote it, and bytecap is not needed to run it.",
    ]
    return ("\n".join(lines) + "\n").encode()


def _score_lines(score: MeasuredScore | None) -> list[str]:
    if score is None:
        return ["Not scored yet: no number is given here or in submission.json.", ""]
    return [
        f"Scored by this very script ({LOG_NAME}): **{score.bits_per_byte:.8f} bits per byte**, val_loss "
        f"{score.loss:.8f}, on {integer(score.tokens)} tokens, {integer(score.bytes)} bytes of text.",
        "",
    ]


def _ledger_lines(ledger: Ledger) -> list[str]:
    lines = ["| part | name | bytes |", "|---|---|---:|"]
    lines += [f"| {row.kind} | {row.name} | {integer(row.bytes)} |" for row in ledger.rows]
    lines.append(
        f"| **total** | artifact {integer(ledger.artifact_bytes)} + code {integer(ledger.code_bytes)} | "
        f"**{integer(ledger.total_bytes)}** |"
    )
    if ledger.cap is not None:
        lines.append(f"| cap | {integer(ledger.cap - ledger.total_bytes)} left | {integer(ledger.cap)} |")
    return lines
