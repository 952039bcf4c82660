"""GPTs and Llamas that people wrote themselves: programs against the torch modules whose state_dicts they read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from handwritten_models import (
    HEADS,
    VOCABULARY,
    WIDTH,
    LitGpt,
    LitLlama,
    RaschkaGpt,
    RaschkaLlama,
    TorchEncoder,
    TutorialGpt,
    TutorialLlama,
    halves,
    neighbours,
    with_weights,
)
from torch import nn

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.stored import stored_torch
from bytecap.compiler.frontends import build_model, restored_tensors

HEAD = WIDTH // HEADS
Said = dict[str, object]
State = dict[str, np.ndarray]


def state_of(model: nn.Module) -> State:
    """The state_dict as a checkpoint reads it, without masks."""
    found = without_buffers({name: stored_torch(values) for name, values in model.state_dict().items()})
    return {name: stored.values for name, stored in found.tensors.items() if stored.values is not None}


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
