"""What a config.json says goes into the artifact, so what no artifact can hold is refused before a compile."""

from __future__ import annotations

import datetime
import json

import pytest

from bytecap.compiler.checkpoints.configuration import Configuration, model_configuration
from bytecap.errors import CheckpointError

DEEP = json.loads('{"a":' * 70 + "1" + "}" * 70)


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], "\ud800", {"\udfff": 1}, DEEP, datetime.date(2026, 1, 1)], ids=repr
)
def test_values_that_no_artifact_holds_are_named(value):
    with pytest.raises(CheckpointError, match=r"config\.json: the value of 'odd'"):
        model_configuration(Configuration({"model_type": "llama", "odd": value}, "config.json"))


def test_other_values_are_kept():
    values = {"model_type": "llama", "a": None, "b": [1, 2.5, "é", {"c": True}]}
    assert model_configuration(Configuration({**values, "_name_or_path": "\ud800"}, "config.json")) == values
