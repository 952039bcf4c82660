"""What an export says of the artifact that it was made of: which one, and the hyperparameters of its program.

Strategy: an artifact holds a program and no hyperparameters. What its constants say is given to the frontend of its
tensors, and what comes out counts only if it builds the very same program again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import CheckpointError
from ...format.artifact import Artifact
from ...format.program.operations import Softcap
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..frontends import build_model
from ..model.model import ModelTensor


def origin_metadata(data: bytes, content: Artifact) -> dict[str, str]:
    """Of which artifact an export is: SHA-256 of the file `data` and of its tensors, in hexadecimal digits, and the
    length of its program's sequences.
    """
    return {
        "bytecap.artifact_sha256": hashlib.sha256(data).hexdigest(),
        "bytecap.tensors_sha256": content.digest.hex(),
        "bytecap.sequence_length": str(content.program.sequence_length),
    }


def export_metadata(data: bytes, content: Artifact, tensors: Sequence[ModelTensor]) -> dict[str, str]:
    """What a .safetensors or .pt file says of itself: `format` as transformers wants it, its origin and, where they
    are known, hyperparameters that build the same program (`config`).
    """
    found = {"format": "pt", **origin_metadata(data, content)}
    known = architecture_of(content, tensors)
    return found if known is None else found | {"config": json.dumps(known, sort_keys=True)}


def architecture_of(content: Artifact, tensors: Sequence[ModelTensor]) -> Mapping[str, object] | None:
    """Hyperparameters that build an artifact's program from its restored tensors; None where none are known to."""
    kept = content.provenance.get("configuration")
    if isinstance(kept, Mapping):
        return kept
    values, dtypes = ({t.name: getattr(t, part) for t in tensors} for part in ("values", "dtype"))
    try:
        model = build_model(Checkpoint(values, dtypes, Path("the artifact")), _constants(content.program))
    except CheckpointError:
        return None
    return dict(model.architecture) if model.program == content.program else None


def _constants(program: Program) -> dict[str, object]:
    """Hyperparameters that no shape tells, as far as each has one value in the whole program."""
    bases = {each.base for each in program.instructions if hasattr(each, "base")}
    caps = {each.cap for each in program.instructions if isinstance(each, Softcap)}
    found: dict[str, object] = {"seq_len": program.sequence_length}
    found |= {"rope_base": bases.pop()} if len(bases) == 1 else {}
    return found | ({"logit_softcap": caps.pop()} if len(caps) == 1 else {"logit_softcap": 0.0})
