"""The table of efforts: levels at equal damage, what is known is kept, and only of the same inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.efforts import (
    BITS,
    HIGH,
    LOW,
    MIDDLE,
    Compiled,
    caps_of,
    levels_of,
    read_found,
    recipe_of,
    summary,
    table,
    write_found,
)
from benchmarks.points import CompressionPoint


def compiled(level: int, factor: float, seconds: float) -> list[Compiled]:
    """A level that needs `factor` times the bytes of another: KL halves every 1,000 * factor bytes."""
    sizes = [round(1000 * bits) for bits in BITS]
    points = [CompressionPoint(f"effort {level}", "", size, 9.0, 0.1, 2 ** (-size / (1000 * factor))) for size in sizes]
    cost = seconds, seconds, 10**9, seconds / 2, 2 * 10**9
    recipe = recipe_of(level)
    return [Compiled(level, recipe, bits, *cost, p) for bits, p in zip(BITS, points, strict=True)]


def test_levels_are_compared_at_the_divergence_of_the_reference(tmp_path: Path) -> None:
    found = [*compiled(1, 1.1, 10.0), compiled(5, 1.0, 100.0)[1]]
    rows = summary(found)
    assert [row["effort"] for row in rows] == [1, 5]
    assert [row["against_reference"] for row in rows] == [pytest.approx(1.1), pytest.approx(1.0)]
    assert rows[1]["bytes_of_quickest"] == pytest.approx(1.1 * rows[1]["bytes"])
    assert (rows[1]["wall_over_forecast"], rows[1]["peak_over_forecast"]) == (2.0, 0.5)
    assert "1.100" in table(rows) and "100" in table(rows).splitlines()[3]
    write_found(tmp_path / "e.json", {"checkpoint": "a"}, found)
    assert read_found(tmp_path / "e.json", {"checkpoint": "a"}) == found
    assert read_found(tmp_path / "e.json", {"checkpoint": "b"}) == []
    write_found(tmp_path / "older.json", {}, [*found, replace(found[0], recipe="of other options")])
    assert read_found(tmp_path / "older.json", {}) == found
    assert read_found(tmp_path / "none.json", {}) == [] and summary([]) == []


def test_only_the_quickest_compiles_to_all_caps() -> None:
    assert [list(caps_of(level)) for level in (1, 5, 9)] == [[LOW, MIDDLE, HIGH], [MIDDLE], [MIDDLE]]
    rows = summary([compiled(1, 1.1, 10.0)[1], compiled(5, 1.0, 100.0)[1]])
    assert [row["against_reference"] for row in rows] == [None, None] and " - " in table(rows)


def test_levels_are_named_singly_or_as_a_range() -> None:
    assert levels_of("1,3,5") == [1, 3, 5] and levels_of("1-3,9") == [1, 2, 3, 9]
