"""Checkpoints whose tensors are nearly a family's: the refusal names what is missing and what is there in its place."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import checkpoint_of, golden_logits

from bytecap.compiler.frontends import FRONTENDS, build_model
from bytecap.compiler.frontends.inexpressible import INEXPRESSIBLE
from bytecap.errors import CheckpointError

END = "; it is another architecture, or has other names for its tensors, which --rename FROM=TO changes"


def refusal(state: dict[str, np.ndarray], config: dict[str, object] | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, config))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "gpt2",
            "mlp.c_fc.weight",
            "mlp.widen.weight",
            "lacks tensors of gpt2 (transformer.h.N.mlp.c_fc.weight); unexpected: transformer.h.0.mlp.widen.weight",
        ),
        (
            "gpt2",
            "ln_1.weight",
            "ln_1.gamma",
            "lacks tensors of gpt2 (transformer.h.N.ln_1.weight); unexpected: transformer.h.0.ln_1.gamma",
        ),
        (
            "gpt-neox",
            "dense_4h_to_h.weight",
            "shrink.weight",
            "lacks the tensors of gpt_neox that would tell hidden_size (gpt_neox.layers.N.mlp.dense_4h_to_h.weight); "
            "unexpected: gpt_neox.layers.0.mlp.shrink.weight",
        ),
        (
            "llama",
            "model.embed_tokens.weight",
            "model.table.weight",
            "lacks the tensors of llama that would tell vocab_size, hidden_size (model.embed_tokens.weight); "
            "unexpected: model.table.weight",
        ),
    ],
)
def test_what_is_missing_and_what_is_in_its_place_is_named(name, old, new, message):
    golden = golden_logits(name)
    state = {tensor.replace(old, new): values for tensor, values in golden.state().items()}
    without_heads = {key: value for key, value in golden.config.items() if "head" not in key}
    assert refusal(state, golden.config) == f"folder {message}{END}"
    if name != "llama":  # heads are not asked for where no answer would help
        assert refusal(state, without_heads) == f"folder {message}{END}"


def test_a_tensor_of_the_challenge_by_another_name_is_named():
    shapes = {
        "tok_emb.weight": (29, 24),
        "blocks.0.attn.q_gain": (3,),
        "blocks.0.attn.c_k.weight": (24, 24),
        "blocks.0.mlp.gate_up.weight": (96, 24),
        "blocks.1.mlp.gate_up.weight": (96, 24),
        "pass_gate": (3, 24),
    }
    message = refusal({name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    assert message.startswith("folder lacks the tensors of parameter-golf that would tell ")
    assert message.endswith(f"; unexpected: blocks.0.mlp.gate_up.weight, pass_gate{END}")


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("some_mixer", ", which no frontend knows; known are "),
        ("nemotron_h", ": its layers carry a state from token to token (a recurrence), which no instruction computes"),
        ("qwen3_moe", ": it sends each token to a few of its experts, which no instruction computes"),
        ("roberta", ": it is an encoder, which predicts no next token"),
        ("t5", ": it writes one text from another (an encoder and a decoder), and models no text by itself"),
    ],
)
def test_a_model_type_is_told_where_only_common_names_are_known(model_type, reason):
    """And what is in the way of it, where no instruction computes what it does."""
    names = ("lm_head.weight", "backbone.embeddings.weight", "backbone.norm_f.weight", "backbone.layers.0.mixer.D")
    message = refusal({name: np.ones((4, 4), np.float32) for name in names}, {"model_type": model_type})
    assert message.startswith(f"folder: config.json beside it says that this is a '{model_type}'{reason}")


def test_no_model_type_is_both_known_and_inexpressible():
    known = {each for frontend in FRONTENDS.values() for each in frontend.model_types}
    assert not known & INEXPRESSIBLE.keys()
