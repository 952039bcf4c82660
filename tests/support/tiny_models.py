"""Small models with random weights of a trained model's size: logits far from flat, control tensors near one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bytecap.compiler.model.model import Model, ModelTensor
from bytecap.format.program.operations import Operation
from bytecap.format.program.program import Program
from bytecap.lab.train.fresh_models import initial_model

ARCHITECTURE = {
    "vocab_size": 24,
    "num_layers": 2,
    "model_dim": 16,
    "num_heads": 2,
    "num_kv_heads": 1,
    "mlp_mult": 2,
    "seq_len": 16,
}
CALM = {"threads": 1, "seed": 0, "device": "cpu"}  # how a calibration and a job of one is run


def golf_model(seed: int = 0, **changes) -> Model:
    """A model of the baseline architecture; `changes` are hyperparameters."""
    model = initial_model(ARCHITECTURE | changes, seed)
    random = np.random.default_rng(seed)
    return replace(
        model, tensors=tuple(ModelTensor(t.name, _random_values(t, random), "float32") for t in model.tensors)
    )


def _random_values(tensor: ModelTensor, random: np.random.Generator) -> np.ndarray:
    shape = tensor.values.shape
    noise = random.standard_normal(shape)
    if tensor.name in ("tok_emb.weight", "lm_head.weight"):
        values = 2.5 * noise / shape[1] ** 0.5
    elif tensor.name.endswith(".weight"):
        values = noise / shape[1] ** 0.5
    else:
        values = tensor.values + 0.2 * noise
    return values.astype(np.float32)


def program_of(*operations: Operation) -> Program:
    """A program of 24 tokens and sequences of 16."""
    return Program(operations, 24, 16, 1)


def bare_model(program: Program, *arrays: np.ndarray) -> Model:
    """A model of any program; tensor k is named "tensor.k"."""
    tensors = tuple(
        ModelTensor(f"tensor.{i}", np.ascontiguousarray(a, np.float32), "float32") for i, a in enumerate(arrays)
    )
    return Model(program, tensors, {}, ())


def random_sequences(vocabulary: int, count: int, length: int, seed: int = 0) -> np.ndarray:
    """int64 [count, length] token ids whose frequencies differ by an order of magnitude."""
    share = 1.0 / np.arange(1, vocabulary + 1)
    return np.random.default_rng(seed).choice(vocabulary, size=(count, length), p=share / share.sum()).astype(np.int64)
