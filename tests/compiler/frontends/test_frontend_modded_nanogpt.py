"""The frontend of modded-nanogpt: three records against a plain forward pass, and the variant that is asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden_logits import assert_computes, checkpoint_of
from naive_modded_nanogpt import SECOND, THIRD, NaiveModded

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.model.structure import find_head
from bytecap.compiler.rewrites.free_units import find_hidden_units
from bytecap.errors import CheckpointError

RECORDS = {
    "2025-01-26": NaiveModded("2025-01-26", 12, (7,)),
    SECOND: NaiveModded(SECOND, 12, (0, 7), (0,)),
    THIRD: NaiveModded(THIRD, 11, (6,)),
}
BOUNDARY = 3


def given(variant: str) -> dict[str, object]:
    return {"variant": variant, "head_dim": 8, "boundary_token": BOUNDARY}


@pytest.mark.parametrize("variant", RECORDS)
def test_a_program_computes_what_the_record_computes(variant):
    """Over several documents, and beyond the short windows of those that have them."""
    naive = RECORDS[variant]
    state = naive.state()
    model = build_model(checkpoint_of(state, None), given(variant))
    length = min(model.program.sequence_length, 820)
    tokens = np.random.default_rng(0).integers(4, 27, (1, length))
    tokens[0, [9, 40]] = BOUNDARY
    assert_computes(model, naive.logits(state, tokens[0], BOUNDARY)[None], tokens, 1e-4)
    again = build_model(checkpoint_of(state, None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.defaults == ()


@pytest.mark.parametrize("variant", RECORDS)
def test_the_stored_tensors_come_back_bit_for_bit(variant):
    state = RECORDS[variant].state(1)
    model = build_model(checkpoint_of(state, None), given(variant))
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    for name, values in restored.items():
        assert values.shape == state[name].shape and np.array_equal(values, state[name]), name


@pytest.mark.parametrize("variant", RECORDS)
def test_the_analyses_find_its_units(variant):
    naive = RECORDS[variant]
    model = build_model(checkpoint_of(naive.state(), None), given(variant))
    assert len(find_hidden_units(model.program)) == naive.layers - len(naive.without_mlp)
    assert find_head(model.program) is not None


@pytest.mark.parametrize(
    ("variant", "architecture", "message"),
    [
        (SECOND, {}, "compute different things with them; say which in an --architecture file: variant = one of 2025-"),
        (SECOND, {"variant": "2026-05-27"}, "variant is '2026-05-27'; it must be one of 2025-01-26, 2025-10-04"),
        (SECOND, {"variant": THIRD}, "does not fit modded-nanogpt of 2025-12-26 with 12 layers of width 16"),
        (SECOND, {"variant": SECOND, "head_dim": 5}, "head_dim 5 does not divide the width 16 into heads of 4 n"),
        (
            "2025-01-26",
            {"variant": "2025-01-26", "head_dim": 8, "seq_len": 897},
            "seq_len 897 is beyond the 896 tokens",
        ),
        (
            "2025-01-26",
            {"variant": "2025-01-26", "head_dim": 8, "boundary_token": 32},
            "boundary_token 32 is not below",
        ),
    ],
)
def test_what_is_not_told_or_does_not_fit_is_one_clear_error(variant, architecture, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(RECORDS[variant].state(), None), architecture)
    assert message in str(caught.value)
