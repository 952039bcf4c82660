"""Recipes: text both ways, errors that name what is wrong, and digests that stay what they were."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.recipe import NAMED_RECIPES, SETTINGS, TABLES, Recipe, parse_recipe, read_recipe
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
    hints = get_type_hints(TABLES[name])
    return {field.name.replace("_", "-"): hints[field.name] for field in fields(TABLES[name])}


def allowed(kind: type, bound: tuple[float, float] | frozenset | None) -> st.SearchStrategy:
    """Values of a type inside an option's bounds."""
    if bound is None:
        return VALUES[kind]
    if isinstance(bound, frozenset):
        return st.sampled_from(sorted(bound))
    return st.integers(int(bound[0]), int(bound[1])) if kind is int else st.floats(bound[0], bound[1])


@st.composite
def tables(draw) -> dict[str, dict]:
    """Some tables with some of their options, any values of the right type inside their bounds."""
    chosen = draw(st.lists(st.sampled_from(sorted(TABLES)), unique=True))
    result = {}
    for name in chosen:
        options = options_of(name)
        keys = draw(st.lists(st.sampled_from(sorted(options)), unique=True))
        result[name] = {
            key: draw(allowed(options[key], TABLES[name].bounds.get(key.replace("-", "_")))) for key in keys
        }
    return result


@settings(max_examples=60)
@given(tables())
def test_print_and_parse_round_trip(drawn: dict[str, dict]) -> None:
    recipe = parse_recipe("a recipe", drawn)
    printed = tomllib.loads(recipe.to_toml())
    assert list(printed) == list(TABLES)  # in their order, every table, every option
    for name, table in printed.items():
        assert list(table) == list(options_of(name))
        assert drawn.get(name, {}).items() <= table.items()
    again = parse_recipe("a recipe", printed)
    assert again == recipe and again.to_toml() == recipe.to_toml() and again.digest == recipe.digest


def test_options_not_named_keep_their_defaults() -> None:
    recipe = parse_recipe("one change", {"calibrate": {"tokens": 7}})
    assert recipe.calibration.tokens == 7
    assert recipe.calibration.batch_sequences == DEFAULT.calibration.batch_sequences
    assert recipe.settings[1:] == DEFAULT.settings[1:]


def test_a_whole_number_serves_as_a_float_and_prints_as_one() -> None:
    recipe = parse_recipe("whole", {"quantize-matrices": {"damping": 1}})
    assert type(recipe.quantization.damping) is float
    assert recipe.digest == parse_recipe("whole", {"quantize-matrices": {"damping": 1.0}}).digest


def test_the_digest_tells_recipes_apart_and_is_stable() -> None:
    assert re.fullmatch("[0-9a-f]{16}", DEFAULT.digest)
    assert DEFAULT.digest == parse_recipe("another name", {}).digest == read_recipe("default").digest
    digests = {parse_recipe("x", {"calibrate": {"tokens": n}}).digest for n in range(1, 20)}
    assert len(digests) == 19
    fixed = parse_recipe("x", {"calibrate": {"tokens": 5, "batch-sequences": 2}})
    assert fixed.to_toml().startswith(
        "[calibrate]\ntokens = 5\ntokens-an-input = 0\ntolerance = 0.035\nbatch-sequences = 2\n\n"
    )


@pytest.mark.parametrize(
    ("tables", "digest"),
    [
        ({}, "3944851399315c28"),
        ({"calibrate": {"tokens": 5}}, "3cc3b766212a5b6e"),
        ({"exchange-symmetries": {"hidden-units": False}}, "c2521c0856e999fa"),
        ({"bias-head": {"enabled": True}}, "740fc8d7c3586f49"),
        ({"quantize-matrices": {"damping": 1}}, "d29fe66dc4879b0b"),
        ({"correct-drift": {"enabled": False}}, "1a593d1a856d9001"),
        ({"distil": {"enabled": False}}, "938816fb2005c6be"),
        ({"land-on-cap": {"walks": 1}, "quantize-vectors": {"resolution": 2}}, "54d7513e841e247c"),
    ],
)
def test_digests_that_artifacts_carry_stay_what_they_were(tables: dict, digest: str) -> None:
    """They stand in the provenance of artifacts: the text of a recipe may change with a default alone."""
    assert parse_recipe("x", tables).digest == digest


