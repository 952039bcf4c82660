"""One promise that was judged: what `verify` prints a line of, and what the checks of tables and scorers return.

Strategy: a record and three ways to make it, so that every check in the package says the same three words.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..display import ShownByFacts


class Outcome(enum.Enum):
    """What became of a check: `SKIPPED` means that there was nothing to judge, and its detail says why; `NOTED` that
    the rules do not decide, and people have to.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTED = "noted"


@dataclass(frozen=True, slots=True, repr=False)
class Check(ShownByFacts):
    """One promise and whether it is kept; `detail` says it in words, `values` in numbers for machines.

    seconds : float or None     wall time that judging it took, where it was taken
    """

    name: str
    outcome: Outcome
    detail: str
    values: Mapping[str, object] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the promise was judged and is kept."""
        return self.outcome is Outcome.PASSED

    @property
    def failed(self) -> bool:
        """Whether the promise was judged and is not kept; only this makes a verdict bad."""
        return self.outcome is Outcome.FAILED

    def shown_facts(self) -> Mapping[str, str]:
        """What was judged, and what came of it."""
        return {"": self.name, self.outcome.value: self.detail}


class Checks(ShownByFacts, list[Check]):
    """A list of checks that shows its verdict and a line a check."""

    @property
    def passed(self) -> bool:
        """The verdict: none failed. A check that had nothing to judge does not change it."""
        return not any(check.failed for check in self)

    def shown_facts(self) -> Mapping[str, str]:
        """The verdict, then every check."""
        verdict = {"": f"{'PASS' if self.passed else 'FAIL'} of {len(self)}"}
        return verdict | {check.name: f"{check.outcome.value}: {check.detail}" for check in self}


def judged(name: str, kept: bool, detail: str, values: Mapping[str, object] | None = None) -> Check:
    """A check that passes when the promise is kept."""
    return Check(name, Outcome.PASSED if kept else Outcome.FAILED, detail, values or {})


def skipped(name: str, reason: str) -> Check:
    """A check that could not be judged."""
    return Check(name, Outcome.SKIPPED, f"not judged, {reason}")
