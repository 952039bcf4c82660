"""Sizes: what is declared against what is logged against what is shipped.

Strategy: a declared total is explained by the folder's own numbers or it is not (`size_evidence.py`). Whether
bytes fit is two-valued: as counted (by log and JSON) and as shipped (logged model and the code in the folder),
and code that does not fit as it lies there fails only if it would not fit packed either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .declaration import Declaration
from .declared import Claim, Quantity
from .findings import Finding, Level, Rule
from .logs import LogFacts
from .mebibytes import MEBIBYTE_CAP
from .shipped_code import ShippedCode
from .size_evidence import Candidate, Explanation, explain, size_candidates

RULES = (
    Rule("size-declared", (Level.PASS,), "A declared total is explained by the folder's own numbers."),
    Rule("size-not-declared", (Level.WARNING,), "No total in bytes is declared."),
    Rule("size-declared-over-cap", (Level.FAIL,), "A declared total is over the cap."),
    Rule(
        "size-unexplained",
        (Level.FAIL, Level.FINDING),
        "A declared total is none of the totals that logs and code give; a finding where runs without a log, or a "
        "number larger than the logged ones, leave room.",
    ),
    Rule("size-unlogged", (Level.FAIL, Level.SKIPPED), "No log has a size; a fail where there is no script either."),
    Rule("size-model-only", (Level.FINDING,), "A declared total is the model without the code."),
    Rule("size-mebibytes", (Level.WARNING,), "A size is in MiB, or 16 MiB is taken for the cap of 16,000,000 bytes."),
    Rule("size-code-field", (Level.PASS, Level.FINDING), "The declared code against the logged and the shipped one."),
    Rule("size-code-incomplete", (Level.FAIL,), "The declared code is the main script without the files it needs."),
    Rule("size-model-field", (Level.PASS, Level.FINDING), "The declared model against the logged one."),
)
SEED_RANGE = 250_000  # bytes: 95 of 100 public submissions with several seeds lie closer together


@dataclass(frozen=True, slots=True)
class SizeFacts:
    """What was found about sizes, for the ledger: every total that the folder's numbers give, and the declared ones."""

    candidates: tuple[Candidate, ...]
    declared: tuple[Claim, ...]
    explained: int


def judge_sizes(
    declaration: Declaration, logs: Sequence[LogFacts], code: ShippedCode, cap: int
) -> tuple[SizeFacts, list[Finding]]:
    """Every declared size against logs and code, and against the cap."""
    candidates = size_candidates(logs, declaration.claims, code, declaration.seeds)
    totals = [claim for claim in declaration.of(Quantity.TOTAL_BYTES, "headline", "seed") if claim.amount.value]
    findings: list[Finding] = []
    if not totals:
        text = "no total in bytes is declared" + (f" in {declaration.name}" if declaration.name else "")
        findings.append(Finding("size-not-declared", Level.WARNING, text, declaration.name))
    explained = []
    for claim in totals:
        explanation = explain(claim.amount, candidates)
        if explanation is None:
            findings.append(_unexplained(claim, declaration, logs, code, candidates))
        else:
            explained.append((claim, explanation))
    findings += _explained(declaration, explained)
    findings += _over_cap(declaration, totals, cap)
    findings += _code_field(declaration, logs, code) + _model_field(declaration, candidates)
    return SizeFacts(tuple(candidates), tuple(totals), len(explained)), _merged(findings)


def _place(declaration: Declaration, claim: Claim) -> str:
    return f"{declaration.name}: {claim.path}"


def _explained(declaration: Declaration, explained: Sequence[tuple[Claim, Explanation]]) -> list[Finding]:
    findings = []
    passed = []
    for claim, explanation in explained:
        candidate = explanation.candidate
        if candidate.kind == "model":
            text = f"{claim.amount.written} is {candidate.what}{explanation.manner}; the code counts, too"
            findings.append(Finding("size-model-only", Level.FINDING, text, _place(declaration, claim)))
        elif explanation.mebibytes:
            text = f"{claim.amount.written} fits {candidate.what} ({candidate.value:,.0f}) only as MiB, not as MB"
            findings.append(Finding("size-mebibytes", Level.WARNING, text, _place(declaration, claim)))
        else:
            passed.append((claim, explanation))
    if passed:
        claim, explanation = passed[0]
        more = f", and {len(passed) - 1} more declared totals are explained" if len(passed) > 1 else ""
        where = f" ({explanation.candidate.place})" if explanation.candidate.place else ""
        text = f"{claim.amount.written} is {explanation.candidate.what}{explanation.manner}{where}{more}"
        values = {claim.path: explanation.candidate.what + explanation.manner for claim, explanation in passed[:50]}
        findings.append(Finding("size-declared", Level.PASS, text, _place(declaration, claim), values))
    return findings


