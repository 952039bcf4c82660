"""Files of weights: torch's, safetensors, llama2.c's, folders, the public challenge's .ptz, GGUF, and config.json.

Strategy: what is accepted is used as every command uses it: the model is built, a few tokens run through it, and its
tensors are written under the names that they came with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from byte_mutations import mutated
from fixtures import OTHER_TOKENIZER, fixtures
from fuzz_frame import Answer, Seed, Target
from weights_seeds import checkpoint_seeds, config_seeds, gguf_seeds, ptz_seeds

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.export import encode_safetensors
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.model.model import Model
from bytecap.errors import BytecapError, CheckpointError, OutputError
from bytecap.runtime.interpreter import Interpreter

TOKENS = 5


def use_model(model: Model) -> str:
    """Losses of a few tokens, and the size of the tensors written as they came."""
    arrays = [tensor.values for tensor in model.tensors]
    tokens = np.arange(TOKENS)[None] % model.program.vocabulary_size
    restored = restored_tensors(model.program, model.tensors)
    names, dtypes = [tensor.name for tensor in restored], [tensor.dtype for tensor in restored]
    written = 0
    with np.errstate(all="ignore"), contextlib.suppress(OutputError):
        losses = Interpreter(model.program, arrays).token_losses(tokens)
        written = len(encode_safetensors(names, [tensor.values for tensor in restored], dtypes))
    return f"{len(arrays)} tensors, {written} bytes, losses {losses.tolist()}"


def _read_and_use(path: Path) -> Answer:
    try:
        return Answer(use_model(build_model(read_checkpoint(path))))
    except CheckpointError as error:
        if str(path.parent) not in str(error):
            raise_unnamed(error)
        raise


def raise_unnamed(error: BytecapError) -> None:
    """A refusal that does not say which file it is about is no refusal."""
    raise AssertionError(f"the file is not named: {error}") from error


def _commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    shard, output_file = fixtures() / "shard.bin", ("-o", output / "out.bcap")
    scored = ("eval", path, "--data", shard, "--max-tokens", 50, *OTHER_TOKENIZER)
    quickest = ("--cap", 4000, "--effort", 1, "--threads", 1)
    return (
        ("inspect", path, "--json"),
        ("inspect", path, "--by", "all"),
        scored,
        (*scored, "--json"),
        ("compile", path, "--calibration", shard, *quickest, *output_file),
        ("inspect", path, "--html", output / "page.html"),
    )


def _target(name: str, seeds: Callable[[], Sequence[Seed]]) -> Target:
    errors = (CheckpointError,)
    return Target(name, seeds, _read_and_use, mutated, _commands, errors, command_every=128)


CHECKPOINT = _target("checkpoint", checkpoint_seeds)
PTZ = _target("ptz", ptz_seeds)
GGUF = _target("gguf", gguf_seeds)
CONFIG = _target("config", config_seeds)
