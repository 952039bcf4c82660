"""Ranges of budgets as people write them: from A to B in N steps, in bytes or in percent of an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ...errors import CapError
from ...files.sizes import parse_size

MOST_BUDGETS = 1000


@dataclass(frozen=True, slots=True)
class BudgetRange:
    """`count` budgets from `first` to `last`, each number of bytes or, as a Decimal, percent."""

    first: int | Decimal
    last: int | Decimal
    count: int

    def of_artifact(self, size: int) -> list[int]:
        """Bytes of each budget for an artifact of `size` bytes, in equal ratios, the same number once.

        Raises CapError when one is less than a byte, as large as the artifact, or when they fall.
        """
        first, last = (
            round(size * float(end) / 100) if isinstance(end, Decimal) else end for end in (self.first, self.last)
        )
        if not 1 <= first <= last:
            raise CapError(
                f"the budgets go from {first:,} to {last:,} bytes of an artifact of {size:,}; they "
                "must begin with 1 or more and not fall"
            )
        if last >= size:
            raise CapError(
                f"a budget of {last:,} bytes is not less than the artifact itself, {size:,} bytes; "
                "give a smaller budget"
            )
        if self.count == 1:
            return [first]
        return sorted({round(first * (last / first) ** (k / (self.count - 1))) for k in range(self.count)})


def parse_budgets(text: str) -> BudgetRange:
    """ "0.5%:10%:6", "4KB:64KB:5" or one budget "2%". ValueError, with a message for the user, for anything else."""
    parts = text.split(":")
    if len(parts) == 1:
        parts = [text, text, "1"]
    if len(parts) != 3:
        raise ValueError(
            f"{text!r} is not a range of budgets; write first:last:number, for example 0.5%:10%:6 or 4KB:64KB:5"
        )
    count = int(parts[2]) if parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 5 else 0
    if not 1 <= count <= MOST_BUDGETS:
        raise ValueError(f"{text!r}: {parts[2]!r} is not a number of budgets from 1 to {MOST_BUDGETS:,}")
    return BudgetRange(_end(parts[0]), _end(parts[1]), count)


def _end(text: str) -> int | Decimal:
    if not text.strip().endswith("%"):
        return parse_size(text)
    try:
        share = Decimal(text.strip()[:-1])
    except InvalidOperation:
        share = Decimal(0)
    if not (share.is_finite() and 0 < share < 100):
        raise ValueError(f"{text!r} is not a share between 0% and 100%")
    return share