def test_the_digest_of_everything() -> None:
    """It changes with the kinds of the menu, and with nothing else."""
    assert read_recipe("everything").digest == "a96e9c3d40468b3d"


def test_a_recipe_is_one_typed_record() -> None:
    """Every field but the name is the record of one table, and the tables stand in the order of the fields."""
    assert [field.name for field in fields(Recipe)][1:] == list(SETTINGS)
    assert [type(settings) for settings in DEFAULT.settings] == list(TABLES.values())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"calibrat": {}}, ["unknown table [calibrat]", "calibrate"]),
        ({"calibrate": {"token": 1}}, ["[calibrate]", "'token'", "tokens"]),
        ({"calibrate": {"batch_sequences": 1}}, ["[calibrate]", "'batch_sequences'", "batch-sequences"]),
        ({"calibrate": {"tokens": "many"}}, ["[calibrate] tokens", "a whole number", "'many'"]),
        ({"calibrate": {"tokens": 1.5}}, ["[calibrate] tokens", "a whole number", "1.5"]),
        ({"calibrate": {"tokens": True}}, ["[calibrate] tokens", "a whole number", "True"]),
        ({"calibrate": {"tokens": [1]}}, ["[calibrate] tokens", "a whole number"]),
        ({"quantize-matrices": {"damping": "0.1"}}, ["[quantize-matrices] damping", "a number"]),
        ({"quantize-matrices": {"damping": False}}, ["[quantize-matrices] damping", "a number"]),
        ({"correct-drift": {"enabled": 1}}, ["[correct-drift] enabled", "true or false", "1"]),
        ({"calibrate": 3}, ["calibrate", "table of options"]),
        ({"calibrate": [{}]}, ["calibrate", "table of options"]),
        ({"name": "mine"}, ["unknown table [name]"]),
    ],
)
def test_reject_what_no_table_knows(content, named) -> None:
    with pytest.raises(CompileError) as caught:
        parse_recipe("mine.toml", content)
    message = str(caught.value)
    assert message.startswith("recipe mine.toml: ") and all(part in message for part in named)


def test_named_recipes_parse() -> None:
    for name in NAMED_RECIPES:
        assert read_recipe(name).name == name


def test_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# fewer tokens\n[calibrate]\ntokens = 64\n[correct-drift]\nenabled = false\n", "utf-8")
    recipe = read_recipe(path)
    assert recipe.calibration.tokens == 64 and recipe.sequential.enabled is False
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
        (missing, "neither a named recipe nor a readable file"),
        (folder, "neither a named recipe"),
        (not_toml, "not a TOML file"),
        (not_text, "not a TOML file"),
        (unknown, "unknown table [prune]"),
    ):
        with pytest.raises(CompileError) as caught:
            read_recipe(path)
        assert str(path) in str(caught.value) and reason in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "{b = " * 5000 + "1" + "}" * 5000,
        "[calibrate]\ntokens = " + "9" * 5000,
        "[calibrate]\ntokens = 0x" + "f" * 5000,
        "[bias-head]\nenabled = 1e400",
        '"\\u202e\\u001b[31m" = 1',
        *(
            f"[{settings.table}]\n{option.name.replace('_', '-')} = {value}"
            for settings in TABLES.values()
            for option in fields(settings)
            if get_type_hints(settings)[option.name] in (int, float)
            for value in ("1" + "0" * 400, "0x1" + "0" * 4000, "1e400", "nan")
        ),
    ],
)
def test_no_number_or_depth_of_a_recipe_escapes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(CompileError) as caught:
        read_recipe(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
