"""The two rows of bytes: as counted by the log, and as shipped in the folder.

Strategy: the model's bytes can only be logged ones where no blob lies in the folder; the code's can always be
counted. As shipped is the logged model and the code as it lies there. If that is over the cap and our own packed
form of the same code is not, the packed form is what a reader misses, and the folder does not fail for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .declared import Claim
from .findings import Finding, Level, Rule
from .logs import LogFacts, final_models, final_totals
from .shipped_code import ShippedCode

RULES = (
    Rule("bytes-as-counted", (Level.PASS, Level.INFORMATION, Level.SKIPPED), "The total as the logs count it."),
    Rule(
        "bytes-logged-over-cap",
        (Level.FAIL, Level.WARNING),
        "Every logged total is over the cap; a warning where one log of several is, or the shipped code is smaller.",
    ),
    Rule(
        "bytes-as-shipped",
        (Level.PASS, Level.FINDING, Level.FAIL, Level.SKIPPED),
        "The logged model and the code in the folder; a finding where only the packed code would fit.",
    ),
)


@dataclass(frozen=True, slots=True)
class ByteRow:
    """One log's bytes: counted total, compressed model, and both sums with the shipped code."""

    log: str
    counted: int | None
    model: int | None


def byte_rows(logs: Sequence[LogFacts], totals: Sequence[Claim] = ()) -> list[ByteRow]:
    """A row a log; where a log has several totals, the declared one, else the last."""
    declared = {claim.amount.value for claim in totals}
    rows = []
    for log in logs:
        counted = [size.value for size in final_totals(log)]
        models = {size.label: size.value for size in final_models(log)}
        if counted or models:
            chosen = next((value for value in counted if value in declared), counted[-1] if counted else None)
            label = next((size.label for size in final_totals(log) if size.value == chosen), "")
            rows.append(ByteRow(log.name, chosen, models.get(label, list(models.values())[-1] if models else None)))
    return rows


def judge_bytes(logs: Sequence[LogFacts], totals: Sequence[Claim], code: ShippedCode, cap: int) -> list[Finding]:
    """The rows as counted and as shipped against the cap."""
    rows = byte_rows(logs, totals)
    counted = {row.log: row.counted for row in rows if row.counted is not None}
    findings = [_as_counted(counted, cap)]
    smallest = min((row.model for row in rows if row.model is not None), default=None)
    fits_shipped = smallest is not None and smallest + code.closure_bytes <= cap and not code.is_missing
    findings += _logged_over_cap(counted, totals, cap, fits_shipped)
    findings.append(_as_shipped(rows, code, cap))
    return findings


def _as_counted(counted: dict[str, int], cap: int) -> Finding:
    if not counted:
        return Finding("bytes-as-counted", Level.SKIPPED, "as counted: no log tells a total")
    log, largest = max(counted.items(), key=lambda item: item[1])
    values = {"largest": largest, "smallest": min(counted.values()), "cap": cap}
    of = f", the largest of {len(counted)} logs" if len(counted) > 1 else ""
    if largest <= cap:
        text = f"as counted: {largest:,} bytes by {log}{of}, {cap - largest:,} below the cap"
        return Finding("bytes-as-counted", Level.PASS, text, log, values)
    text = f"as counted: {largest:,} bytes by {log}{of}, {largest - cap:,} over the cap"
    return Finding("bytes-as-counted", Level.INFORMATION, text, log, values)


def _logged_over_cap(counted: dict[str, int], totals: Sequence[Claim], cap: int, fits_shipped: bool) -> list[Finding]:
    over = {log: value for log, value in counted.items() if value > cap}
    if not over:
        return []
    log, value = max(over.items(), key=lambda item: item[1])
    declared_under = [claim for claim in totals if (claim.amount.value or 0) <= cap]
    beside = f"; the JSON declares {declared_under[0].amount.written}" if declared_under else ""
    values = {"largest": value, "smallest": min(counted.values()), "cap": cap}
    if len(over) < len(counted):
        text = f"{len(over)} of {len(counted)} logs tell a total over the cap: {log} {value:,} bytes"
        return [Finding("bytes-logged-over-cap", Level.WARNING, text, log, values)]
    told = "the logged total is" if len(counted) == 1 else f"all {len(counted)} logged totals are"
    smallest = min(over.values())
    text = f"{told} over the cap of {cap:,}: {smallest:,} bytes at least, {smallest - cap:,} over{beside}"
    if fits_shipped:
        return [
            Finding("bytes-logged-over-cap", Level.WARNING, f"{text}; with the code as shipped it fits", log, values)
        ]
    return [Finding("bytes-logged-over-cap", Level.FAIL, text, log, values)]


def _as_shipped(rows: Sequence[ByteRow], code: ShippedCode, cap: int) -> Finding:
    models = {row.log: row.model for row in rows if row.model is not None}
    if not models:
        return Finding(
            "bytes-as-shipped", Level.SKIPPED, "as shipped: neither a model in the folder nor its size in a log"
        )
    if code.is_missing:
        return Finding("bytes-as-shipped", Level.SKIPPED, "as shipped: there is no script to count")
    log, largest = max(models.items(), key=lambda item: item[1])
    smallest = min(models.values())
    total, packed = largest + code.closure_bytes, smallest + code.packed_bytes
    values = {
        "model": largest,
        "code": code.closure_bytes,
        "packed_code": code.packed_bytes,
        "total": total,
        "cap": cap,
    }
    sum_text = f"as shipped: {largest:,} bytes of model by {log} + {code.closure_bytes:,} of code = {total:,}"
    if total <= cap:
        return Finding("bytes-as-shipped", Level.PASS, f"{sum_text}, {cap - total:,} below the cap", log, values)
    if packed <= cap:
        fits = f"packed the code has {code.packed_bytes:,} bytes and fits: the packed form is not in the folder"
        text = f"{sum_text}, {total - cap:,} over the cap; {fits}"
        return Finding("bytes-as-shipped", Level.FINDING, text, code.script, values)
    text = f"{sum_text}, over the cap; even packed, with {code.packed_bytes:,} bytes of code, {packed - cap:,} over"
    return Finding("bytes-as-shipped", Level.FAIL, text, code.script, values)
