"""Whether an artifact can hold a model at all, asked before the long work and answered by the reader's own rules.

Strategy: the program, a directory of the tensors' names and shapes, and the provenance are written as an artifact has
them, and read back under the limits that every reader has. So the compiler has no list of its own that could differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ArtifactError, CheckpointError, LimitExceeded
from ..format.artifact import encode_provenance, is_provenance
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..format.program.program import decode_program, encode_program, program_tensors, validate_program
from ..format.tensors.directory import check_references, read_directory, write_directory
from ..format.tensors.grid import matrix_shape
from ..format.tensors.terms import Raw, TensorEntry
from .model.model import Model


def check_storable(
    model: Model, provenance: Mapping[str, object], path: Path | str, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Raise CheckpointError, which names the file and the rule, for a model that readers would refuse."""
    shapes = [tensor.values.shape for tensor in model.tensors]
    try:
        entries = tuple(TensorEntry(t.name, t.values.shape, t.dtype, (Raw(t.dtype),)) for t in model.tensors)
        sections = {
            "program": encode_program(model.program),
            "directory": write_directory(entries),
            "provenance": encode_provenance(provenance),
        }
        decode_program(sections["program"], limits)
        read_directory(sections["directory"], limits)
        validate_program(model.program, shapes, limits)
        check_references(entries, program_tensors(model.program))
        _check_sizes(shapes, sections, limits)
    except (ArtifactError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: no artifact can hold this model, its readers would refuse it: {error}"
        ) from error
    if not is_provenance(provenance):
        raise CheckpointError(f"{path}: no artifact can hold the configuration beside it; leave it out")


def _check_sizes(shapes: list[tuple[int, ...]], sections: Mapping[str, bytes], limits: Limits) -> None:
    """What the terms of a directory say only when the weights are quantized."""
    sides = sum(sum(matrix_shape(shape)) for shape in shapes if len(shape) > 1)
    if sides > limits.sides:
        message = f"{sides} rows and columns of matrices, the limit is {limits.sides}"
        raise LimitExceeded(message, rule="R-DIR-7", where="directory")
    for name, content in sections.items():
        if len(content) > limits.metadata_bytes:
            message = f"{len(content)} bytes, the limit is {limits.metadata_bytes}"
            raise LimitExceeded(message, rule="R-SEC-6", where=name)
