"""What `bytecap verify` prints: a line a check, and whether every promise is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..runtime.check import Check

WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIPPED"}
WIDTH = max(map(len, WORDS.values()))


def verification_document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks as JSON values; `passed` of the whole is true when each of them is."""
    return {"passed": all(check.passed for check in checks), "checks": [check_document(check) for check in checks]}


def check_document(check: Check) -> dict[str, Any]:
    """One check with its numbers; `outcome` is "passed", "failed" or "skipped"."""
    outcome = check.outcome.value
    return {"name": check.name, "outcome": outcome, "passed": check.passed, "detail": check.detail, **check.values}


def print_checks(checks: Sequence[Check]) -> None:
    """One line a check: `FAIL     digest: ...`."""
    for check in checks:
        click.echo(f"{WORDS[check.outcome.value]:<{WIDTH}}  {check.name}: {check.detail}")
