"""Operations of a program a token, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import ARCHITECTURE, bare_model, golf_model

from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.lab.train.program_cost import forward_flops, training_flops


def test_linear_maps_and_attention_of_the_baseline():
    """Each layer: q, k, v, projection, two maps of the MLP; a query of 16 positions sees 8.5 on average."""
    width, key, mlp, length = 16, 8, 32, ARCHITECTURE["seq_len"]
    layer = 2 * (2 * width * width + 2 * width * key + 2 * width * mlp) + 2 * (length + 1) / 2 * 2 * width
    assert forward_flops(golf_model(1)) == pytest.approx(2 * layer + 2 * width * ARCHITECTURE["vocab_size"])
    assert training_flops(golf_model(1)) == 3 * forward_flops(golf_model(1))


def test_a_layer_that_is_used_twice_counts_twice():
    once, twice = golf_model(1), golf_model(1, encoder_layers=[0, 1], decoder_layers=[0, 1])
    head = 2 * 16 * ARCHITECTURE["vocab_size"]
    assert forward_flops(twice) - head == pytest.approx(2 * (forward_flops(once) - head))


@pytest.mark.parametrize(("window", "seen"), [(0, 2.5), (1, 1.0), (2, 1.75), (9, 2.5)])
def test_a_window_of_attention(window, seen):
    """Four positions see 1, 2, 3, 4 of them, at most `window`."""
    capped = op.CappedAttention(0, 0, 0, 1, 1, 1.0, window, False, 30.0)
    for attention in (op.Attention(0, 0, 0, 1, 1, 1.0, window), capped):
        program = Program((op.Embed(0), attention, op.Linear(1, 1)), 3, 4, 1)
        assert forward_flops(bare_model(program, np.ones((3, 2)), np.ones((3, 2)))) == pytest.approx(
            2 * 2 * 3 + 2 * seen * (2 + 2)
        )


def test_a_scan_goes_over_its_state():
    """Four heads of one element, two groups of two: each element of the state decays, takes in and is read."""
    program = Program((op.Embed(0), op.Scan(0, 0, 0, 0, 4, 2, 2), op.Linear(1, 1)), 3, 4, 1)
    model = bare_model(program, np.ones((3, 4)), np.ones((3, 4)), np.ones(4))
    assert forward_flops(model) == pytest.approx(2 * 4 * 3 + 5 * 4 * 2)


def test_the_delta_rule_compares_first():
    program = Program((op.Embed(0), op.DeltaScan(0, 0, 0, 0, 0, 4, 2, 2), op.Linear(1, 1)), 3, 4, 1)
    model = bare_model(program, np.ones((3, 4)), np.ones((3, 4)), np.ones(4))
    assert forward_flops(model) == pytest.approx(2 * 4 * 3 + 7 * 4 * 2)
