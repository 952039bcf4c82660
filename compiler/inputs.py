"""What a compile starts from, read from files: the model, the calibration text, the code files and the
bytes that they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import CapError, DataError
from ..runtime.tokenizers import load_tokenizer
from ..runtime.tokens import read_tokens
from .checkpoints.checkpoint import read_checkpoint
from .frontends import build_model, read_architecture
from .model.model import Model
from .statistics.overlap import check_no_overlap

HELD_OUT_TOKENS = 8192


def read_model(path: Path | str, architecture: Path | str | None) -> Model:
    """The float model of a checkpoint; CheckpointError when it is none, or not that of the architecture file."""
    known = read_architecture(Path(architecture)) if architecture else None
    return build_model(read_checkpoint(Path(path)), known)


def artifact_budget(cap: int, code_files: Sequence[Path]) -> int:
    """Bytes that the code files leave for the artifact; CapError when that is none."""
    code_bytes = sum(path.stat().st_size for path in code_files)
    if cap <= code_bytes:
        message = f"the cap of {cap} bytes leaves nothing for the artifact"
        raise CapError(f"{message}: code files take {code_bytes}; raise the cap")
    return cap - code_bytes


def read_calibration(
    path: Path, evaluation: Sequence[Path], tokenizer: Path | str | None, model: Model
) -> tuple[np.ndarray, np.ndarray]:
    """Calibration tokens without the text of any evaluation file, and the held-out sequences.

    int64 tokens and int64[n, length]. DataError when the text is too short or contains that of an evaluation file.
    """
    tokens = _read_tokens(path, tokenizer, model)
    if len(tokens) < model.program.sequence_length:
        message = f"{len(tokens)} tokens are fewer than one sequence of {model.program.sequence_length}"
        raise DataError(f"{path}: {message}; give a longer calibration file")
    for other in evaluation:
        check_no_overlap(tokens, _read_tokens(other, tokenizer, model), path, other)
    return _hold_out(tokens, model.program.sequence_length)


def _read_tokens(path: Path, tokenizer: Path | str | None, model: Model) -> np.ndarray:
    loaded = None if tokenizer is None else load_tokenizer(Path(tokenizer))
    return read_tokens(path, loaded, model.program.vocabulary_size, model.program.boundary_token).ids


def _hold_out(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens to measure on, and the sequences at their end that only judge: an eighth of them,
    HELD_OUT_TOKENS at most.
    """
    count = min(-(-HELD_OUT_TOKENS // length), len(tokens) // length // 8)
    border = len(tokens) - count * length
    return tokens[:border], tokens[border:].reshape(count, length).astype(np.int64)
