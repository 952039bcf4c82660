"""How far an export in another type is from its artifact."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.exports.rounding import Rounding, measure_rounding
from bytecap.errors import OutputError

TENSORS = {"a": np.array([1.0, 1.001, 0.0], np.float32), "b": np.array([[2.0]], np.float32)}


def test_what_a_type_holds_exactly_is_no_change():
    assert measure_rounding(TENSORS, {"a": "float32", "b": "float16"}) == Rounding(4, 0, 0.0)


@pytest.mark.parametrize(("dtype", "spacing"), [("bfloat16", 2.0**-7), ("float16", 2.0**-10)])
def test_rounded_values_are_counted_and_their_error_is_relative(dtype, spacing):
    found = measure_rounding(TENSORS, dict.fromkeys(TENSORS, dtype))
    difference = abs(1.001 - (1 + round(0.001 / spacing) * spacing))
    power = 1 + 1.001**2 + 4
    assert (found.weights, found.changed) == (4, 1)
    assert found.relative_error == pytest.approx(difference / power**0.5, rel=1e-2)


def test_values_beyond_a_type_are_refused_by_name():
    with pytest.raises(OutputError, match="big has values up to 70000, which float16 cannot hold"):
        measure_rounding({"big": np.array([7e4], np.float32)}, {"big": "float16"})
    assert measure_rounding({"big": np.array([7e4], np.float32)}, {"big": "bfloat16"}).changed == 1


def test_an_unknown_type_is_refused():
    with pytest.raises(OutputError, match="dtype 'int4' is not one of float32, float16, bfloat16"):
        measure_rounding({"a": TENSORS["a"]}, {"a": "int4"})
