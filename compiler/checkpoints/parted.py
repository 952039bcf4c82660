"""Files that hold a part of a model's weights, or its weights without their shapes: what they are, and the way out.

Strategy: what trains on several devices writes such files in its own manner, and each has a mark in names or shapes.
None of them is a model, so that none is read, whatever else fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import CheckpointError
from ...files.listing import listed
from .stored import Stored

FLAT = re.compile(r"(.*\.)?_?flat_param(_\d+)?")
METAS_PART = re.compile(r"consolidated\.(\d\d)\.pth")
OF_A_RANK = re.compile(r".*(^|[^a-z])(mp_)?rank[_-]?\d+.*", re.I)
OF_ZERO = re.compile(r"(bf16_)?zero_pp_rank_\d+_mp_rank_\d+_(optim|model)_states\.pt")
DISTRIBUTED = ".metadata"  # beside the parts that torch.distributed.checkpoint (DCP) writes
JOIN_ZERO = "join them with the zero_to_fp32.py that DeepSpeed put beside them: `python zero_to_fp32.py . joined`"


def refuse_parts(tensors: Mapping[str, Stored], path: Path) -> None:
    """CheckpointError for tensors that are pieces of what FSDP parted, or that ZeRO left without numbers."""
    flat = [name for name in tensors if FLAT.fullmatch(name)]
    if flat:
        raise CheckpointError(
            f"{path} holds weights that FSDP laid one after the other without their names and shapes ({listed(flat)}); "
            "save them whole where the model is: its state_dict() within FSDP.state_dict_type(model, "
            "StateDictType.FULL_STATE_DICT)"
        )
    empty = [name for name, tensor in tensors.items() if tensor.values is not None and tensor.values.size == 0]
    if len(empty) > 1 and 2 * len(empty) > len(tensors):
        raise CheckpointError(
            f"{path} holds names of weights without numbers ({listed(empty)}): these were parted among several "
            f"processes (ZeRO stage 3), whose files hold them; {JOIN_ZERO}"
        )


def refuse_parted_file(path: Path) -> None:
    """CheckpointError for a file that its name and what lies beside it tell to be one of several parts."""
    zero = OF_ZERO.fullmatch(path.name)
    if zero and zero[2] == "optim":
        raise CheckpointError(f"{path} is a part of an optimizer's state, as DeepSpeed's ZeRO writes it; {JOIN_ZERO}")
    if path.suffix == ".distcp" or path.name == DISTRIBUTED:
        names = [entry.name for entry in path.parent.iterdir()]
        alone = "is one of the parts that torch.distributed.checkpoint writes, and its .metadata is missing"
        raise CheckpointError(what_is_parted(path.parent, names) or f"{path} {alone}; copy the whole folder")
    match = METAS_PART.fullmatch(path.name)
    parts = sorted(path.parent.glob("consolidated.[0-9][0-9].pth")) if match else []
    if len(parts) > 1:
        raise CheckpointError(
            f"{path} is one of {len(parts)} parts in which Meta's code lays each matrix on several devices; join them "
            "first, as convert_llama_weights_to_hf.py of transformers does, and give its folder"
        )


def what_is_parted(folder: Path, names: Sequence[str]) -> str:
    """Of a folder in which no file is a model: what wrote its parts, and the way out; "" where nothing tells."""
    inside = f"{folder} holds the weights in parts"
    if DISTRIBUTED in names and any(name.endswith(".distcp") for name in names):
        return (
            f"{inside}, as torch.distributed.checkpoint writes them; join them with `python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder} joined.pt` and give joined.pt"
        )
    if any(OF_ZERO.fullmatch(name) for name in names):
        return f"{inside}, as DeepSpeed's ZeRO writes them; {JOIN_ZERO} in the folder above, and give that"
    ranked = [name for name in names if OF_A_RANK.fullmatch(name) and name.endswith((".pt", ".pth", ".bin"))]
    if len(ranked) > 1:
        return (
            f"{inside}, each of one process ({listed(ranked)}); save the state_dict whole, or join them as what wrote "
            "them does, and give that file"
        )
    return ""
