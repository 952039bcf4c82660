"""The small GPTs and Llamas of other people's code, each with what is said of it and the family that it is."""

from __future__ import annotations

from handwritten_models import LitGpt, LitLlama, RaschkaGpt, RaschkaLlama, TorchEncoder, TutorialGpt, TutorialLlama
from handwritten_parts import halves, neighbours
from handwritten_states import ENCODER, HALVES, HEAD, LITGPT, NEIGHBOURS, PLAIN, H

#         module, what an architecture file says, family
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
    "tutorial-llama-joined": (
        lambda: TutorialLlama(halves(10_000.0, HEAD), maps="gate_up_proj down_proj"),
        HALVES,
        "handwritten",
    ),
    "tutorial-llama-second": (
        lambda: TutorialLlama(halves(10_000.0, HEAD), maps="w1 w2 w3", second_gate=True),
        {**HALVES, "gate_first": False},
        "handwritten",
    ),
    "tutorial-gpt-joined": (
        lambda: TutorialGpt("joined"),
        {**H, **PLAIN, "fused_by_head": False},
        "handwritten",
    ),
    "tutorial-gpt-by-head": (
        lambda: TutorialGpt("by_head"),
        {**H, **PLAIN, "fused_by_head": True},
        "handwritten",
    ),
    "tutorial-gpt-half-joined": (lambda: TutorialGpt("half"), {**H, **PLAIN}, "handwritten"),
    "tutorial-gpt-separate": (lambda: TutorialGpt("separate", bias=False), {**H, **PLAIN}, "handwritten"),
    "tutorial-gpt-heads": (lambda: TutorialGpt("heads"), {**PLAIN, "scale_by_width": False}, "handwritten"),
    "tutorial-gpt-heads-unbiased": (
        lambda: TutorialGpt("heads", bias=False),
        {**PLAIN, "scale_by_width": False},
        "handwritten",
    ),
}
