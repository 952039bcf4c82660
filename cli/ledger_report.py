"""The ledger as a table and as JSON, the same for compile and the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files.numbers import integer, percent
from .tables import print_table

if TYPE_CHECKING:
    from ..files.ledger import Ledger


def print_ledger(ledger: Ledger) -> None:
    """One row a section and a code file, then their sum and what is left of the cap."""
    rows = [(row.kind, row.name, integer(row.bytes), percent(row.bytes, ledger.total_bytes)) for row in ledger.rows]
    total = ("total", "", integer(ledger.total_bytes), percent(ledger.total_bytes, ledger.total_bytes))
    print_table(("ledger", "name", ">bytes", ">share"), rows, total, dispensable=(">share",))


def cap_line(ledger: Ledger) -> str:
    """`499,871 of 500,000 bytes (99.97 %), 129 left`, or the plain total where there is no cap."""
    if ledger.cap is None:
        return f"{integer(ledger.total_bytes)} bytes"
    left = ledger.cap - ledger.total_bytes
    rest = f"{integer(left)} left" if left >= 0 else f"{integer(-left)} over"
    share = f"{100 * ledger.total_bytes / ledger.cap:.2f} %"
    return f"{integer(ledger.total_bytes)} of {integer(ledger.cap)} bytes ({share}), {rest}"


def ledger_document(ledger: Ledger) -> dict[str, Any]:
    """The ledger as JSON values."""
    return {
        "rows": [{"kind": row.kind, "name": row.name, "bytes": row.bytes} for row in ledger.rows],
        "artifact_bytes": ledger.artifact_bytes,
        "code_bytes": ledger.code_bytes,
        "total_bytes": ledger.total_bytes,
        "cap": ledger.cap,
    }
