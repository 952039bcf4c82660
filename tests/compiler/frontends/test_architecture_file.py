"""Hyperparameters that somebody wrote: numbers of any size and values of any kind are refused in words."""

from __future__ import annotations

import json

import pytest

from bytecap.compiler.frontends.architecture_file import Parameter, checked_parameters, read_architecture
from bytecap.errors import CheckpointError

PARAMETERS = {
    "whole": Parameter(int, least=1),
    "number": Parameter(float),
    "flag": Parameter(bool),
    "word": Parameter(str, choices=("a", "b")),
    "layers": Parameter(list),
    "table": Parameter(dict),
}
VALUES = ["1" + "0" * 400, "-1" + "0" * 400, "1e400", "NaN", "-Infinity", '"\\u001b[31m\\ud800"', '["x", {}]', "null"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", PARAMETERS)
def test_values_of_no_sense_are_refused_in_a_line(name, value, tmp_path):
    path = tmp_path / "architecture.json"
    path.write_text(f'{{"{name}": {value}}}')
    with pytest.raises(CheckpointError, match=name) as caught:
        checked_parameters(read_architecture(path), PARAMETERS, "tiny")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


NO_TEXT = ['{"a":' * 20_000, "a = " + "[" * 20_000, json.dumps({"a": 1})[:-1], "a = 0x"]
NO_TEXT += ['{"a": 1, "a": 2}', "a = " + "[" * 99 + "]" * 99]


@pytest.mark.parametrize("text", NO_TEXT)
def test_what_no_parser_reads_is_named(text, tmp_path):
    path = tmp_path / "architecture"
    path.write_text(text)
    with pytest.raises(CheckpointError, match="is not valid"):
        read_architecture(path)