def _unexplained(
    claim: Claim, declaration: Declaration, logs: Sequence[LogFacts], code: ShippedCode, candidates: Sequence[Candidate]
) -> Finding:
    value = float(claim.amount.value or 0)
    place = _place(declaration, claim)
    logged = [candidate for candidate in candidates if candidate.kind in ("logged", "sum", "plain")]
    if not logged:
        level = Level.FAIL if code.is_missing else Level.SKIPPED
        without = ", and there is no script that could give one" if code.is_missing else ""
        text = f"{claim.amount.written} cannot be compared: no log in the folder tells a size{without}"
        return Finding("size-unlogged", level, text, place, {"declared": value})
    nearest = min(logged, key=lambda candidate: abs(candidate.value - value))
    difference = value - nearest.value
    told = f"{claim.amount.written} is unexplained: the nearest is {nearest.what}, {nearest.value:,.0f}"
    values = {"declared": value, "nearest": nearest.value, "difference": difference}
    if claim.role == "seed" and not claim.seed.startswith("#"):
        unlogged_run = claim.seed not in {log.seed for log in logs}
    else:
        unlogged_run = declaration.seed_count > len(logs)
    if unlogged_run and abs(difference) <= SEED_RANGE:
        text = f"{told} ({difference:+,.0f}); {declaration.seed_count} runs are declared, {len(logs)} are logged"
        return Finding("size-unexplained", Level.FINDING, text, place, values)
    if difference > 0:
        return Finding(
            "size-unexplained", Level.FINDING, f"{told} ({difference:+,.0f}, on the safe side)", place, values
        )
    return Finding("size-unexplained", Level.FAIL, f"{told} ({difference:+,.0f})", place, values)


def _over_cap(declaration: Declaration, totals: Sequence[Claim], cap: int) -> list[Finding]:
    over = [claim for claim in totals if (claim.amount.value or 0) - claim.amount.resolution > cap]
    if not over:
        return []
    worst = max(over, key=lambda claim: claim.amount.value or 0)
    value = float(worst.amount.value or 0)
    text = f"{value:,.0f} bytes are declared, {value - cap:,.0f} over the cap of {cap:,}"
    findings = [
        Finding("size-declared-over-cap", Level.FAIL, text, _place(declaration, worst), {"declared": value, "cap": cap})
    ]
    if value <= MEBIBYTE_CAP < cap * 1.05:
        text = f"{value:,.0f} bytes fit 16 MiB ({MEBIBYTE_CAP:,}); the cap is {cap:,} bytes"
        findings.append(Finding("size-mebibytes", Level.WARNING, text, _place(declaration, worst)))
    return findings


def _code_field(declaration: Declaration, logs: Sequence[LogFacts], code: ShippedCode) -> list[Finding]:
    findings = []
    logged = {
        size.value: f"the logged code {size.label}".strip() for log in logs for size in log.sizes if size.kind == "code"
    }
    for claim in declaration.of(Quantity.CODE_BYTES, "headline", "seed"):
        value, place = claim.amount.value, _place(declaration, claim)
        if not value:
            continue
        if set(code.modules) - set(code.sides) and value == code.script_bytes:
            findings.append(_incomplete_code(code, place))
        elif claim.amount.matches(code.script_bytes) or claim.amount.matches(code.closure_bytes):
            findings.append(Finding("size-code-field", Level.PASS, f"{value:,} bytes of code, as shipped", place))
        elif value in logged:
            shipped = f"{code.script} has {code.script_bytes:,}" if code.script else "there is no script"
            text = f"{value:,} bytes of code are {logged[int(value)]}; {shipped}"
            level = Level.PASS if value >= code.packed_bytes else Level.FINDING
            findings.append(Finding("size-code-field", level, text, place))
        else:
            shipped = f"{code.script} has {code.script_bytes:,}" if code.script else "there is no script"
            text = f"{value:,} bytes of code are declared; {shipped}"
            values = {"declared": value, "shipped": code.script_bytes}
            findings.append(Finding("size-code-field", Level.FINDING, text, place, values))
    return findings


def _incomplete_code(code: ShippedCode, place: str) -> Finding:
    names = ", ".join(code.modules[:4]) + (", ..." if len(code.modules) > 4 else "")
    more = code.closure_bytes - code.script_bytes
    text = f"{code.script_bytes:,} bytes of code are {code.script} alone; it needs {names} as well, {more:,} bytes more"
    return Finding("size-code-incomplete", Level.FAIL, text, place, {"missing": list(code.modules), "bytes": more})


def _model_field(declaration: Declaration, candidates: Sequence[Candidate]) -> list[Finding]:
    models = [candidate for candidate in candidates if candidate.kind == "model"]
    findings = []
    for claim in declaration.of(Quantity.MODEL_BYTES, "headline", "seed"):
        if not claim.amount.value or not models:
            continue
        place = _place(declaration, claim)
        explanation = explain(claim.amount, models)
        if explanation is not None:
            text = f"{claim.amount.written} is {explanation.candidate.what}{explanation.manner}"
            findings.append(Finding("size-model-field", Level.PASS, text, place))
        else:
            nearest = min(models, key=lambda model: abs(model.value - float(claim.amount.value or 0)))
            text = f"{claim.amount.written} bytes of model are declared; the nearest logged are {nearest.value:,.0f}"
            findings.append(Finding("size-model-field", Level.FINDING, text, place))
    return findings


def _merged(findings: list[Finding]) -> list[Finding]:
    """Many findings of one rule and level as the first of them and how many more there are."""
    groups: dict[tuple[str, Level], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.level), []).append(finding)
    merged = []
    for group in groups.values():
        first = group[0]
        if len(group) > 3:
            text = f"{first.text}; and {len(group) - 1} more like this"
            values = {**first.values, "places": [finding.place for finding in group[:50]]}
            merged.append(Finding(first.rule, first.level, text, first.place, values))
        else:
            merged += group
    return merged
