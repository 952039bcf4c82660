"""Logits that transformers gave, kept under tests/golden/logits: a tiny configuration, the names and shapes of the
tensors, and what came out. The weights are not kept: everyone draws them from the same seed.

`make test-peers` holds the files against transformers; with BYTECAP_REWRITE_GOLDEN=1 it writes them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import GOLDEN, REWRITE

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import Configuration
from bytecap.compiler.frontends import build_model
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.errors import CheckpointError
from bytecap.runtime.interpreter import Interpreter

FOLDER = GOLDEN / "logits"
SOURCE = "config.json beside it"
TOKENS = (2, 14)  # sequences, length
DIGITS = 7
State = dict[str, np.ndarray]


@dataclass(frozen=True)
class GoldenLogits:
    """config : as a config.json says it;  shapes : of the stored tensors;  logits : float64 [*TOKENS, vocabulary]"""

    config: dict[str, object]
    shapes: dict[str, tuple[int, ...]]
    logits: np.ndarray

    def state(self) -> State:
        return drawn_weights(self.shapes)

    def model(self, architecture: dict[str, object] | None = None) -> Model:
        return build_model(checkpoint_of(self.state(), self.config), architecture)


def golden_logits(name: str) -> GoldenLogits:
    """The file of a case."""
    content = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    shapes = {tensor: tuple(shape) for tensor, shape in content["shapes"].items()}
    vocabulary = int(content["config"]["vocab_size"])
    return GoldenLogits(content["config"], shapes, np.array(content["logits"]).reshape(*TOKENS, vocabulary))


def assert_refused(name: str, changes: dict[str, object], message: str) -> None:
    """That no model is made of a case whose configuration was changed, and why."""
    golden = golden_logits(name)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(golden.state(), golden.config | changes))
    assert message in str(caught.value)


def assert_golden_logits(name: str, golden: GoldenLogits) -> None:
    """Compare with the file of a case, or write it."""
    path = FOLDER / f"{name}.json"
    if os.environ.get(REWRITE):
        lines = {key: json.dumps(value) for key, value in (("config", golden.config), ("shapes", golden.shapes))}
        lines["logits"] = "[" + ",".join(f"{value:.{DIGITS}g}" for value in golden.logits.ravel()) + "]"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{" + ",\n".join(f'"{key}": {value}' for key, value in lines.items()) + "}\n", "utf-8")
        raise AssertionError(f"rewrote {path}; run again without {REWRITE}")
    kept = golden_logits(name)
    assert (kept.config, kept.shapes) == (golden.config, golden.shapes)
    assert np.abs(kept.logits - golden.logits).max() < 2e-6 * np.abs(golden.logits).max()


def drawn_weights(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """float32 tensors: gains around one, biases and position tables of moderate size, maps that keep the size."""
    random, state = np.random.default_rng(seed), {}
    for name in sorted(shapes):
        shape = tuple(shapes[name])
        noise = random.standard_normal(shape)
        if len(shape) == 1:
            values = 0.3 * noise + (0.0 if name.endswith("bias") else 1.0)
        else:
            values = 1.5 * noise / shape[-1] ** 0.5
        state[name] = values.astype(np.float32)
    return state


def drawn_tokens(vocabulary: int, seed: int = 0) -> np.ndarray:
    """int64 TOKENS."""
    return np.random.default_rng(seed).integers(0, vocabulary, TOKENS)


def checkpoint_of(state: State, config: dict[str, object] | None) -> Checkpoint:
    """A checkpoint as if it had been read from a folder with that config.json."""
    configuration = None if config is None else Configuration(config, SOURCE)
    return Checkpoint(dict(state), dict.fromkeys(state, "float32"), Path("folder"), configuration)


def both_logits(model: Model, tokens: np.ndarray) -> list[np.ndarray]:
    """Logits of the program in numba and in torch, [sequences, length, vocabulary]."""
    arrays = [tensor.values for tensor in model.tensors]
    executor = TorchExecutor(model.program, {i: torch.from_numpy(array) for i, array in enumerate(arrays)})
    return [Interpreter(model.program, arrays).logits(tokens), executor.forward(torch.from_numpy(tokens)).numpy()]


def assert_computes(model: Model, logits: np.ndarray, tokens: np.ndarray, tolerance: float = 2e-5) -> None:
    """Both executors give these logits, within a part of the largest."""
    for found in both_logits(model, tokens):
        error = np.abs(found - logits).max() / np.abs(logits).max()
        assert error < tolerance, f"off by {error:.1e} of the largest logit"
