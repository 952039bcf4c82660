"""Which family a checkpoint is whose names are found, and what these names and the shapes tell beside the usual.

Strategy: where a family's own naming fits whole, it is that family. Where words alone tell the parts, it is the one
whose marks the names have, or somebody's own ("handwritten"). What changes the function and no tensor shows is asked
for, but for what nearly everybody's code does, which is assumed and printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ...errors import CheckpointError
from ...files.listing import listed
from ..checkpoints.checkpoint import Checkpoint
from .agreement import require
from .gpt_families import FAMILIES, Family
from .gpt_found_names import UNDERSTOOD, found_naming, untold_parts
from .gpt_heads import check_head_norms, told_by_gains
from .gpt_hyperparameters import Hyperparameters
from .gpt_names import FUSED, GATE_UP, HEAD_NORMS, MAPS, NO_NAMES, NORMS, UP_GATE, Naming
from .gpt_shapes import is_buffer
from .misfit import RENAMING

OWN = "handwritten"
KIND_BY_KIND = re.compile(r"(.*[./])?(c_attn|in_proj)")  # joined as in GPT-2 and in torch's own attention
NO_ROTATION = {
    "rope_theta": 10_000.0,
    "rope_interleaved": False,
    "query_key_norm_first": True,
}  # where nothing is rotated
SOME_UNDERSTOOD = [UNDERSTOOD[part] for part in ("query", "output", "mlp_norm", "up")]
Tensors = Mapping[str, np.ndarray]


def known_best(tensors: Tensors) -> str:
    """The family whose names and marks the tensors have."""
    exact = {name: family.naming.fitting(tensors) for name, family in FAMILIES.items() if not family.is_found}
    counts = {name: naming.recognized(tensors) for name, naming in exact.items()}
    best = max(counts, key=lambda name: counts[name])
    found = _by_words(tensors)
    fits = _is_whole(exact[best], tensors) and _is_plain(exact[best], tensors)
    if found is NO_NAMES or (counts[best] >= found.recognized(tensors) and fits):
        return best
    marked = (name for name, family in FAMILIES.items() if family.marks and _has_all(family.marks, tensors))
    return next(marked, OWN)


def _by_words(tensors: Tensors) -> Naming:
    """What words and shapes tell, `NO_NAMES` where that is no GPT."""
    naming = found_naming(tensors, {name: values.shape for name, values in tensors.items()})
    return with_joined_gate(naming, tensors)


def with_joined_gate(naming: Naming, tensors: Tensors) -> Naming:
    """The naming with its gate, where the map into the MLP has twice as many outputs as the map back has inputs: one
    half goes through the activation and multiplies the other.
    """
    weights = (tensors.get(naming.weight(0, part)) for part in ("up", "down") if part in naming.parts)
    sizes = [values.size for values in weights if values is not None and values.ndim == 2]
    if "gate" in naming.parts or len(sizes) != 2 or sizes[0] != 2 * sizes[1]:
        return naming
    parts = {GATE_UP if part == "up" else part: stored for part, stored in naming.parts.items()}
    endings = {GATE_UP if part == "up" else part: ends for part, ends in naming.endings.items()}
    return replace(naming, parts=parts, endings=endings, numbered_gate=True)


def _has_all(ends: Iterable[str], names: Iterable[str]) -> bool:
    names = [*names]
    return all(any(name.endswith(end) for name in names) for end in ends)


def _is_whole(naming: Naming, names: Iterable[str]) -> bool:
    """Whether there is a tensor for each part of a naming, in whatever layer."""
    names = {*names}
    parts = {place[1] for name in names if (place := naming.place(name)) is not None and place[2] == "weight"}
    singles = {naming.single(part) for part in ("table", "positions", "norm")} - {""}
    return parts == {*naming.parts} and singles <= names


def _is_plain(naming: Naming, tensors: Tensors) -> bool:
    """Whether the first layer has no more than a family's code has: no gate, and of one map for queries, keys and
    values as many of each.
    """
    size = {part: tensors[name].size for part in naming.parts if (name := naming.weight(0, part)) in tensors}
    three = FUSED not in size or size[FUSED] == 3 * size.get("output", 0)
    return three and ("gate" in naming.parts or size.get("up") == size.get("down"))


def naming_of(family: str, checkpoint: Checkpoint) -> Naming:
    """The naming of a family as a checkpoint has it. Raises CheckpointError where words tell no GPT."""
    tensors = checkpoint.tensors
    if not FAMILIES[family].is_found:
        return _without_absent_norms(FAMILIES[family], tensors)
    naming = _by_words(tensors)
    if naming is NO_NAMES:
        refuse_untold_parts(checkpoint)
        raise CheckpointError(
            f"{checkpoint.path} has no layers, or several kinds of them, whose names say where their attention is; "
            f"{RENAMING} gives tensors names such as {', '.join(f'blocks.0.{each}' for each in SOME_UNDERSTOOD)}"
        )
    _refuse_unplaced(checkpoint, family, naming)
    _refuse_two_layouts(checkpoint, naming)
    return naming


def _without_absent_norms(family: Family, tensors: Tensors) -> Naming:
    """The naming that knows more of the tensors, without norms of queries and keys where no layer has them."""
    namings = [each.fitting(tensors) for each in (family.naming, family.other_naming) if isinstance(each, Naming)]
    naming = max(namings, key=lambda each: each.recognized(tensors))
    there = {place[1] for name in tensors if (place := naming.place(name)) is not None}
    return replace(naming, parts={p: name for p, name in naming.parts.items() if p not in HEAD_NORMS or p in there})


def _refuse_two_layouts(checkpoint: Checkpoint, naming: Naming) -> None:
    """CheckpointError where some maps are kernels, as those that are stored as [inputs, outputs] are called."""
    names = [naming.weight(0, part) for part in naming.parts if part in MAPS]
    kernels = [name for name in names if name.endswith("kernel")]
    if 0 < len(kernels) < len(names):
        others = [name for name in names if name not in kernels]
        raise CheckpointError(
            f"{checkpoint.path} has maps that are called kernels, as those stored as [inputs, outputs] are "
            f"({listed(kernels, 2)}), and others that are not ({listed(others, 2)}); store all in one way"
        )


def _refuse_unplaced(checkpoint: Checkpoint, family: str, naming: Naming) -> None:
    """CheckpointError for tensors that say no part of a GPT: nothing that a caller could say would make them fit."""
    singles = {*naming.singles().values()}
    others = {name: values for name, values in checkpoint.tensors.items() if not is_buffer(name, values)}
    left = [name for name in others if name not in singles and naming.place(name) is None]
    kinds = {re.sub(r"\d+", "N", name, count=1): name for name in reversed(left)}  # one layer stands for all
    if kinds:
        raise CheckpointError(
            f"{checkpoint.path} has the tensors of {family}, and others whose names say no part of it: "
            f"{listed([*reversed(kinds.values())])}; it is another architecture, or has other names for them, which "
            f"{RENAMING} changes; --ignore NAME leaves out what the model does without"
        )


def refuse_untold_parts(checkpoint: Checkpoint) -> None:
    """CheckpointError for what is a GPT by its attention, where no tensor has a name that says another part of it."""
    untold = untold_parts(checkpoint.tensors, {name: values.shape for name, values in checkpoint.tensors.items()})
    if untold:
        raise CheckpointError(
            f"{checkpoint.path} has the attention of a GPT, and no one tensor whose name says what plays the part of "
            f"{', '.join(untold)}; {RENAMING} gives it a name such as {', '.join(untold.values())}"
        )


def complete_found(
    naming: Naming, shapes: dict[str, object], known: Mapping[str, object], assumed: dict[str, object]
) -> None:
    """What matters only with another one: the order of a gate, of fused rows, and rotations where positions are added.

    shapes : told by the tensors, to which what does not matter is added;  known : by others
    """
    if not naming.numbered_gate:  # of w1, w2 and w3, of which the second leads back, the first is the gate as in Llama
        assumed.setdefault("gate_first", True)
    if KIND_BY_KIND.fullmatch(naming.parts.get(FUSED, "")):
        assumed.setdefault("fused_by_head", False)
    if "positions" in shapes:
        assumed["rotary_dims"] = 0
        assumed.pop("rotary_share", None)
    if re.fullmatch(r"(.*[./])?pe", naming.positions):  # sines, to which an embedding often is scaled
        assumed.pop("scale_embedding", None)
    if "attention_norm" not in naming.parts:  # norms without gains leave no trace
        for name in ("embedding_norm", "query_key_norm"):
            assumed.pop(name, None)
    elif "mlp_norm" not in naming.parts:
        assumed.pop("parallel_residual", None)
    if known.get("sliding_window"):  # in all layers, or in every other, or in all but every sixth
        assumed.pop("sliding_layers", None)
    if HEAD_NORMS[0] in naming.parts or HEAD_NORMS[1] in naming.parts:
        assumed.pop("query_key_norm", None)
    elif {**assumed, **known}.get("query_key_norm") == "none":
        assumed.setdefault("query_key_norm_first", True)  # there is none
    heads, keys = ({**known, **shapes}.get(f"num_{name}_heads") for name in ("attention", "key_value"))
    if "keys_in_turn" not in known:  # of one head of keys, or as many as of queries, there is one order
        (shapes if keys in (1, heads) else assumed)["keys_in_turn"] = False
    if {**assumed, **known}.get("rotary_dims") == 0:
        shapes |= {name: value for name, value in NO_ROTATION.items() if name not in known}
    norm = {**assumed, **known, **shapes}.get("norm")
    if norm != "layer_norm" and "layer_norm_eps" in assumed and "norm" not in assumed:
        del assumed["layer_norm_eps"]  # nn.LayerNorm has one that everybody takes, an RMSNorm has not


def checked_layout(h: Hyperparameters, naming: Naming, tensors: Tensors) -> Naming:
    """The naming with its gate where the hyperparameters say; CheckpointError for a norm that is not there."""
    there, gainless = "there is one" if naming.norm else "there is none", "attention_norm" not in naming.parts
    fits = h.final_norm == bool(naming.norm) or (gainless and not naming.norm)
    require(fits, f"final_norm is {h.final_norm}, and among the tensors {there}")
    require(
        not gainless or h.norm == "rms_norm",
        "norm is layer_norm, and the tensors hold no gains of such norms, which the operation needs; norms without "
        "gains are computed of kind rms_norm alone",
    )
    grouped = h.num_key_value_heads != h.num_attention_heads
    check_head_norms(h, naming, tensors)
    require(not (grouped and h.fused_by_head), "fused_by_head of fewer heads of keys than of queries cannot be read")
    other = {"gate": "up", "up": "gate", GATE_UP: UP_GATE}
    if h.gate_first or not {"gate", GATE_UP} & naming.parts.keys():
        return naming
    parts, endings = (
        {other.get(part, part): each for part, each in of.items()} for of in (naming.parts, naming.endings)
    )
    return replace(naming, parts=parts, endings=endings)


def read_by_words(naming: Naming) -> str:
    """Which name was taken for which part, in words."""
    singles = {part: name for part in ("table", "positions", "norm", "head") if (name := naming.single(part))}
    parts = {part: naming.weight("N", part) for part in naming.parts}
    said = ", ".join(f"{part} {name}" for part, name in {**singles, **parts}.items())
    return f"which part each tensor plays is told by the words of its name: {said}"


def has_norm_biases(naming: Naming, tensors: Iterable[str]) -> bool:
    """Whether a norm has a bias, as an RMSNorm never does."""
    places = [place for name in tensors if (place := naming.place(name)) is not None]
    single = naming.singles().get("norm_bias")
    return any(part in NORMS and kind == "bias" for _, part, kind in places) or single in {*tensors}


def told_by_names(naming: Naming, tensors: Tensors, query_rows: object) -> dict[str, object]:
    """Hyperparameters that the names of a found naming tell, and those that do not matter with them."""
    told = told_by_gains(naming, tensors, query_rows)
    if naming.norm or "attention_norm" in naming.parts:
        told["final_norm"] = bool(naming.norm)
    if has_norm_biases(naming, tensors):
        told["norm"] = "layer_norm"
    if FUSED not in naming.parts:
        told["fused_by_head"] = False
    if not naming.numbered_gate and "gate" in naming.parts.get("gate", "gate").lower():
        told["gate_first"] = True
    return told
