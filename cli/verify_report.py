"""What `bytecap verify` prints: a line a check with its time, and the verdict of all of them in the last line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .text_lines import coloured, wrapped_text

if TYPE_CHECKING:
    from ..runtime.check import Check

WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIPPED", "noted": "NOTE"}
COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow", "noted": "yellow"}
WIDTH = max(map(len, WORDS.values()))
NO_BREAK = "\u00a0"  # between a number and its unit, where lines are wrapped


def none_failed(checks: Sequence[Check]) -> bool:
    """The verdict: a check that had nothing to judge does not change it."""
    return not any(check.failed for check in checks)


def verification_document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks as JSON values; `passed` of the whole is true when none failed."""
    documents = [check_document(check) for check in checks]
    passed = none_failed(checks)
    summary = {"passed": passed, "verdict": "pass" if passed else "fail", "summary": verdict_text(checks)}
    return {**summary, "checks": documents}


def check_document(check: Check) -> dict[str, Any]:
    """One check with its numbers; `outcome` is "passed", "failed", "skipped" or "noted"."""
    head = {"name": check.name, "outcome": check.outcome.value, "passed": check.passed}
    return {**head, "detail": check.detail, "seconds": check.seconds, **check.values}


def verdict_text(checks: Sequence[Check]) -> str:
    """`PASS: 4 of 6 checks; skipped: identity, score`, or `FAIL: 2 of 6 checks: decode, ledger`."""
    by_outcome: dict[str, list[str]] = {}
    for check in checks:
        by_outcome.setdefault(check.outcome.value, []).append(check.name)
    word = "passed" if none_failed(checks) else "failed"
    text = f"{WORDS[word]}: {len(by_outcome.get(word, ()))} of {len(checks)} checks"
    text += f": {', '.join(by_outcome['failed'])}" if word == "failed" else ""
    return text + "".join(
        f"; {name}: {', '.join(by_outcome[name])}" for name in ("skipped", "noted") if name in by_outcome
    )


def print_checks(checks: Sequence[Check]) -> None:
    """One line a check, `FAIL     decode: ... (0.01 s)`, and the verdict; on a terminal coloured and wrapped."""
    for check in checks:
        print_check(check)
    verdict = verdict_text(checks)
    verdict = wrapped_text(verdict, 2) if sys.stdout.isatty() else verdict
    click.echo(coloured(verdict, COLOURS["passed" if none_failed(checks) else "failed"]))


def print_check(check: Check) -> None:
    """The line of one check."""
    outcome, wrapped = check.outcome.value, sys.stdout.isatty()
    unit = f"{NO_BREAK}s" if wrapped else " s"
    text = f"{check.name}: {check.detail}" + ("" if check.seconds is None else f" ({check.seconds:.2f}{unit})")
    word, indent = f"{WORDS[outcome]:<{WIDTH}}  ", " " * (WIDTH + 2)
    if wrapped:
        text = wrapped_text(indent + text, len(indent))[len(indent) :]
    click.echo(coloured(word, COLOURS[outcome]) + text)
