"""GPTs and Llamas that people wrote themselves: programs against the torch modules whose state_dicts they read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from handwritten_models import LitGpt, LitLlama, RaschkaGpt, RaschkaLlama, TorchEncoder, TutorialGpt, TutorialLlama
from handwritten_parts import HEADS, VOCABULARY, WIDTH, halves, neighbours, with_weights
from torch import nn

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import as_configuration
from bytecap.compiler.checkpoints.stored import stored_torch
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.errors import CheckpointError

HEAD = WIDTH // HEADS
Said = dict[str, object]
State = dict[str, np.ndarray]


def state_of(model: nn.Module) -> State:
    """The state_dict as a checkpoint reads it, without masks."""
    found = without_buffers({name: stored_torch(values) for name, values in model.state_dict().items()})
    return {name: stored.values for name, stored in found.tensors.items() if stored.values is not None}


def checkpoint_with(state: State, config: Said | None) -> Checkpoint:
    """A checkpoint beside a configuration as it is read from a file."""
    return replace(checkpoint_of(state, None), configuration=as_configuration(config, "its file"))


def logits_of(model: nn.Module, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(tokens)).numpy()


H: Said = {"num_attention_heads": HEADS}
ROTATED: Said = {**H, "rotary_dims": HEAD, "rope_theta": 10_000, "layer_norm_eps": 1e-6}
TUTORIAL: Said = {**ROTATED, "norm": "rms_norm", "norm_first": True, "hidden_act": "silu"}
ENCODER: Said = {**H, "norm_first": True, "hidden_act": "gelu"}
NEIGHBOURS: Said = {**TUTORIAL, "rope_interleaved": True}
HALVES: Said = {**TUTORIAL, "rope_interleaved": False}
PLAIN: Said = {"norm_first": True, "hidden_act": "relu"}
LITGPT: Said = {**ROTATED, "parallel_residual": False, "norm": "rms_norm", "hidden_act": "silu"}
MODELS = {
    "raschka-gpt": (lambda: RaschkaGpt(), H, "raschka-gpt"),
    "raschka-gpt-with-biases": (lambda: RaschkaGpt(bias=True), H, "raschka-gpt"),
    "raschka-llama": (lambda: RaschkaLlama(), {**H, "rope_theta": 500_000}, "raschka-llama"),
    "encoder-first": (lambda: TorchEncoder(True, "gelu", "learned"), ENCODER, "handwritten"),
    "encoder-after": (
        lambda: TorchEncoder(False, "relu", "learned"),
        {**ENCODER, "norm_first": False, "hidden_act": "relu"},
        "handwritten",
    ),
    "encoder-without-positions": (lambda: TorchEncoder(True, "gelu", ""), {**ENCODER, "rotary_dims": 0}, "handwritten"),
    "encoder-sines": (
        lambda: TorchEncoder(True, "gelu", "sines", scaled=True),
        {**ENCODER, "scale_embedding": True},
        "handwritten",
    ),
    "encoder-length-first": (
        lambda: TorchEncoder(True, "gelu", "first"),
        {**ENCODER, "scale_embedding": False},
        "handwritten",
    ),
    "litgpt-llama": (lambda: LitGpt(llama=True), LITGPT, "litgpt"),
    "litgpt-neox": (
        lambda: LitGpt(llama=False),
        {**H, "rotary_dims": HEAD // 2, "rope_theta": 10_000, "parallel_residual": True, "hidden_act": "gelu"},
        "litgpt",
    ),
    "lit-llama": (lambda: LitLlama(), H, "lit-llama"),
    "tutorial-llama": (lambda: TutorialLlama(neighbours(10_000.0)), NEIGHBOURS, "handwritten"),
    "tutorial-llama-halves": (lambda: TutorialLlama(halves(10_000.0, HEAD)), HALVES, "handwritten"),
    "tutorial-llama-tied": (lambda: TutorialLlama(neighbours(10_000.0), tied=True), NEIGHBOURS, "handwritten"),
    "tutorial-llama-named": (
        lambda: TutorialLlama(halves(10_000.0, HEAD), maps="gate_proj up_proj down_proj"),
        HALVES,
        "handwritten",
    ),
    "tutorial-llama-second": (
        lambda: TutorialLlama(halves(10_000.0, HEAD), maps="w1 w2 w3", second_gate=True),
        {**HALVES, "gate_first": False},
        "handwritten",
    ),
    "tutorial-gpt-joined": (lambda: TutorialGpt("joined"), {**H, **PLAIN}, "handwritten"),
    "tutorial-gpt-separate": (lambda: TutorialGpt("separate", bias=False), {**H, **PLAIN}, "handwritten"),
    "tutorial-gpt-heads": (lambda: TutorialGpt("heads"), {**PLAIN, "scale_by_width": False}, "handwritten"),
    "tutorial-gpt-heads-unbiased": (
        lambda: TutorialGpt("heads", bias=False),
        {**PLAIN, "scale_by_width": False},
        "handwritten",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_program_computes_what_the_module_computes_and_gives_its_tensors_back(name):
    make, said, family = MODELS[name]
    module, tokens = with_weights(make()), drawn_tokens(VOCABULARY)
    state = state_of(module)
    model = build_model(checkpoint_of(state, None), said)
    assert_computes(model, logits_of(module, tokens), tokens)
    assert model.architecture["family"] == family
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[name], values) for name, values in state.items())


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


@pytest.mark.parametrize("kind", ["joined", "separate"])
def test_maps_may_be_stored_as_inputs_by_outputs(kind):
    module, tokens = with_weights(TutorialGpt(kind)), drawn_tokens(VOCABULARY)
    state = turned(state_of(module))
    model = build_model(checkpoint_of(state, None), {**H, **PLAIN})
    assert_computes(model, logits_of(module, tokens), tokens)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[name], values) for name, values in state.items())


ENCODER_STATE = state_of(with_weights(TorchEncoder(True, "gelu", "learned")))
LLAMA_STATE = state_of(with_weights(TutorialLlama(neighbours(10_000.0))))
SECOND_STATE = state_of(with_weights(TutorialLlama(neighbours(10_000.0), maps="w1 w2 w3")))
ASKED = [
    (ENCODER_STATE, {}, "handwritten", "num_attention_heads, hidden_act, norm_first"),
    (
        LLAMA_STATE,
        {},
        "handwritten",
        "num_attention_heads, hidden_act, layer_norm_eps, rotary_dims, rope_theta, norm_first, norm, rope_interleaved",
    ),
    (LLAMA_STATE, {**H, **PLAIN, "rotary_dims": 0, "norm": "layer_norm"}, "", ""),
    (SECOND_STATE, {**TUTORIAL, "rope_interleaved": True}, "handwritten", "gate_first"),
    (state_of(TorchEncoder(True, "gelu", "sines")), ENCODER, "handwritten", "scale_embedding"),
    (state_of(TutorialGpt("heads")), PLAIN, "handwritten", "scale_by_width"),
    (state_of(RaschkaGpt()), {}, "raschka-gpt", "num_attention_heads"),
    (state_of(RaschkaLlama()), {}, "raschka-llama", "num_attention_heads, rope_theta"),
    (state_of(LitLlama()), {}, "lit-llama", "num_attention_heads"),
    (
        state_of(LitGpt(llama=False)),
        {},
        "litgpt",
        "num_attention_heads, hidden_act, rotary_dims, rope_theta, parallel_residual",
    ),
]


@pytest.mark.parametrize(("state", "said", "family", "untold"), ASKED)
def test_what_neither_names_nor_shapes_tell_is_asked_for(state, said, family, untold):
    if not untold:
        assert build_model(checkpoint_of(state, None), said).told["rope_theta"] == "shapes"
        return
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), said)
    begin = f"folder has the tensors of {family}, and nothing tells {untold}, which change what the model computes; put"
    assert str(caught.value).startswith(begin)


def test_what_most_peoples_code_does_is_assumed():
    model = build_model(checkpoint_of(ENCODER_STATE, None), ENCODER)
    assert model.assumed == {
        "layer_norm_eps": 1e-5,
        "rotary_dims": 0,
        "parallel_residual": False,
        "scale_attention": True,
        "scale_by_width": False,
        "scale_by_layer": False,
        "sliding_window": 0,
        "sliding_layers": [],
        "boundary_token": 0,
        "fused_by_head": False,
        "scale_embedding": False,
    }
    assert model.told["norm"] == model.told["final_norm"] == "shapes"


SIZES: Said = {"d_model": WIDTH, "nhead": HEADS, "num_layers": 2, "dim_feedforward": 40, "vocab_size": VOCABULARY}
METAS: Said = {"dim": WIDTH, "n_heads": HEADS, "n_layers": 2, "norm_eps": 1e-6, "vocab_size": VOCABULARY}
NANOGPTS: Said = {"n_embd": WIDTH, "n_head": HEADS, "n_layer": 2, "bias": False, "block_size": 32}


@pytest.mark.parametrize(
    ("state", "config", "said"),
    [
        (ENCODER_STATE, {**SIZES, "activation": "gelu", "dropout": 0.1, "lr": 3e-4}, {"norm_first": True}),
        (ENCODER_STATE, {**SIZES, "max_len": 32, "use_moe": False}, {"norm_first": True, "hidden_act": "gelu"}),
        (ENCODER_STATE, {**METAS, "norm_eps": 1e-5}, {"norm_first": True, "hidden_act": "gelu"}),
        (LLAMA_STATE, {**NANOGPTS, "norm_eps": 1e-6, "rope_base": 10_000.0}, {**NEIGHBOURS, "seq_len": 1024}),
    ],
)
def test_a_configuration_under_other_names_is_read(state, config, said):
    known = build_model(checkpoint_of(state, None), ENCODER if state is ENCODER_STATE else NEIGHBOURS)
    assert build_model(checkpoint_with(state, config), said).program == known.program


@pytest.mark.parametrize(
    ("state", "config", "said", "message"),
    [
        (ENCODER_STATE, METAS, {"norm_first": True}, "nothing tells hidden_act, which"),  # llama2.c's silu is not its
        (ENCODER_STATE, {**SIZES, "nhead": 5}, {}, "num_attention_heads 5 does not divide hidden_size 24"),
        (ENCODER_STATE, {**SIZES, "d_model": 32}, {}, "says hidden_size 32, the tensors say hidden_size 24"),
        (
            ENCODER_STATE,
            {**SIZES, "use_alibi": True},
            {},
            "says use_alibi True, which the code of handwritten has not: the model may compute otherwise; if it does "
            'not, say family = "handwritten" in an --architecture file',
        ),
        (ENCODER_STATE, None, {**ENCODER, "norm": "rms_norm", "layer_norm_eps": 1e-6}, "unexpected: transformer_enc"),
        (
            ENCODER_STATE,
            None,
            {**ENCODER, "final_norm": False},
            "final_norm is False, and among the tensors there is one",
        ),
        (
            {"a.weight": np.ones((2, 2), np.float32)},
            None,
            {"frontend": "gpt", "family": "handwritten"},
            "has no layers, or several kinds of them, whose names say where their attention is; --rename FROM=TO gives "
            "tensors names such as blocks.0.attn.query.weight, blocks.0.attn.output.weight, blocks.0.mlp_norm.weight, ",
        ),
        (LLAMA_STATE, None, {"family": "nanogpt"}, "lacks the tensors of nanogpt"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(state, config, said, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(state, config), said)
    assert message in str(caught.value)


CHANGED = [  # of nn.TransformerEncoder's state: what is there, too, or in the place of something
    ({"transformer_encoder.layers.0.self_attn.q_norm.weight": (24,)}, "", "unexpected"),
    (
        {"transformer_encoder.layers.0.norm3.weight": (24,)},
        "",
        "has the attention of a GPT, and no one tensor whose name says what plays the part of attention_norm, "
        "mlp_norm; --rename FROM=TO gives it a name such as transformer_encoder.layers.0.attention_norm.",
    ),
    (
        {"transformer_encoder.layers.0.multihead_attn.in_proj_weight": (72, 24)},
        "",
        "plays the part of query, key, value; --rename",
    ),
    ({"decoder.layers.0.self_attn.out_proj.weight": (24, 24)}, "", "it is another architecture"),
    (
        {"segment_embedding.weight": (2, 24)},
        "",
        "plays the part of table; --rename FROM=TO gives it a name such as to",
    ),
    ({"emb_norm.weight": (24,)}, "", "unexpected: emb_norm.weight"),
    ({"value_head.weight": (1, 24)}, "", "unexpected"),
    ({}, "transformer_encoder.layers.1.linear1.weight", "missing: transformer_encoder.layers.1.linear1.weight"),
    ({}, "fc_out.weight", "unexpected: fc_out.bias"),
    ({}, "embedding.weight", "plays the part of table; "),
]


@pytest.mark.parametrize(("more", "gone", "message"), CHANGED)
def test_a_tensor_whose_part_is_not_told_is_never_passed_over(more, gone, message):
    state = {name: values for name, values in ENCODER_STATE.items() if name != gone}
    state |= {name: np.ones(shape, np.float32) for name, shape in more.items()}
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), ENCODER)
    assert message in str(caught.value)


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
    assert not build_model(checkpoint_with(state, METAS)).notes


def test_a_model_type_of_somebodys_own_is_refused_until_the_caller_says_so():
    config = {**SIZES, "model_type": "my_gpt"}
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(ENCODER_STATE, config), ENCODER)
    assert str(caught.value).startswith("folder: its file says that this is a 'my_gpt', which no frontend knows; known")
    assert str(caught.value).endswith(
        '; if it is a GPT or Llama of somebody\'s own code, say frontend = "gpt" and family = "handwritten" in an '
        "--architecture file"
    )
    said = {"frontend": "gpt", "family": "handwritten", **ENCODER}
    model = build_model(checkpoint_with(ENCODER_STATE, config), said)
    assert model.program == build_model(checkpoint_of(ENCODER_STATE, None), ENCODER).program
