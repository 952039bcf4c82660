"""Models of ours as files: a checkpoint, and beside it the hyperparameters that it is read with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ...compiler.checkpoints.export import export_checkpoint
from ...compiler.model.model import Model
from ...files.output import write_output


def write_checkpoint(model: Model, path: Path, force: bool) -> None:
    """The model's tensors, each in its own type. Raises OutputError as `export_checkpoint` does."""
    names, values, dtypes = ([getattr(t, field) for t in model.tensors] for field in ("name", "values", "dtype"))
    export_checkpoint(names, values, dtypes, path, force)


def write_model(model: Model, architecture: Mapping[str, object], folder: Path, force: bool) -> tuple[Path, Path]:
    """`checkpoint.pt` and `architecture.json` in a folder, and where they are. Raises OutputError as above."""
    checkpoint, described = folder / "checkpoint.pt", folder / "architecture.json"
    write_checkpoint(model, checkpoint, force)
    write_output(described, (json.dumps(dict(architecture), indent=1) + "\n").encode(), force)
    return checkpoint, described
