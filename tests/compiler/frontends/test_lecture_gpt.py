"""Karpathy's lecture: its first code scales scores by the width of the model, its later code by that of a head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from safetensors.numpy import save_file
from torch.nn import functional

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

WIDTH, LENGTH, VOCABULARY = 24, 32, 29
Tensors = dict[str, np.ndarray]


def drawn_lecture(heads: int) -> Tensors:
    """A state_dict of one block, with weights large enough that the scale of the scores is seen."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding_table.weight": (VOCABULARY, WIDTH),
        "position_embedding_table.weight": (LENGTH, WIDTH),
        "blocks.0.sa.proj.weight": (WIDTH, WIDTH),
        "blocks.0.ffwd.net.0.weight": (4 * WIDTH, WIDTH),
        "blocks.0.ffwd.net.2.weight": (WIDTH, 4 * WIDTH),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    for name in list(shapes):
        if "table" not in name:
            shapes[name.replace("weight", "bias")] = shapes[name][:1]
    for head in range(heads):
        for part in ("key", "query", "value"):
            shapes[f"blocks.0.sa.heads.{head}.{part}.weight"] = (WIDTH // heads, WIDTH)
    for name in ("blocks.0.ln1", "blocks.0.ln2", "ln_f"):
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) / 2 for name, shape in shapes.items()}


def lecture_logits(state: Tensors, tokens: np.ndarray, heads: int, scaled_by: int) -> np.ndarray:
    """What the lecture's code computes: each head by itself, scores times scaled_by ** -0.5."""
    s = {name: torch.from_numpy(values) for name, values in state.items()}
    x = s["token_embedding_table.weight"][torch.from_numpy(tokens)]
    x = x + s["position_embedding_table.weight"][: tokens.shape[1]]
    seen = torch.tril(torch.ones(tokens.shape[1], tokens.shape[1])) == 1

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, (WIDTH,), s[f"{name}.weight"], s[f"{name}.bias"])

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, s[f"{name}.weight"], s[f"{name}.bias"])

    y, found = norm(x, "blocks.0.ln1"), []
    for head in range(heads):
        k, q, v = (y @ s[f"blocks.0.sa.heads.{head}.{part}.weight"].T for part in ("key", "query", "value"))
        scores = (q @ k.transpose(-2, -1) * scaled_by**-0.5).masked_fill(~seen, float("-inf"))
        found.append(functional.softmax(scores, dim=-1) @ v)
    x = x + linear(torch.cat(found, dim=-1), "blocks.0.sa.proj")
    hidden = functional.relu(linear(norm(x, "blocks.0.ln2"), "blocks.0.ffwd.net.0"))
    return linear(norm(x + linear(hidden, "blocks.0.ffwd.net.2"), "ln_f"), "lm_head").numpy()


@pytest.mark.parametrize(("by_width", "scaled_by"), [(True, WIDTH), (False, WIDTH // 3)])
def test_scores_are_scaled_as_the_caller_says(by_width, scaled_by):
    state, tokens = drawn_lecture(3), drawn_tokens(VOCABULARY)
    model = build_model(checkpoint_of(state, None), {"scale_by_width": by_width})
    assert_computes(model, lecture_logits(state, tokens, 3, scaled_by), tokens)
    assert model.architecture["scale_by_width"] is by_width and "scale_by_width" not in model.assumed


def test_which_scale_is_asked_since_the_tensors_are_the_same():
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(drawn_lecture(3), None))
    assert str(caught.value) == (
        "folder has the tensors of lecture-gpt, and nothing tells scale_by_width, which change what the model "
        "computes; put its config.json beside it, or give them in an --architecture file (scale_by_width is true where "
        "the code multiplies scores by C**-0.5, C the width of the model, and false where by the head's, "
        "head_size**-0.5)"
    )


def test_one_head_is_as_wide_as_the_model():
    state, tokens = drawn_lecture(1), drawn_tokens(VOCABULARY)
    model = build_model(checkpoint_of(state, None))
    assert_computes(model, lecture_logits(state, tokens, 1, WIDTH), tokens)


def test_other_peoples_names_for_its_modules_are_renamed(tmp_path: Path):
    state, tokens, file = drawn_lecture(3), drawn_tokens(VOCABULARY), tmp_path / "model.safetensors"
    others = {
        "token_embedding_table": "what",
        "position_embedding_table": "where",
        "ffwd.net": "wide.steps",
        "lm_head": "out",
    }
    theirs = dict(state)
    for own, other in others.items():
        theirs = {name.replace(own, other): values for name, values in theirs.items()}
    save_file(theirs, file)
    with pytest.raises(CheckpointError, match="other names for its tensors, which --rename FROM=TO changes"):
        build_model(read_checkpoint(file), {"scale_by_width": False})
    rules = [f"{other}.*={own}.*" for own, other in others.items() if own != "ffwd.net"]
    found = read_checkpoint(file, Selection(rename=("*.wide.steps.*=*.ffwd.net.*", *rules)))
    model = build_model(found, {"scale_by_width": False})
    assert_computes(model, lecture_logits(state, tokens, 3, WIDTH // 3), tokens)
