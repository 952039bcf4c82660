"""What the reader refuses is refused before a compile measures anything, whatever the limit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from tiny_models import bare_model, golf_model

from bytecap.compiler.inputs import artifact_budget
from bytecap.compiler.model.model import ModelTensor
from bytecap.compiler.storable import check_storable
from bytecap.errors import CheckpointError
from bytecap.format.container.limits import DEFAULT_LIMITS, Limits
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program

MODEL = golf_model()
PROVENANCE = {"recipe": "default"}
NOT_BEFORE_QUANTIZING = {
    "products": "low rank",
    "streams": "at most eight",
    "section_bytes": "cap",
    "sections": "seven",
}


def test_a_model_within_the_limits_passes():
    check_storable(MODEL, PROVENANCE, "m.pt")


@pytest.mark.parametrize("limit", [f.name for f in fields(Limits) if f.name not in NOT_BEFORE_QUANTIZING])
def test_every_limit_of_the_reader_is_asked(limit):
    with pytest.raises(CheckpointError, match=r"^m\.pt: no artifact can hold this model.*\[R-[A-Z]+-\d+\]"):
        check_storable(MODEL, PROVENANCE, "m.pt", replace(DEFAULT_LIMITS, **{limit: 1}))


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [("x" * 256, (4, 4), "256 bytes"), ("a\u202eb", (4, 4), "does not print"), ("t", (4,) + (1,) * 8, "9 dimensions")],
)
def test_names_and_shapes_that_no_directory_holds(name, shape, what):
    program = Program((op.Embed(0), op.Linear(0, 0)), 4, 8, 1)
    model = replace(bare_model(program), tensors=(ModelTensor(name, np.ones(shape, np.float32), "float32"),))
    with pytest.raises(CheckpointError, match=f"no artifact can hold this model.*{what}"):
        check_storable(model, PROVENANCE, "m.pt")


@pytest.mark.parametrize("value", ["\ud800", [[]] * 2, float("nan")])
def test_provenance_that_no_artifact_holds(value):
    deep: object = value
    for _ in range(80):
        deep = [deep]
    with pytest.raises(CheckpointError, match="no artifact can hold"):
        check_storable(MODEL, {"configuration": deep}, "m.pt")


def test_a_budget_is_no_larger_than_what_a_section_holds():
    assert artifact_budget(1 << 40, []) == DEFAULT_LIMITS.section_bytes
    assert artifact_budget(1000, []) == 1000
