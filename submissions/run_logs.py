"""The logs themselves: whose script they are of, which seeds they miss, how long the runs took."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .declaration import Declaration
from .declared import Claim, Quantity
from .findings import Finding, Level, Rule
from .log_source import SourceComparison, compare_with_scripts
from .logs import LogFacts, seeds_of
from .shipped_code import ShippedCode

RULES = (
    Rule("log-absent", (Level.FINDING,), "No log of a run is in the folder."),
    Rule("log-script", (Level.PASS,), "A log prints the very script that is shipped."),
    Rule(
        "log-other-script", (Level.FINDING,), "A log prints another script than the shipped one, so many lines differ."
    ),
    Rule("log-code-size", (Level.FINDING,), "No log counts the code that is shipped."),
    Rule("log-too-long", (Level.WARNING,), "A log has more lines with numbers than are looked at."),
    Rule(
        "log-missing-seeds",
        (Level.FINDING,),
        "More runs are declared than logged; copies of a log, and logs of other seeds, are no runs of theirs.",
    ),
    Rule(
        "time-training",
        (Level.WARNING, Level.INFORMATION),
        "A training took over 600 seconds; information in a track without that limit, and of a time in words.",
    ),
    Rule(
        "time-evaluation",
        (Level.WARNING, Level.INFORMATION),
        "An evaluation took over 600 seconds; information in a track without that limit, and of a time in words.",
    ),
)
LIMIT_SECONDS = 600.0
COMPARED_SOURCES = 20  # different sources in the logs of one folder
SLACK_SECONDS = 0.5  # the step during which the clock ran out is finished


def judge_logs(declaration: Declaration, logs: Sequence[LogFacts], code: ShippedCode) -> list[Finding]:
    """Scripts, seeds and times of the logs."""
    if not logs:
        absent = Finding("log-absent", Level.FINDING, "no log of a run in the folder; its numbers are claims alone")
        return [absent, *_times(declaration, logs)]
    findings = _sources(logs, code) + _code_sizes(logs, code)
    for log in [log for log in logs if log.unread_lines][:3]:
        text = f"{log.unread_lines:,} lines with numbers were not looked at; the log has too many"
        findings.append(Finding("log-too-long", Level.WARNING, text, log.name))
    return findings + _missing_seeds(declaration, logs) + _times(declaration, logs)


def _missing_seeds(declaration: Declaration, logs: Sequence[LogFacts]) -> list[Finding]:
    """Fewer runs than are declared: fewer logs, copies of one under several names, or logs of other seeds."""
    together = {seed for log in logs for seed in _seeds_in_name(log, declaration.seeds)}
    missing = [seed for seed in declaration.seeds if seed not in seeds_of(logs) and seed not in together]
    different = len({_numbers_of(log) for log in logs})
    of_no_seed = sum(not log.seed for log in logs)
    if declaration.seed_count <= different and len(missing) <= of_no_seed:
        return []
    named = f" (no log of {', '.join(missing[:5])})" if missing else ""
    copies = f" by {len(logs)} logs" if different < len(logs) else ""
    text = f"the numbers are declared over {declaration.seed_count} runs, {different} are logged{copies}{named}"
    values = {"declared": declaration.seed_count, "logged": different, "missing": missing}
    return [Finding("log-missing-seeds", Level.FINDING, text, declaration.name, values)]


def _seeds_in_name(log: LogFacts, declared: Sequence[str]) -> list[str]:
    """The declared seeds that the name of a log of several runs has; a name with one is held against the log itself."""
    numbers = re.findall(r"\d+", log.name.rpartition("/")[2])
    named = [seed for seed in declared if seed in numbers]
    return named if len(named) > 1 else []


def _numbers_of(log: LogFacts) -> tuple[object, ...]:
    """What tells one run from another; two runs never take the same time and end with the same digits."""
    numbers = (
        tuple(score.written for score in log.scores),
        tuple(size.value for size in log.sizes),
        tuple(time.seconds for time in log.training),
    )
    return numbers if log.scores else (log.name,)


def _sources(logs: Sequence[LogFacts], code: ShippedCode) -> list[Finding]:
    same: list[str] = []
    other: list[tuple[str, SourceComparison]] = []
    known: dict[tuple[str, ...], SourceComparison] = {}
    for log in logs:
        if log.source is None or not code.texts:
            continue
        compared = known.get(log.source.lines)
        if compared is None:
            if len(known) >= COMPARED_SOURCES:
                continue
            compared = known[log.source.lines] = compare_with_scripts(log.source, code.texts)
        if compared.same:
            same.append(log.name)
        else:
            other.append((log.name, compared))
    findings = []
    if same:
        text = f"prints the shipped script{f', as {len(same) - 1} more logs do' if len(same) > 1 else ''}"
        findings.append(Finding("log-script", Level.PASS, text, same[0]))
    if other:
        name, compared = max(other, key=lambda item: item[1].different_lines)
        nearest = compared.name or "any shipped script"
        more = f", the most of {len(other)} such logs" if len(other) > 1 else ""
        lines = "1 line differs" if compared.different_lines == 1 else f"{compared.different_lines} lines differ"
        text = (
            f"a log of another script: {lines} from {nearest} "
            f"({compared.only_printed} only in the log, {compared.only_shipped} only in the file){more}"
        )
        values = {log: compared.different_lines for log, compared in other[:50]}
        findings.append(Finding("log-other-script", Level.FINDING, text, name, values))
    return findings


def _code_sizes(logs: Sequence[LogFacts], code: ShippedCode) -> list[Finding]:
    logged = {size.value: f"{log.name}:{size.line}" for log in logs for size in log.sizes if size.kind == "code"}
    if not logged or code.is_missing or _shipped_sizes(code) & set(logged):
        return []
    nearest = min(logged, key=lambda value: abs(value - code.script_bytes))
    text = f"{nearest:,} bytes of code are logged, {code.script} has {code.script_bytes:,}: the log is of another text"
    values = {"logged": nearest, "shipped": code.script_bytes}
    return [Finding("log-code-size", Level.FINDING, text, logged[nearest], values)]


def _shipped_sizes(code: ShippedCode) -> set[int]:
    """What a script may count of itself: bytes or characters, with or without its last line end or CRs."""
    sizes = {code.script_bytes, code.closure_bytes}
    for _, text in code.texts:
        for variant in (text, text.replace("\r\n", "\n")):
            for length in (len(variant), len(variant.encode("utf-8", "surrogatepass"))):
                sizes |= {length, length - 1, length + 1}
    return sizes


def _times(declaration: Declaration, logs: Sequence[LogFacts]) -> list[Finding]:
    training = [(time.seconds, f"{log.name}:{time.line}") for log in logs for time in log.training]
    evaluation = [(time.seconds, f"{log.name}:{time.line}") for log in logs for time in log.evaluations]
    findings = []
    for rule, quantity, times in (
        ("time-training", Quantity.TRAINING_SECONDS, training),
        ("time-evaluation", Quantity.EVALUATION_SECONDS, evaluation),
    ):
        declared = declaration.of(quantity, "headline", "seed")
        findings += _over_limit(rule, quantity, times, declaration, [claim for claim in declared if claim.amount.value])
        findings += _unread(rule, [claim for claim in declared if claim.amount.value is None], declaration)
    return findings


def _over_limit(
    rule: str,
    quantity: Quantity,
    times: Sequence[tuple[float, str]],
    declaration: Declaration,
    declared: Sequence[Claim],
) -> list[Finding]:
    everything = [
        *times,
        *((float(claim.amount.value or 0), f"{declaration.name}: {claim.path}") for claim in declared),
    ]
    over = [(seconds, place) for seconds, place in everything if seconds > LIMIT_SECONDS + SLACK_SECONDS]
    if not over:
        return []
    seconds, place = max(over)
    level = Level.INFORMATION if declaration.no_record else Level.WARNING
    track = "no record" if declaration.no_record else declaration.track or "10 minutes assumed"
    text = f"{quantity.value} {seconds:,.1f} s of at most {LIMIT_SECONDS:.0f} (track: {track})"
    values = {"seconds": seconds, "places": [place for _, place in over[:50]]}
    return [Finding(rule, level, text, place, values)]


def _unread(rule: str, claims: Sequence[Claim], declaration: Declaration) -> list[Finding]:
    """A time that is declared in words, which nobody holds against the limit."""
    texts = [claim for claim in claims if claim.amount.is_text]
    if not texts:
        return []
    claim = texts[0]
    text = f"{claim.quantity.value} is declared as the text {claim.amount.written!r}, which is no number of seconds, "
    text += 'and is not held against the limit; a number, or "10m 3s", would be'
    return [Finding(rule, Level.INFORMATION, text, f"{declaration.name}: {claim.path}")]
