"""Efforts: tables of recipe options that a recipe overrules, and quick compiles that land on their cap."""

from __future__ import annotations

import itertools
import json

import pytest
from source_tree import ROOT

from bytecap.compiler.effort import DEFAULT_EFFORT, EFFORTS, MEASURED, with_effort
from bytecap.compiler.recipe import NAMED_RECIPES, parse_recipe, read_recipe
from bytecap.errors import CompileError

DEFAULT = read_recipe("default")


def test_the_default_effort_is_the_default_recipe() -> None:
    assert EFFORTS[DEFAULT_EFFORT] == {}
    assert read_recipe("default", DEFAULT_EFFORT) == read_recipe("default") == parse_recipe("default", {})


def test_every_effort_is_a_recipe_of_its_own() -> None:
    digests = {read_recipe("default", effort).digest for effort in EFFORTS}
    assert sorted(EFFORTS) == list(range(1, 10)) and len(digests) == len(EFFORTS)


def test_more_effort_is_more_text_and_more_tuning() -> None:
    recipes = [read_recipe("default", effort) for effort in sorted(EFFORTS)]
    for before, after in itertools.pairwise(recipes):
        for widest in (0, 768, 1536, 4864, 100_000):
            less, more = before.for_inputs(widest), after.for_inputs(widest)
            assert less.calibration.tokens <= more.calibration.tokens
            assert less.sequential.tokens <= more.sequential.tokens
        assert before.quantization.trellis_states <= after.quantization.trellis_states
        assert before.rate_control.walks <= after.rate_control.walks
        steps = [recipe.distillation.steps if recipe.distillation.enabled else 0 for recipe in (before, after)]
        assert steps == sorted(steps)


def test_what_a_recipe_names_wins() -> None:
    merged = with_effort({"distil": {"steps": 7}, "land-on-cap": {"walks": 2}}, 3)
    assert merged["distil"] == {**EFFORTS[3]["distil"], "steps": 7}
    assert merged["land-on-cap"] == {"walks": 2}
    assert merged["calibrate"] == EFFORTS[3]["calibrate"]
    everything = read_recipe("everything", 1)
    assert everything.menu.enabled and everything.row_sample.enabled and not everything.distillation.enabled
    assert NAMED_RECIPES["everything"]["bias-head"] == {"enabled": True}


def test_wide_matrices_are_given_tokens_for_each_input_unless_a_recipe_says_how_many() -> None:
    table = {"correct-drift": {"tokens": 100, "tokens-an-input": 3}}
    assert [parse_recipe("x", table).for_inputs(n).sequential.tokens for n in (0, 33, 34, 10**6)] == [
        100,
        100,
        102,
        DEFAULT.sequential.tokens,
    ]
    assert DEFAULT.for_inputs(10**6) == DEFAULT
    named = with_effort({"calibrate": {"tokens": 5}}, 1)
    assert "tokens-an-input" not in named["calibrate"] and "tokens-an-input" in named["correct-drift"]
    both = with_effort({"calibrate": {"tokens": 5, "tokens-an-input": 2}}, 1)
    assert both["calibrate"] == {"tokens": 5, "tokens-an-input": 2}


def test_what_efforts_are_said_to_cost_is_what_was_measured() -> None:
    table = json.loads((ROOT / "benchmarks" / "results" / "prose-efforts.json").read_text())["table"]
    whole = next(row["processor_seconds"] for row in table if row["effort"] == DEFAULT_EFFORT)
    assert MEASURED.keys() == EFFORTS.keys() == {row["effort"] for row in table}
    page = (ROOT / "docs" / "recipe.md").read_text()
    for row in table:
        time, size = MEASURED[row["effort"]]
        assert time == pytest.approx(row["processor_seconds"] / whole, abs=0.005)
        assert size == pytest.approx(row["against_reference"], abs=0.0005)
        assert f"| {row['effort']} | {row['processor_seconds']:.0f} | {time:.2f} | {size:.3f} |" in page


@pytest.mark.parametrize("effort", [0, 10, -1])
def test_there_is_no_other_effort(effort: int) -> None:
    with pytest.raises(CompileError, match="from 1 to 9"):
        read_recipe("default", effort)
