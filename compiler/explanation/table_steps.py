"""What measurements made of the steps of a token table, in words for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table_steps_text(row: Mapping[str, Any]) -> str:
    """Of a row of `finer` in the report: `0.5 octaves finer, those of rare tokens by what large errors cost`."""
    finer = [f"{row['octaves']:g} octaves finer"] if row["octaves"] else []
    rare = ["those of rare tokens by what large errors cost"] if row.get("rare_rows") else []
    return ", ".join([*finer, *rare])
