"""Another head on the same trunk: what it computes, that the trunk stays, and that it is cut off
cleanly however it was made.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURE, bare_model, golf_model, random_sequences

from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.errors import CheckpointError
from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.program import Program, validate_program
from bytecap.lab.measure.head_gradient import measure_head
from bytecap.lab.train.factorized_head import head_tensors, hidden_register, replace_head
from bytecap.runtime.interpreter import Interpreter

VOCABULARY, WIDTH = ARCHITECTURE["vocab_size"], ARCHITECTURE["model_dim"]
TOKENS = random_sequences(VOCABULARY, 2, 9, seed=3)
HEADS = {
    "tied": golf_model(1),
    "untied": golf_model(2, tie_embeddings=False),
    "no softcap": golf_model(3, logit_softcap=0.0),
    "factorized table": golf_model(4, embedding_dim=6),
    "factorized and untied": golf_model(5, embedding_dim=6, tie_embeddings=False),
    "two factors already": replace_head(golf_model(6, tie_embeddings=False), 3, 0),
}


def hidden_states(model):
    kept = {}
    executor = TorchExecutor(model.program, {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)})
    logits = executor.forward(torch.from_numpy(TOKENS), registers=lambda index, value: kept.setdefault(index, value))
    return kept[hidden_register(model)].double().numpy(), logits.numpy()


def filled(model, seed=0):
    """The model with random numbers in its head."""
    random, head = np.random.default_rng(seed), head_tensors(model)
    return replace(
        model,
        tensors=tuple(
            replace(t, values=random.standard_normal(t.values.shape).astype(np.float32) * 0.3) if i in head else t
            for i, t in enumerate(model.tensors)
        ),
    )


@pytest.mark.parametrize("rank", [None, 1, 5])
@pytest.mark.parametrize("name", HEADS)
def test_a_replaced_head_reads_the_same_hidden_states(name, rank):
    before = HEADS[name]
    after = filled(replace_head(before, rank, 0))
    validate_program(after.program, [t.values.shape for t in after.tensors])
    states, _ = hidden_states(before)
    same, logits = hidden_states(after)
    np.testing.assert_array_equal(states, same)
    weights = [after.tensors[i].values.astype(np.float64) for i in head_tensors(after)]
    head = weights[0] if rank is None else weights[1] @ weights[0]
    assert head.shape == (VOCABULARY, WIDTH) and np.linalg.matrix_rank(head) == (WIDTH if rank is None else rank)
    expected = states @ head.T
    cap = next((o.cap for o in before.program.instructions if isinstance(o, op.Softcap)), None)
    expected = expected if cap is None else cap * np.tanh(expected / cap)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(
        Interpreter(after.program, [t.values for t in after.tensors]).logits(TOKENS), expected, atol=1e-4
    )


def test_a_fresh_head_says_nothing_and_can_learn():
    model = replace_head(golf_model(1), 4, 0)
    assert not hidden_states(model)[1].any()
    inner, outer = (model.tensors[i].values for i in head_tensors(model))
    assert inner.shape == (4, WIDTH) and np.linalg.matrix_rank(inner) == 4 and outer.shape == (VOCABULARY, 4)
    assert np.array_equal(inner, replace_head(golf_model(9), 4, 0).tensors[-2].values)
    assert not np.array_equal(inner, replace_head(golf_model(1), 4, 1).tensors[-2].values)


@pytest.mark.parametrize("rank", [2, 7])
def test_the_diagnostic_sees_the_rank(rank):
    head, _, gradient = measure_head(
        filled(replace_head(golf_model(1), rank, 0)), TOKENS, threads=1, finished=lambda *call: None
    )
    assert head.rank == rank and gradient.random_projected == rank / VOCABULARY


def test_what_cannot_be_replaced_is_refused():
    embed, head = op.Embed(0), op.Linear(0, 1)
    scaled = bare_model(
        Program((embed, head, op.Scale(1, Row(2, 0))), 4, 8, 1), np.ones((4, 3)), np.ones((4, 3)), np.ones(4)
    )
    with pytest.raises(CheckpointError, match="more than a softcap follows"):
        replace_head(scaled, 2, 0)
    early = bare_model(Program((op.Embed(1), op.Linear(0, 0)), 4, 8, 1), np.ones((4, 3)), np.ones((4, 3)))
    with pytest.raises(CheckpointError, match="tensors of the trunk follow its own"):
        replace_head(early, 2, 0)
