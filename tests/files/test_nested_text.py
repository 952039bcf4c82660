"""JSON and TOML of other people: what is too deep, too long or there twice is a ValueError."""

from __future__ import annotations

import pytest

from bytecap.files.nested_text import MOST_DEPTH, parse_json, parse_toml


@pytest.mark.parametrize("depth", [1, MOST_DEPTH, MOST_DEPTH + 1, 900, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_alone_decides(depth, opening, closing):
    text = opening * depth + "1" + closing * depth
    if depth <= MOST_DEPTH:
        value = parse_json(text)
        for _ in range(depth):
            (value,) = value.values() if isinstance(value, dict) else value
        assert value == 1
    else:
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            parse_json(text)


@pytest.mark.parametrize("depth", [MOST_DEPTH, 900, 20_000])
def test_tables_are_no_deeper_than_objects(depth):
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        parse_toml("a = " + "[" * depth + "]" * depth)
    assert parse_toml("a = [[1]]") == {"a": [[1]]}


@pytest.mark.parametrize("text", ["", "{", "[1,]", "1" * 5000, b"\xff", '{"a": 1, "a": 1}'])
def test_what_is_no_text_of_one_meaning_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_two_values_of_one_name_are_named():
    with pytest.raises(ValueError, match="it names 'b' twice"):
        parse_json('[{"a": {"b": 1, "c": 2, "b": 3}}]')
