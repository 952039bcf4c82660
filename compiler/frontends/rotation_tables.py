"""Tables of rotations and masks that a checkpoint keeps, held against the model that was built from it.

Strategy: such a table is no weight, but it tells with which frequencies the model was trained, and a mask how far its
attention sees. Each must be the one that some rotation or attention of the program has; if none has it, the model was
built with other hyperparameters than it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from ...files.listing import listed
from ...format.program.operations import Attention, CappedAttention, Rope, Rotate
from ..model.model import Model

TOLERANCE = 0.01  # bfloat16 has 8 bits


def check_rotations(tables: Mapping[str, np.ndarray], model: Model, path: Path) -> None:
    """CheckpointError when a table is of other frequencies than every rotation of the model.

    A table is of inverse frequencies [r/2], or of cosines or sines [length, r/2], each perhaps twice [length, r].
    """
    known = list(_frequencies(model))
    for name, values in tables.items():
        if not any(_fits(name, values, frequencies) for frequencies in known):
            bases = sorted({op.base for op in model.program.instructions if isinstance(op, Rope | Rotate)})
            has = f"the model has those of base {', '.join(f'{base:g}' for base in bases)}" if bases else "it has none"
            raise CheckpointError(
                f"{path}: {name} holds other rotations than the model would have ({has}); give the base and the "
                "scaling that it was trained with in an --architecture file, or leave the table out with --ignore"
            )


def _frequencies(model: Model) -> Iterator[np.ndarray]:
    """float64 [r/2] of every rotation of the program."""
    for op in model.program.instructions:
        if isinstance(op, Rotate) and op.frequencies is not None:
            values = model.tensors[op.frequencies.tensor].values
            yield np.asarray(values if values.ndim == 1 else values[op.frequencies.row], np.float64)
            yield from _before_scaling(model, op.rotary_dims)
        elif isinstance(op, Rope | Rotate):
            yield op.base ** (-np.arange(0, op.rotary_dims, 2) / op.rotary_dims)


def _before_scaling(model: Model, rotary_dims: int) -> Iterator[np.ndarray]:
    """What models keep whose code scales the positions, and not the frequencies."""
    base = model.architecture.get("rope_theta")
    if isinstance(base, float):
        yield base ** (-np.arange(0, rotary_dims, 2) / rotary_dims)


def _fits(name: str, values: np.ndarray, frequencies: np.ndarray) -> bool:
    """Whether a table is of frequencies [r/2], or of angles, cosines or sines [length, r/2], one or two of these after
    the other or in turn, as the parts of complex numbers are.
    """
    width = len(frequencies)
    if values.ndim > 2 and values.shape[-2:] == (width, 2):
        values = values.reshape(*values.shape[:-2], 2 * width)
    table = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    if table.shape[1] not in (width, 2 * width):
        return False
    if (len(table) == 1 and "inv_freq" in name.lower()) or "rope.freqs" in name or values.ndim == 1:
        return bool((np.abs(table[0, :width] - frequencies) <= TOLERANCE * np.abs(frequencies)).all())
    angles = np.arange(len(table))[:, None] * frequencies
    if table.shape[1] == width:
        return _is_of(table, angles)
    pairs = (table[:, :width], table[:, width:]), (table[:, ::2], table[:, 1::2])
    return any(all(_is_of(half, angles) for half in pair) for pair in pairs)


def _is_of(table: np.ndarray, angles: np.ndarray) -> bool:
    """Whether a table [length, r/2] is of these angles, their cosines or their sines."""
    allowed = TOLERANCE * (1 + np.abs(angles))
    waves = (np.cos(angles), np.sin(angles))
    return bool((np.abs(table - angles) <= allowed).all()) or any(
        bool((np.abs(table - wave) <= TOLERANCE).all()) for wave in waves
    )


def check_windows(windows: Mapping[str, int], model: Model, path: Path) -> None:
    """CheckpointError when a mask shows fewer positions than every attention of the model sees.

    windows : by name of a mask, how many positions it shows, each its own among them
    """
    known = {op.window for op in model.program.instructions if isinstance(op, Attention | CappedAttention)}
    for name, seen in windows.items():
        if seen not in known:
            has = f"windows of {listed([str(each) for each in sorted(known - {0})])}" if known - {0} else "none"
            raise CheckpointError(
                f"{path}: {name} is a mask that shows each position {seen} positions, its own among them, and the "
                f"model would have {has}; give sliding_window = {seen} and the layers that have it, sliding_layers, in "
                "an --architecture file, or leave the mask out with --ignore"
            )
