"""What a compile starts from, read from files: the model, the calibration text, the code files and the
bytes that they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CapError, DataError
from ..runtime.data_files import Content, inspect_data
from ..runtime.tokenizers import find_tokenizer, load_tokenizer
from ..runtime.tokens import Tokens, read_tokens
from .checkpoints.checkpoint import read_checkpoint
from .checkpoints.selection import EVERYTHING, Selection
from .frontends import build_model, read_architecture
from .model.model import Model
from .statistics.overlap import check_no_overlap

HELD_OUT_TOKENS = 8192


def read_model(path: Path | str, architecture: Path | str | None, selection: Selection = EVERYTHING) -> Model:
    """The float model of a checkpoint; CheckpointError when it is none, or not that of the architecture file."""
    known = read_architecture(Path(architecture)) if architecture else None
    return build_model(read_checkpoint(Path(path), selection), known)


def artifact_budget(cap: int, code_files: Sequence[Path]) -> int:
    """Bytes that the code files leave for the artifact; CapError when that is none."""
    code_bytes = sum(path.stat().st_size for path in code_files)
    if cap <= code_bytes:
        message = f"the cap of {cap} bytes leaves nothing for the artifact"
        raise CapError(f"{message}: code files take {code_bytes}; raise the cap")
    return cap - code_bytes


class CalibrationText(NamedTuple):
    """int64 tokens to measure on, int64 [n, length] held-out sequences, and what was assumed of the files."""

    tokens: np.ndarray
    held_out: np.ndarray
    notes: tuple[str, ...]


def read_calibration(
    path: Path, evaluation: Sequence[Path], tokenizer: Path | str | None, model: Model
) -> CalibrationText:
    """Calibration tokens without the text of any evaluation file, and the held-out sequences.

    DataError when the text is too short or contains that of an evaluation file.
    """
    found = _read_tokens(path, tokenizer, model)
    if len(found.ids) < model.program.sequence_length:
        message = f"{len(found.ids)} tokens are fewer than one sequence of {model.program.sequence_length}"
        raise DataError(f"{path}: {message}; give a longer calibration file")
    for other in evaluation:
        check_no_overlap(found.ids, _read_tokens(other, tokenizer, model).ids, path, other)
    tokens, held_out = _hold_out(found.ids, model.program.sequence_length)
    return CalibrationText(tokens, held_out, found.notes)


def own_tokenizer(checkpoint: Path | str, data: Path | str, tokenizer: Path | str | None) -> Path | str | None:
    """The tokenizer that is given, or else for a text the one in or beside the checkpoint; None for token shards."""
    if tokenizer is not None or inspect_data(str(data)).content is Content.SHARD:
        return tokenizer
    return find_tokenizer(Path(checkpoint))


def _read_tokens(path: Path, tokenizer: Path | str | None, model: Model) -> Tokens:
    loaded = None if tokenizer is None else load_tokenizer(Path(tokenizer))
    return read_tokens(path, loaded, model.program.vocabulary_size, model.program.boundary_token)


def _hold_out(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens to measure on, and the sequences at their end that only judge: an eighth of them,
    HELD_OUT_TOKENS at most.
    """
    count = min(-(-HELD_OUT_TOKENS // length), len(tokens) // length // 8)
    border = len(tokens) - count * length
    return tokens[:border], tokens[border:].reshape(count, length).astype(np.int64)
