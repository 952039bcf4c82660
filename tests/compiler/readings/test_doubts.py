"""A checkpoint that was read as another model: told by text that the model it was trained as predicts better."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from golden_logits import checkpoint_of
from loud_models import GPT, HEADS, LLAMA, NORMED, VOCABULARY, loud_state
from text_of_models import written_by

from bytecap.compiler.frontends import build_model
from bytecap.compiler.readings.doubts import doubt_of
from bytecap.compiler.readings.neighbours import Neighbour, neighbours
from bytecap.compiler.readings.sample import weights_of
from bytecap.format.program.program import Program
from bytecap.runtime.interpreter import Interpreter

TEXT = (56, 32)


@cache
def _model(kind: str) -> tuple[Program, tuple[np.ndarray, ...]]:
    said = {"gpt": GPT, "llama": LLAMA, "normed": NORMED}[kind]
    said = {"num_attention_heads": HEADS, "seq_len": 64, **said}
    model = build_model(checkpoint_of(loud_state("gpt" if kind == "gpt" else "llama"), None), said)
    return model.program, tuple(weights_of(model))


@cache
def _neighbours(kind: str) -> tuple[Neighbour, ...]:
    program, tensors = _model(kind)
    return tuple(neighbours(program, Interpreter(program, tensors).shapes.widths, [t.shape for t in tensors]))


FAR = "rotations of base 1,000,000 instead of 10,000"
CAPS = {"logits capped at 15", "logits capped at 30"}
TOO_NEAR = {"gpt": {"SiLU instead of GELU", *CAPS}, "normed": {"GELU instead of SiLU", FAR}}
READ = ["gpt", "llama", "normed"]


@pytest.mark.parametrize("kind", ["gpt", "normed"])
def test_text_of_each_neighbour_tells_it_from_what_was_read(kind):
    program, tensors = _model(kind)
    for neighbour in _neighbours(kind):
        meant = neighbour.tensors(tensors)
        text = written_by(neighbour.program, meant, *TEXT)
        found = doubt_of(program, tensors, text)
        if neighbour.change not in TOO_NEAR[kind]:
            assert found is not None and found.change == neighbour.change, neighbour.change
        assert doubt_of(neighbour.program, meant, text) is None, neighbour.change


@pytest.mark.parametrize("kind", READ)
def test_what_was_read_right_is_not_doubted(kind):
    program, tensors = _model(kind)
    for seed in range(3):
        assert doubt_of(program, tensors, written_by(program, tensors, *TEXT, seed)) is None


def test_a_few_tokens_say_nothing():
    program, tensors = _model("gpt")
    post = next(each for each in _neighbours("gpt") if each.change.startswith("norms after the sums"))
    text = written_by(post.program, tensors, *TEXT)
    assert doubt_of(program, tensors, text[:4, :16]) is None
    assert doubt_of(program, tensors, text[:16]) is not None


def test_text_that_no_reading_makes_sense_of_says_nothing():
    program, tensors = _model("llama")
    text = np.random.default_rng(0).integers(0, VOCABULARY, TEXT)
    assert doubt_of(program, tensors, text) is None


def test_the_neighbours_of_a_program_are_all_that_its_instructions_have():
    changes = {kind: {each.change for each in _neighbours(kind)} for kind in READ}
    assert len(changes["gpt"]) == 15 and len(changes["llama"]) == 21 and len(changes["normed"]) == 20
    assert "RMSNorm instead of LayerNorm" in changes["gpt"] and "no rotations of queries and keys" not in changes["gpt"]
    assert "queries and keys as they are instead of normalized" in changes["normed"]
    assert "no caps of logits" in changes["normed"] and "logits capped at 15" not in changes["normed"]
