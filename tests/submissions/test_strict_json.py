"""Any text is a document or one JsonProblem."""

from __future__ import annotations

import json
import random

import pytest

from bytecap.submissions import strict_json
from bytecap.submissions.strict_json import JsonProblem, read_json


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ('{\n "a": 1,\n}', 3, 1),
        ('{"a": 1}\n\nmore', 3, 1),
        ('{"a": }', 1, 7),
        ('\n\n  "a', 3, 3),
        ("[" * 65, 1, 65),
        ('{"a":' * 70 + "1" + "}" * 70, 1, 321),
    ],
)
def test_a_problem_has_line_and_column(text, line, column):
    with pytest.raises(JsonProblem) as problem:
        read_json(text)
    assert (problem.value.line, problem.value.column) == (line, column)


def test_brackets_in_strings_do_not_nest():
    text = json.dumps({"[" * 100: "]{" * 100 + '\\"['})
    assert read_json(text).value == json.loads(text)


def test_numbers_beyond_sense_are_kept_as_notes():
    document = read_json('{"a": ' + "9" * 10_000 + ', "b": 1e999, "c": NaN, "d": -Infinity, "e": 12}')
    assert document.value == {"a": None, "b": None, "c": None, "d": None, "e": 12}
    assert len(document.odd_numbers) == 4 and "10,000 digits" in document.odd_numbers[0]


def test_repeated_keys_are_named_once():
    document = read_json('{"a": 1, "a": 2, "b": {"c": 1, "c": 2}, "a": 3}')
    assert document.value == {"a": 3, "b": {"c": 2}}
    assert set(document.repeated_keys) == {"a", "c"}


def test_a_long_text_is_refused_unread(monkeypatch):
    monkeypatch.setattr(strict_json, "MAXIMUM_CHARACTERS", 100)
    with pytest.raises(JsonProblem, match="101 characters"):
        read_json("[" + " " * 99 + "]")


def test_random_changes_of_a_document_raise_nothing_else():
    good = json.dumps({"author": "A", "seeds": {"1": {"val_bpb": 1.2, "bytes": 15_000_000}}, "list": [1, [2, "x\\y"]]})
    generator = random.Random(3)
    failures = 0
    for _ in range(3_000):
        text = list(good)
        for _ in range(generator.randrange(1, 5)):
            place = generator.randrange(len(text))
            text[place] = generator.choice('{}[],:"\\0e.-9\ud800\x00 ') * generator.choice((0, 1, 1, 70))
        try:
            read_json("".join(text))
        except JsonProblem:
            failures += 1
    assert 100 < failures < 3_000
