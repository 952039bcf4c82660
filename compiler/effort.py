"""Efforts: how much time a compile may take, as one number from 1 to 9.

Strategy: an effort is a set of recipe options and nothing else, written out in the table below. 5 is the default recipe
itself. What a recipe names wins over the effort.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import CompileError

DEFAULT_EFFORT = 5

TOKENS_AN_INPUT = "tokens-an-input"

Options = Mapping[str, Mapping[str, bool | int | float]]

# Tables and options as in a recipe file.
EFFORTS: Mapping[int, Options] = {
    1: {
        "calibrate": {"tokens": 24_576, TOKENS_AN_INPUT: 32},
        "quantize-matrices": {"trellis-states": 8},
        "sample-rows": {"enabled": True},
        "correct-drift": {"tokens": 49_152, TOKENS_AN_INPUT: 64},
        "distil": {"enabled": False},
        "land-on-cap": {"walks": 1},
    },
    2: {
        "calibrate": {"tokens": 65_536, TOKENS_AN_INPUT: 32},
        "sample-rows": {"enabled": True},
        "distil": {"enabled": False},
        "land-on-cap": {"walks": 1},
    },
    3: {
        "calibrate": {"tokens": 98_304, TOKENS_AN_INPUT: 32},
        "sample-rows": {"enabled": True},
        "distil": {"steps": 400, "final-steps": 40, "passes": 0.5},
        "land-on-cap": {"walks": 1},
    },
    4: {
        "calibrate": {"tokens": 196_608, TOKENS_AN_INPUT: 32},
        "sample-rows": {"enabled": True},
        "distil": {"steps": 600, "passes": 0.75},
        "land-on-cap": {"walks": 2},
    },
    5: {},
    6: {"distil": {"passes": 4}},
    7: {"correct-drift": {"tokens": 196_608}, "distil": {"steps": 1_600, "final-steps": 160, "passes": 8}},
    8: {
        "calibrate": {"tokens": 786_432, "tolerance": 0.025},
        "correct-drift": {"tokens": 196_608},
        "distil": {"steps": 3_200, "final-steps": 320, "passes": 16},
    },
    9: {
        "calibrate": {"tokens": 1_572_864, "tolerance": 0.0175},
        "bias-head": {"enabled": True},
        "choose-candidates": {"enabled": True},
        "correct-drift": {"tokens": 196_608},
        "distil": {"steps": 6_400, "final-steps": 640, "passes": 32},
    },
}

# Processor seconds, and bytes at equal divergence, over those of the default effort, of 2.6 million weights at 2.2 bits
# (benchmarks/results/prose-efforts.json).
MEASURED: Mapping[int, tuple[float, float]] = {
    1: (0.102, 1.066),
    2: (0.177, 1.047),
    3: (0.642, 1.009),
    4: (0.878, 1.001),
    5: (1.000, 1.000),
    6: (1.636, 0.983),
    7: (2.927, 0.971),
    8: (5.333, 0.964),
    9: (10.729, 0.959),
}


def effort_options(effort: int) -> Options:
    """The options of an effort; CompileError for one that does not exist."""
    if effort not in EFFORTS:
        raise CompileError(f"there is no effort {effort!r}; give a whole number from {min(EFFORTS)} to {max(EFFORTS)}")
    return EFFORTS[effort]


def with_effort(tables: Mapping[str, object], effort: int) -> dict[str, object]:
    """Tables of a recipe with the options of an effort where they name none."""
    merged: dict[str, object] = {name: dict(options) for name, options in effort_options(effort).items()}
    for name, options in tables.items():
        before = merged.get(name)
        merged[name] = _merged(before, options) if isinstance(before, dict) and isinstance(options, dict) else options
    return merged


def _merged(before: Mapping[str, object], options: Mapping[str, object]) -> dict[str, object]:
    """Options of a table over those of an effort; who names the number of tokens has it, however wide matrices are."""
    kept = {name: value for name, value in before.items() if name != TOKENS_AN_INPUT or "tokens" not in options}
    return {**kept, **options}
