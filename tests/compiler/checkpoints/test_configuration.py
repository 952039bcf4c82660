"""What a config.json says goes into the artifact, so what no artifact can hold is refused before a compile."""

from __future__ import annotations

import datetime
import json

import pytest

from bytecap.compiler.checkpoints.configuration import Configuration, configuration_inside, model_configuration
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


SIZES = {"n_layer": 2, "n_head": 3, "n_embd": 24}
PLACES = [
    ({"config": SIZES}, "'config' in the file"),
    ({"hyper_parameters": {"config": SIZES, "lr": 1e-3}}, "'hyper_parameters.config' in the file"),
    ({"cfg": {"model": {"name": "gpt", "params": SIZES}, "data": {"path": "x"}}}, "'cfg.model.params' in the file"),
    ({"step": 3, "lr": 1e-3, **SIZES}, "what stands beside the weights in the file"),
    ({"config": {"lr": 1e-3}, "args": {"model": SIZES}}, "'args.model' in the file"),
]


@pytest.mark.parametrize(("content", "source"), PLACES)
def test_what_describes_a_model_is_found_where_people_keep_it(content, source):
    found = configuration_inside({"model": {}, **content})
    assert found is not None and found.source == source
    assert SIZES.items() <= found.values.items()


@pytest.mark.parametrize("content", [{"config": {"teacher": SIZES, "student": SIZES}}, {"config": {"lr": 1}}, {}])
def test_nothing_is_chosen_of_several_or_of_what_describes_no_model(content):
    assert configuration_inside({"model": {}, **content}) is None
