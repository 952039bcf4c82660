"""GPTs and Llamas that people wrote themselves: programs against the torch modules whose state_dicts they read."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, both_logits, checkpoint_of, drawn_tokens, golden_logits
from handwritten_cases import MODELS
from handwritten_models import TutorialGpt, TutorialLlama
from handwritten_parts import VOCABULARY, halves, neighbours, with_weights
from handwritten_states import (
    HALVES,
    HEAD,
    METAS,
    NEIGHBOURS,
    PLAIN,
    H,
    State,
    assert_computed_and_given_back,
    checkpoint_with,
    logits_of,
    state_of,
)

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.errors import CheckpointError


@pytest.mark.parametrize("name", MODELS)
def test_a_program_computes_what_the_module_computes_and_gives_its_tensors_back(name):
    assert_computed_and_given_back(*MODELS[name])


def test_logits_may_be_capped():
    make, said, _ = MODELS["tutorial-llama"]
    module, tokens = with_weights(make()), drawn_tokens(VOCABULARY)
    cap = 3.0
    model = build_model(checkpoint_with(state_of(module), {**METAS, "softcap": cap}), said)
    assert_computes(model, cap * np.tanh(logits_of(module, tokens) / cap), tokens)


def turned(state: State) -> State:
    """Maps as [inputs, outputs] under the names that Flax has for them, tables as they are."""
    endings = {"embedding.weight": "embedding/embedding", "ln_final.weight": "ln_final/scale"}
    found = {}
    for name, values in state.items():
        for old, new in (*endings.items(), ("ln1.weight", "ln1.scale"), ("ln2.weight", "ln2.scale")):
            name = name.replace(old, new)
        flat = values.ndim == 1 or "embedding" in name
        found[name.replace(".weight", ".kernel").replace(".", "/")] = values if flat else np.ascontiguousarray(values.T)
    return {f"params/{name}": values for name, values in found.items()}


@pytest.mark.parametrize("kind", ["joined", "by_head", "separate", "half"])
def test_maps_may_be_stored_as_inputs_by_outputs(kind):
    module, tokens = with_weights(TutorialGpt(kind)), drawn_tokens(VOCABULARY)
    state = turned(state_of(module))
    model = build_model(checkpoint_of(state, None), {**H, **PLAIN, "fused_by_head": kind == "by_head"})
    assert_computes(model, logits_of(module, tokens), tokens)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[name], values) for name, values in state.items())


def under_metas_names(state: State) -> State:
    names = {
        "token_embedding": "tok_embeddings",
        "attn_norm": "attention_norm",
        ".ffn.": ".feed_forward.",
        "norm_f": "norm",
    }
    for own, other in names.items():
        state = {name.replace(own, other): values for name, values in state.items()}
    return state


def test_metas_names_may_be_those_of_other_rotations():
    """The tensors are the same: what is taken for granted is said, and a way to say otherwise with it."""
    tokens, said = drawn_tokens(VOCABULARY), {**H, "rope_theta": 10_000, "rms_norm_eps": 1e-6, "hidden_act": "silu"}
    of_metas, of_halves = (with_weights(TutorialLlama(turn)) for turn in (neighbours(10_000.0), halves(10_000.0, HEAD)))
    state = under_metas_names(state_of(of_metas))
    model = build_model(checkpoint_of(state, None), said)
    assert_computes(model, logits_of(of_metas, tokens), tokens)
    [note] = model.notes
    assert note.endswith(
        "whose rotations turn neighbouring elements of a head; if yours turn those of its two halves, say frontend = "
        '"gpt", family = "handwritten" and rope_interleaved = false in an --architecture file'
    )
    model = build_model(checkpoint_of(state, None), {"frontend": "gpt", "family": "handwritten", **HALVES})
    assert_computes(model, logits_of(of_halves, tokens), tokens)
    assert model.notes == (
        "which part each tensor plays is told by the words of its name: table tok_embeddings.weight, norm norm.weight, "
        "head output.weight, attention_norm layers.N.attention_norm.weight, query layers.N.attention.wq.weight, "
        "key layers.N.attention.wk.weight, value layers.N.attention.wv.weight, output layers.N.attention.wo.weight, "
        "mlp_norm layers.N.ffn_norm.weight, gate layers.N.feed_forward.w1.weight, "
        "down layers.N.feed_forward.w2.weight, up layers.N.feed_forward.w3.weight",
    )
    assert build_model(checkpoint_with(state, METAS)).notes == (note,)  # the sizes are those of others' code, too
    assert build_model(checkpoint_with(state, {**METAS, "multiple_of": 8})).notes == (note,)  # and of forks of Meta's


def test_a_configuration_of_ones_own_beside_transformers_names_is_read_and_assumes_no_constants():
    """Its rope_base was passed over, and the base that a config.json leaves out was taken."""
    module, tokens = (
        with_weights(TutorialLlama(halves(500.0, HEAD), maps="gate_proj up_proj down_proj")),
        drawn_tokens(VOCABULARY),
    )
    state = under_transformers_names(state_of(module))
    own = {"d_model": 24, "n_layers": 2, "n_heads": 3, "rope_base": 500.0, "norm_eps": 1e-6, "act": "SwiGLU"}
    model = build_model(checkpoint_with(state, own), {"family": "llama"})
    assert_computes(model, logits_of(module, tokens), tokens)
    assert model.told["rope_theta"] == model.told["rms_norm_eps"] == "its file" and len(model.notes) == 1
    for missing, named in (("rope_base", "rope_theta"), ("norm_eps", "rms_norm_eps"), ("act", "hidden_act")):
        less = {name: value for name, value in own.items() if name != missing}
        with pytest.raises(CheckpointError, match=f"nothing tells {named}, which change"):
            build_model(checkpoint_with(state, less), {"family": "llama"})
    for foreign in (
        {"qk_norm": True},
        {"scale_embedding": True},
        {"softcap": 15.0},
        {"pre_norm": False},
        {"unit_offset": True},
    ):
        with pytest.raises(CheckpointError, match="which the code of llama has not"):
            build_model(checkpoint_with(state, own | foreign), {"family": "llama"})


def test_transformers_names_may_be_those_of_other_rotations():
    tokens, said = drawn_tokens(VOCABULARY), {**H, "rope_theta": 10_000, "rms_norm_eps": 1e-6, "hidden_act": "silu"}
    of_halves, of_neighbours = (
        with_weights(TutorialLlama(turn, maps="gate_proj up_proj down_proj"))
        for turn in (halves(10_000.0, HEAD), neighbours(10_000.0))
    )
    state = under_transformers_names(state_of(of_halves))
    model = build_model(checkpoint_of(state, None), {**said, "family": "llama"})
    assert_computes(model, logits_of(of_halves, tokens), tokens)
    [note] = model.notes
    assert note == (
        "its names are those of transformers, whose rotations turn the elements of a head's two halves; if yours turn "
        'neighbouring ones, say frontend = "gpt", family = "handwritten" and rope_interleaved = true in an '
        "--architecture file"
    )
    model = build_model(checkpoint_of(state, None), {"frontend": "gpt", "family": "handwritten", **NEIGHBOURS})
    assert_computes(model, logits_of(of_neighbours, tokens), tokens)


def under_transformers_names(state: State) -> State:
    names = {"token_embedding": "model.embed_tokens", "norm_f": "model.norm", "output.": "lm_head.", ".ffn.": ".mlp."}
    names |= {"layers.": "model.layers.", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    names |= {f"attention.w{kind}": f"self_attn.{kind}_proj" for kind in "qkvo"}
    for own, other in names.items():
        state = {name.replace(own, other): values for name, values in state.items()}
    return state


def test_norms_without_biases_may_be_of_either_kind():
    """nanoGPT's tensors with bias=False, and those of a fork of it whose norms are RMSNorm."""
    golden, tokens = golden_logits("gpt2"), drawn_tokens(VOCABULARY)
    state = {n: np.ascontiguousarray(v.T) if ".c_" in n else v for n, v in golden.state().items()}
    bare = {name: values for name, values in state.items() if not name.endswith(".bias")}
    said = {**H, "hidden_act": "gelu"}
    [note] = build_model(checkpoint_of(bare, None), said).notes
    assert note == (
        'its norms have no biases and are taken for LayerNorm; if they are RMSNorm, say family = "handwritten" and '
        'norm = "rms_norm" in an --architecture file'
    )
    assert not build_model(checkpoint_of(state, None), said).notes
    own = {**said, "family": "handwritten", "norm": "rms_norm", "layer_norm_eps": 1e-5, "norm_first": True}
    kinds = {type(each).__name__ for each in build_model(checkpoint_of(bare, None), own).program.instructions}
    assert "RmsNorm" in kinds and "LayerNorm" not in kinds
    plain = build_model(checkpoint_of(bare, None), {**own, "norm": "layer_norm"})
    assert_computes(plain, both_logits(build_model(checkpoint_of(bare, None), said), tokens)[0], tokens)
