"""Fresh models: functions of architecture and seed, with the challenge's starting values, of known
architectures only.
"""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.frontends import FRONTENDS
from bytecap.errors import CheckpointError
from bytecap.lab.train.fresh_models import INITIAL_STATES, initial_model


def test_initial_models_are_functions_of_their_arguments():
    architecture = {
        "vocab_size": 40,
        "num_layers": 3,
        "model_dim": 24,
        "num_heads": 2,
        "num_kv_heads": 1,
        "mlp_mult": 2,
        "seq_len": 16,
        "qk_gain_init": 1.25,
    }
    one, same, other = (initial_model(architecture, seed) for seed in (5, 5, 6))
    values = {t.name: t.values for t in one.tensors}
    assert all(np.array_equal(a.values, b.values) for a, b in zip(one.tensors, same.tensors, strict=True))
    assert not np.array_equal(values["tok_emb.weight"], other.tensors[0].values)
    assert not values["blocks.0.attn.proj.weight"].any() and not values["blocks.2.mlp.proj.weight"].any()
    assert (values["blocks.1.attn.q_gain"] == 1.25).all() and (values["skip_weights"] == 1).all()
    assert abs(values["blocks.0.mlp.fc.weight"]).max() <= 24**-0.5
    assert values["tok_emb.weight"].std() == pytest.approx(0.005, rel=0.1)
    assert one.program.sequence_length == 16 and one.architecture["mlp_mult"] == 2


def test_the_default_initial_model_is_the_challenge_baseline():
    assert initial_model({}, 0).parameters == 17_059_912


def test_fresh_weights_are_of_an_architecture_that_a_frontend_reads():
    assert set(INITIAL_STATES) <= set(FRONTENDS)


@pytest.mark.parametrize("name", ["gpt-9", ["parameter-golf"]])
def test_an_architecture_that_cannot_be_started_is_refused(name):
    with pytest.raises(CheckpointError, match=r"no fresh weights for the architecture .*; known are parameter-golf"):
        initial_model({"frontend": name}, 0)
