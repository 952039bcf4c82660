"""Recipes: text both ways, errors that name what is wrong, and the registry of passes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import ClassVar, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler import passes  # noqa: F401 - registers the passes
from bytecap.compiler.recipe import NAMED_RECIPES, PASSES, Recipe, parse_recipe, read_recipe, register_pass
from bytecap.errors import CompileError

DEFAULT = read_recipe("default")
VALUES = {
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text("abcdefgh-_ 0123", max_size=8),
}


def options_of(name: str) -> dict[str, type]:
    """Option, as written in a file, and its type."""
    hints = get_type_hints(PASSES[name])
    return {field.name.replace("_", "-"): hints[field.name] for field in fields(PASSES[name])}


def allowed(kind: type, bound: tuple[float, float] | frozenset | None) -> st.SearchStrategy:
    """Values of a type inside a pass's bounds."""
    if bound is None:
        return VALUES[kind]
    if isinstance(bound, frozenset):
        return st.sampled_from(sorted(bound))
    return st.integers(int(bound[0]), int(bound[1])) if kind is int else st.floats(bound[0], bound[1])


@st.composite
def tables(draw) -> dict[str, dict]:
    """Some passes with some of their options, any values of the right type inside their bounds."""
    chosen = draw(st.lists(st.sampled_from(sorted(PASSES)), unique=True))
    result = {}
    for name in chosen:
        options = options_of(name)
        keys = draw(st.lists(st.sampled_from(sorted(options)), unique=True))
        result[name] = {
            key: draw(allowed(options[key], PASSES[name].bounds.get(key.replace("-", "_")))) for key in keys
        }
    return result


@settings(max_examples=60)
@given(tables())
def test_print_and_parse_round_trip(drawn: dict[str, dict]) -> None:
    recipe = parse_recipe("a recipe", drawn)
    printed = tomllib.loads(recipe.to_toml())
    assert list(printed) == list(PASSES)  # in the order of the pipeline, every pass, every option
    for name, table in printed.items():
        assert list(table) == list(options_of(name))
        assert drawn.get(name, {}).items() <= table.items()
    again = parse_recipe("a recipe", printed)
    assert again == recipe and again.to_toml() == recipe.to_toml() and again.digest == recipe.digest


def test_options_not_named_keep_their_defaults() -> None:
    recipe = parse_recipe("one change", {"calibrate": {"tokens": 7}})
    assert recipe["calibrate"].tokens == 7
    assert recipe["calibrate"].batch_sequences == DEFAULT["calibrate"].batch_sequences
    assert [stage for stage in recipe.passes if stage.name != "calibrate"] == [
        stage for stage in DEFAULT.passes if stage.name != "calibrate"
    ]


def test_a_whole_number_serves_as_a_float_and_prints_as_one() -> None:
    recipe = parse_recipe("whole", {"quantize-matrices": {"damping": 1}})
    assert type(recipe["quantize-matrices"].damping) is float
    assert recipe.digest == parse_recipe("whole", {"quantize-matrices": {"damping": 1.0}}).digest


def test_the_digest_tells_recipes_apart_and_is_stable() -> None:
    assert re.fullmatch("[0-9a-f]{16}", DEFAULT.digest)
    assert DEFAULT.digest == parse_recipe("another name", {}).digest == read_recipe("default").digest
    digests = {parse_recipe("x", {"calibrate": {"tokens": n}}).digest for n in range(1, 20)}
    assert len(digests) == 19
    fixed = Recipe(
        "x",
        tuple(
            stage
            for stage in parse_recipe("x", {"calibrate": {"tokens": 5, "batch-sequences": 2}}).passes
            if stage.name == "calibrate"
        ),
    )
    assert fixed.to_toml() == "[calibrate]\ntokens = 5\ntolerance = 0.035\nbatch-sequences = 2\n"
    assert fixed.digest == "da63907732cb9109"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"calibrat": {}}, ["unknown pass [calibrat]", "calibrate"]),
        ({"calibrate": {"token": 1}}, ["[calibrate]", "'token'", "tokens"]),
        ({"calibrate": {"batch_sequences": 1}}, ["[calibrate]", "'batch_sequences'", "batch-sequences"]),
        ({"calibrate": {"tokens": "many"}}, ["[calibrate] tokens", "int", "'many'"]),
        ({"calibrate": {"tokens": 1.5}}, ["[calibrate] tokens", "int", "1.5"]),
        ({"calibrate": {"tokens": True}}, ["[calibrate] tokens", "int", "True"]),
        ({"calibrate": {"tokens": [1]}}, ["[calibrate] tokens", "int"]),
        ({"quantize-matrices": {"damping": "0.1"}}, ["[quantize-matrices] damping", "float"]),
        ({"quantize-matrices": {"damping": False}}, ["[quantize-matrices] damping", "float"]),
        ({"correct-drift": {"enabled": 1}}, ["[correct-drift] enabled", "bool", "1"]),
        ({"calibrate": 3}, ["calibrate", "table of options"]),
        ({"calibrate": [{}]}, ["calibrate", "table of options"]),
        ({"name": "mine"}, ["unknown pass [name]"]),
    ],
)
def test_reject_what_no_pass_knows(content, named) -> None:
    with pytest.raises(CompileError) as caught:
        parse_recipe("mine.toml", content)
    message = str(caught.value)
    assert message.startswith("recipe mine.toml: ") and all(part in message for part in named)


def test_a_pass_is_registered_once() -> None:
    before = dict(PASSES)

    class Another:
        name: ClassVar[str] = "calibrate"

    with pytest.raises(ValueError, match="'calibrate' is registered twice"):
        register_pass(Another)
    assert before == PASSES


def test_named_recipes_parse() -> None:
    for name in NAMED_RECIPES:
        assert read_recipe(name).name == name


def test_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# fewer tokens\n[calibrate]\ntokens = 64\n[correct-drift]\nenabled = false\n", "utf-8")
    recipe = read_recipe(path)
    assert recipe["calibrate"].tokens == 64 and recipe["correct-drift"].enabled is False
    assert read_recipe(str(path)) == recipe
    path.write_text(recipe.to_toml(), "utf-8")
    assert read_recipe(path) == recipe


def test_reject_files_that_are_no_recipe(tmp_path: Path) -> None:
    missing, folder, not_toml, not_text, unknown = (
        tmp_path / name for name in ("missing", "folder", "not.toml", "not.txt", "unknown.toml")
    )
    folder.mkdir()
    not_toml.write_text("tokens: 3\n", "utf-8")
    not_text.write_bytes(b"\xff\xfe[")
    unknown.write_text("[prune]\n", "utf-8")
    for path, reason in (
        (missing, "neither a named recipe (default"),
        (folder, "neither a named recipe"),
        (not_toml, "not a TOML file"),
        (not_text, "not a TOML file"),
        (unknown, "unknown pass [prune]"),
    ):
        with pytest.raises(CompileError) as caught:
            read_recipe(path)
        assert str(path) in str(caught.value) and reason in str(caught.value)
