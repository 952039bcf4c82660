"""OpenELM, whose layers have heads and widths of their own, against a plain forward pass; what is not as it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens, drawn_weights

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.errors import CheckpointError

WIDTH, HEAD, VOCABULARY, BASE = 32, 8, 29, 500.0
LAYERS = ((4, 2, 24), (2, 1, 40), (6, 3, 8))  # heads of queries and of keys, width of the MLP
CONFIG = {
    **{"model_type": "openelm", "model_dim": WIDTH, "num_transformer_layers": 3, "head_dim": HEAD, "bos_token_id": 1},
    **{"rope_freq_constant": BASE, "max_context_length": 64, "activation_fn_name": "swish", "vocab_size": VOCABULARY},
    **{"normalize_qk_projections": True, "share_input_output_layers": True, "ffn_with_glu": True},
    **{"num_query_heads": [4, 2, 6], "num_kv_heads": [2, 1, 3]},
}


def state_of(normalized: bool = True, tied: bool = True) -> dict[str, np.ndarray]:
    shapes = {"transformer.token_embeddings.weight": (VOCABULARY, WIDTH), "transformer.norm.weight": (WIDTH,)}
    shapes |= {} if tied else {"lm_head.weight": (VOCABULARY, WIDTH)}
    for layer, (heads, key_heads, width) in enumerate(LAYERS):
        inside = {
            **{"attn_norm": (WIDTH,), "attn.qkv_proj": ((heads + 2 * key_heads) * HEAD, WIDTH)},
            **{"attn.out_proj": (WIDTH, heads * HEAD), "ffn_norm": (WIDTH,)},
            **{"ffn.proj_1": (2 * width, WIDTH), "ffn.proj_2": (WIDTH, width)},
            **({"attn.q_norm": (HEAD,), "attn.k_norm": (HEAD,)} if normalized else {}),
        }
        shapes |= {f"transformer.layers.{layer}.{name}.weight": shape for name, shape in inside.items()}
    return drawn_weights(shapes)


def normed(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain


def turned(x: torch.Tensor) -> torch.Tensor:
    """[..., positions, HEAD], each pair of elements of the two halves by its angle."""
    angles = torch.arange(x.shape[-2])[:, None] * BASE ** (-torch.arange(0, HEAD, 2) / HEAD)
    first, second = x[..., : HEAD // 2], x[..., HEAD // 2 :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def plain_logits(state: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """float64 [sequences, length, vocabulary]"""
    w = {name.removeprefix("transformer."): torch.from_numpy(values).double() for name, values in state.items()}
    x = w["token_embeddings.weight"][torch.from_numpy(tokens)]
    hidden = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    for layer, (heads, key_heads, _) in enumerate(LAYERS):
        own = {name.split(".", 2)[2]: values for name, values in w.items() if name.startswith(f"layers.{layer}.")}
        y = normed(x, own["attn_norm.weight"]) @ own["attn.qkv_proj.weight"].T
        y = y.unflatten(-1, (-1, HEAD)).transpose(1, 2)
        q, k, v = y.split([heads, key_heads, key_heads], 1)
        if "attn.q_norm.weight" in own:
            q, k = normed(q, own["attn.q_norm.weight"]), normed(k, own["attn.k_norm.weight"])
        k, v = (each.repeat_interleave(heads // key_heads, 1) for each in (turned(k), v))
        scores = (turned(q) @ k.transpose(2, 3) / HEAD**0.5).masked_fill(hidden, -torch.inf)
        x = x + (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ own["attn.out_proj.weight"].T
        gate, up = (normed(x, own["ffn_norm.weight"]) @ own["ffn.proj_1.weight"].T).chunk(2, -1)
        x = x + (torch.nn.functional.silu(gate) * up) @ own["ffn.proj_2.weight"].T
    return (normed(x, w["norm.weight"]) @ w.get("lm_head.weight", w["token_embeddings.weight"]).T).numpy()


@pytest.mark.parametrize(("normalized", "tied"), [(True, True), (False, False)])
def test_layers_of_their_own_sizes_compute_what_they_should_and_come_back(normalized, tied):
    state = state_of(normalized, tied)
    config = CONFIG | {"normalize_qk_projections": normalized, "share_input_output_layers": tied}
    model, tokens = build_model(checkpoint_of(state, config)), drawn_tokens(VOCABULARY)
    assert_computes(model, plain_logits(state, tokens), tokens)
    assert model.architecture["layer_heads"] == [4, 2, 6] and model.architecture["layer_widths"] == [24, 40, 8]
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys() and all(np.array_equal(restored[name], state[name]) for name in state)
    again = build_model(checkpoint_of(state, None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program


WRONG = [
    ({"normalize_qk_projections": False}, "says use_qk_norm False, the tensors say use_qk_norm True"),
    ({"model_dim": 16}, "says hidden_size 16, the tensors say hidden_size 32"),
    ({"head_dim": 16}, "says head_dim 16, the tensors say head_dim 8"),
    ({"activation_fn_name": "mish"}, "has the activation 'mish', which is no instruction"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_does_not_agree_is_refused(changes, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state_of(), CONFIG | changes))
    assert message in str(caught.value)


def test_a_layer_that_lacks_a_map_is_named():
    state = {name: values for name, values in state_of().items() if "1.ffn.proj_2" not in name}
    with pytest.raises(CheckpointError, match=r"missing: transformer\.layers\.1\.ffn\.proj_2\.weight|nothing tells"):
        build_model(checkpoint_of(state, CONFIG))
