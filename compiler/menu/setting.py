"""Settings: how a kind of representation is fitted to a matrix."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """How a kind is fitted; every kind has a record with fields of its own."""

    def values(self) -> tuple[str | int, ...]:
        """The fields that are set, in their order, for a report."""
        return tuple(value for value in astuple(self) if value is not None)


@dataclass(frozen=True, slots=True)
class Selection(Setting):
    """Some members of a matrix that are stored apart: its rows, its columns or single weights.

    how : "apart", "finer" or "raw" (subsets.py); count : of the members, the strongest
    """

    how: str
    count: int
