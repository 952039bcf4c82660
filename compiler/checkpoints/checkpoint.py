"""Reads checkpoints: names and float values, never code.

Strategy: `folder` says which files there are, `containers` reads what each of them stores. Here that becomes a
checkpoint: names without the prefixes that torch's wrappers add, packed weights decoded, tensors that are no weights
left out, everything else as float32 with the stored type remembered, beside the configuration that lies with it. What
was chosen, decoded or left out on the way is kept in words, and every command says it. Only .pt and .ptz need torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from ...files.listing import listed
from ...format.container.limits import DEFAULT_LIMITS
from ...format.tensors.raw_planes import STORAGES
from .buffers import without_buffers
from .configuration import Configuration, configuration_beside, without_quantization
from .containers import KNOWN_KINDS, Content, read_containers
from .folder import adapters_beside, an_adapter, weight_files
from .packed_weights import unpack_weights
from .parametrized import without_parametrizations
from .parted import refuse_parts
from .rounded_twins import RoundedTwins
from .selection import EVERYTHING, Selection
from .stored import Stored, elements_of, refuse_other_types

__all__ = ["KNOWN_KINDS", "Checkpoint", "read_checkpoint"]

OF_ADAPTERS = re.compile(r".*\.((lora|ia3|hada|lokr|vera|boft|oft)_|base_layer\.).*")
WRAPPING_PARTS = {  # which torch.compile, FSDP, checkpointed activations and Fabric put anywhere into names
    *("_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module", "_forward_module"),
}
WRAPPING_WORD = "module"  # of DataParallel, DeepSpeed and torch's averaged models; it may be a name of the model's, too


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    tensors : dict name -> float32 array      C-contiguous, all finite; in the order of the files
    dtypes : dict name -> str                 type before: "float32" (also for what was decoded, and for float64,
        rounded), "float16" or "bfloat16"
    path : Path                               names the checkpoint in errors
    configuration : Configuration or None     what lies beside or within it and tells hyperparameters
    notes : tuple of str                      what reading it decoded, chose or left out, in words
    weights : str                             name of the set of weights that was read; empty where it has no name
    rotations : dict name -> float32 array    tables that models keep of their rotations, which are no weights
    windows : dict name -> int                by mask that hides what lies far back, how many positions it shows
    twins : RoundedTwins or None              a table and a head that are one matrix, stored in two types
    """

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]
    path: Path
    configuration: Configuration | None = None
    notes: tuple[str, ...] = ()
    weights: str = ""
    rotations: Mapping[str, np.ndarray] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    twins: RoundedTwins | None = None


def read_checkpoint(path: str | Path, selection: Selection = EVERYTHING) -> Checkpoint:
    """Read a checkpoint: a Hugging Face folder, one of its shards or their index (then all shards are
    read), or one file: safetensors, a torch state_dict (bare, or in one of several sets), GGUF, llama2.c's
    .bin, and any of these but GGUF compressed, such as the public challenge's .int8.ptz.

    Raises CheckpointError, which names the file and what is wrong: not a checkpoint (and what it is
    instead), incomplete, damaged, code in the pickle, tensors that are not floating point, or values
    that are not finite.
    """
    path = Path(path)
    files = weight_files(path)
    content = read_containers(files, selection, path)
    configuration, notes = _configuration(content, files[0])
    notes = (*notes, *adapters_beside(path))
    tensors = _without_wrappers(content.tensors, path)
    left_out = selection.left_out(tensors, path)
    if left_out:
        notes = (*notes, f"left out as asked: {listed(left_out)}")
    tensors = {name: tensor for name, tensor in tensors.items() if name not in set(left_out)}
    names = selection.renamed(tensors, path)
    tensors = {names[name]: tensor for name, tensor in tensors.items()}
    if changed := [f"{name} to {now}" for name, now in names.items() if now != name]:
        notes = (*notes, f"renamed as asked: {listed(changed)}")
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; write it again")
    if any(OF_ADAPTERS.fullmatch(name) for name in tensors):
        raise CheckpointError(f"{path} {an_adapter()}")
    if elements_of(tensors) > DEFAULT_LIMITS.elements:
        raise CheckpointError(
            f"{path} has {elements_of(tensors):,} weights; at most {DEFAULT_LIMITS.elements:,} can be compiled"
        )
    refuse_parts(tensors, path)
    unpacked = unpack_weights(tensors, {} if configuration is None else configuration.values, path)
    if unpacked.notes:
        configuration = without_quantization(configuration)
    whole, made = without_parametrizations(unpacked.tensors, path)
    found = without_buffers(whole)
    refuse_other_types(found.tensors, path)
    values = {name: tensor.values for name, tensor in found.tensors.items() if tensor.values is not None}
    _check_finite(values, path)
    dtypes = {name: t.dtype if t.dtype in STORAGES else "float32" for name, t in found.tensors.items()}
    notes = (*content.notes, *notes, *unpacked.notes, *made, *([found.note] if found.note else []))
    beside = found.rotations, found.windows, content.twins
    return Checkpoint(values, dtypes, path, configuration, notes, content.weights, *beside)


def _configuration(content: Content, file: Path) -> tuple[Configuration | None, tuple[str, ...]]:
    """What the file says of its model, else what lies beside it; and what is said of the latter."""
    if content.configuration is not None:
        return content.configuration, ()
    beside, note = configuration_beside(file)
    return beside, (note,) if note else ()


def _without_wrappers(tensors: Mapping[str, Stored], path: Path) -> dict[str, Stored]:
    """Names without what DataParallel, torch.compile, FSDP and the like put into them."""
    names = {name: _without(WRAPPING_PARTS, name) for name in tensors}
    shorter = {name: _without({WRAPPING_WORD}, short) for name, short in names.items()}
    if len({*shorter.values()}) == len({*names.values()}):
        names = shorter
    if len(set(names.values())) != len(names):
        twice = next(short for short in names.values() if list(names.values()).count(short) > 1)
        raise CheckpointError(
            f"{path} holds {twice!r} twice, with and without a wrapper's part, such as _orig_mod, in its name; keep one"
        )
    return {names[name]: tensor for name, tensor in tensors.items()}


def _without(parts: Collection[str], name: str) -> str:
    """A name without some of its parts, of which one stays."""
    *before, last = name.split(".")
    return ".".join([*(part for part in before if part not in parts), last])


def _check_finite(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    wrong = []
    for name, values in tensors.items():
        finite = np.isfinite(values)
        if not finite.all():
            place = np.unravel_index(int(np.argmin(finite)), values.shape)
            wrong.append(
                f"{name} ({values.size - int(finite.sum()):,} of {values.size:,}, first at {[int(i) for i in place]})"
            )
    if wrong:
        raise CheckpointError(
            f"{path} has weights that are not finite: {listed(wrong)}; the training run diverged, "
            "take an earlier checkpoint; --ignore NAME leaves out what is no weight"
        )
