"""The two rows of bytes: as counted by the log, and as shipped in the folder.

Strategy: the model's bytes can only be logged ones where no blob lies in the folder; the code's can always be
counted. As shipped is the logged model and the code as it lies there. If that is over the cap and our own packed
form of the same code is not, the packed form is what a reader misses, and the folder does not fail for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .declared import Claim
from .findings import Finding, Level, Rule
from .folder import SubmissionFile
from .log_lines import LoggedSize
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
        "bytes-side-file",
        (Level.FINDING,),
        "The logged total counts a file, or bytes that are not in the folder, beside model and code.",
    ),
    Rule(
        "bytes-as-shipped",
        (Level.PASS, Level.FINDING, Level.FAIL, Level.SKIPPED),
        "The logged model and the code in the folder; a finding where only the packed code would fit.",
    ),
)
SMALLEST_SIDE_FILE = 10_000  # bytes; a smaller rest could be the size of some file by chance


@dataclass(frozen=True, slots=True)
class ByteRow:
    """One log's bytes.

    counted, model : the total that it counts and the compressed model, None where it does not say
    smallest_model : the smallest compressed model that the log has, where it tells several forms of one
    side_bytes : what the total counts beside model and code
    side_file : the file of the folder that has so many bytes, "" where none has
    """

    log: str
    counted: int | None
    model: int | None
    smallest_model: int | None = None
    side_file: str = ""
    side_bytes: int = 0

    def shipped(self, code_bytes: int) -> int:
        """Model, side file and so many bytes of code."""
        return (self.model or 0) + self.side_bytes + code_bytes

    def least(self, code_bytes: int) -> int:
        """The same with the smallest model."""
        return (self.smallest_model or self.model or 0) + self.side_bytes + code_bytes


def byte_rows(
    logs: Sequence[LogFacts],
    totals: Sequence[Claim] = (),
    files: Sequence[SubmissionFile] = (),
    shipped_code: int = 0,
) -> list[ByteRow]:
    """A row a log; where a log has several totals, the declared one, else the last."""
    declared = {claim.amount.value for claim in totals}
    names = {file.bytes: file.name for file in files if file.kind == "file" and file.bytes >= SMALLEST_SIDE_FILE}
    rows = []
    for log in logs:
        counted, models = final_totals(log), final_models(log)
        if not counted and not models:
            continue
        total = next((size for size in counted if size.value in declared), counted[-1] if counted else None)
        model = _model_of(total, models)
        side = 0
        if total is not None and model is not None:
            rests = {total.value - model - size.value for size in log.sizes if size.kind == "code"}
            side = next((rest for rest in rests if rest in names), 0)
            if not side and rests and min(rests) >= max(SMALLEST_SIDE_FILE, shipped_code):
                side = min(rests)
        smallest = min((size.value for size in models), default=None)
        rows.append(
            ByteRow(log.name, None if total is None else total.value, model, smallest, names.get(side, ""), side)
        )
    return rows


def _model_of(total: LoggedSize | None, models: Sequence[LoggedSize]) -> int | None:
    """The model that a total counts: of its label and printed before it, if there is one; a log may hold two runs."""
    if not models:
        return None
    if total is None:
        return models[-1].value
    return max(models, key=lambda size: (size.label == total.label, size.line < total.line, size.line)).value


def judge_bytes(rows: Sequence[ByteRow], totals: Sequence[Claim], code: ShippedCode, cap: int) -> list[Finding]:
    """The rows as counted and as shipped against the cap."""
    counted = {row.log: row.counted for row in rows if row.counted is not None}
    findings = [_as_counted(counted, cap)]
    for row in sorted((row for row in rows if row.side_bytes), key=lambda row: not row.side_file)[:1]:
        what = row.side_file or "no file of the folder has so many"
        text = f"the total of {row.log} counts {row.side_bytes:,} bytes beside model and code: {what}"
        place = row.side_file or row.log
        findings.append(Finding("bytes-side-file", Level.FINDING, text, place, {"bytes": row.side_bytes}))
    # A file that the script reads stands in the code already.
    rows = [replace(row, side_bytes=0) if row.side_file in code.modules else row for row in rows]
    # Where a log counts a file that lies in the folder, that log is of what is shipped.
    shipped = [row for row in rows if row.side_file] or [row for row in rows if row.model is not None]
    fits = not code.is_missing and any(row.least(code.closure_bytes) <= cap for row in shipped)
    findings += _logged_over_cap(counted, totals, cap, fits)
    findings.append(_as_shipped(shipped, code, cap))
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
    """The largest row with the code as it lies there; the smallest with it packed must not be over."""
    if not rows and min(code.closure_bytes, code.packed_bytes or code.closure_bytes) > cap:
        over = code.closure_bytes - cap
        text = f"as shipped: the code alone has {code.closure_bytes:,} bytes, {over:,} over the cap"
        return Finding("bytes-as-shipped", Level.FAIL, text, code.script, {"code": code.closure_bytes, "cap": cap})
    if not rows:
        return Finding(
            "bytes-as-shipped", Level.SKIPPED, "as shipped: neither a model in the folder nor its size in a log"
        )
    if code.is_missing:
        return Finding("bytes-as-shipped", Level.SKIPPED, "as shipped: there is no script to count")
    row = max(rows, key=lambda row: row.shipped(0))
    total = row.shipped(code.closure_bytes)
    packed = min(row.least(code.packed_bytes) for row in rows)
    values = {
        "model": row.model,
        "side_file": row.side_bytes,
        "code": code.closure_bytes,
        "packed_code": code.packed_bytes,
        "total": total,
        "cap": cap,
    }
    side = f" + {row.side_bytes:,} of {row.side_file or 'what the log counts beside'}" if row.side_bytes else ""
    parts = f"{row.model or 0:,} bytes of model by {row.log} + {code.closure_bytes:,} of code{side} = {total:,}"
    told, with_possible = code.with_possible(total, cap, {row.model, row.side_file})
    if total <= cap:
        text = f"as shipped: {parts}, {cap - total:,} below the cap{told}"
        level = Level.PASS if with_possible <= cap else Level.FINDING
        values |= {"with_possible": with_possible} if told else {}
        return Finding("bytes-as-shipped", level, text, row.log, values)
    if packed <= cap < row.shipped(code.packed_bytes):
        text = f"as shipped: {parts}, {total - cap:,} over the cap; another model or run in the logs would fit"
        return Finding("bytes-as-shipped", Level.FINDING, text, row.log, values)
    if packed <= cap:
        fits = f"packed the code has {code.packed_bytes:,} bytes and fits: the packed form is not in the folder"
        text = f"as shipped: {parts}, {total - cap:,} over the cap; {fits}"
        return Finding("bytes-as-shipped", Level.FINDING, text, code.script, values)
    even = f"even packed, with {code.packed_bytes:,} bytes of code, {packed - cap:,} over"
    return Finding("bytes-as-shipped", Level.FAIL, f"as shipped: {parts}, over the cap; {even}", code.script, values)
