"""What tells each hyperparameter of a GPT checkpoint.

Strategy: a hyperparameter comes from the caller, else from the shapes, else from the configuration, else from what the
family's code fixes or assumes; the record keeps which. What changes the function and none of them tells is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..checkpoints.checkpoint import Checkpoint
from .agreement import (
    EVALUATED_LENGTH,
    refuse_contradictions,
    require,
    require_grouped_heads,
    require_layers,
    require_token,
    who_told,
)
from .architecture_file import Parameter, checked_parameters
from .gpt_configuration import family_told, read_configuration, refuse_foreign_arguments
from .gpt_families import FAMILIES, Family
from .gpt_found_resolution import checked_layout, complete_found, known_best, naming_of, told_by_names
from .gpt_heads import check_head_norms, complete_heads, gains_lie_around_zero
from .gpt_hyperparameters import FRONTEND_NAME, PARAMETERS, Hyperparameters, names_of
from .gpt_names import FUSED, Naming
from .gpt_own_words import UNTOLD
from .gpt_shapes import infer_from_shapes, refuse_other_names
from .untold import UntoldError, usual_questions

TOLD_ONLY = {
    "rotary_share": Parameter(float, least=0, most=1),
    "positions": Parameter(int, least=1),
    "head_dim": Parameter(int, least=1),
    "query_key_norm": Parameter(str, choices=(*PARAMETERS["query_key_norm"].choices, UNTOLD)),
}
UNLESS_TOLD = {  # what LayerNorm has in PyTorch and in every family;  a head that is a copy of the table counts as tied
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
MEANINGS = {  # of what is asked for and has no choices to tell by
    "norm_first": "norm_first is true where attention and MLP read a normalized stream, false where the sum after them "
    "is normalized, as nn.TransformerEncoderLayer does unless told otherwise",
    "rotary_dims": "rotary_dims is how many elements of each head are rotated, 0 for no rotations; other "
    "positions that are not stored, such as ALiBi, cannot be expressed",
    "rope_theta": "rope_theta is the base of the rotations' frequencies, often 10000; none that are scaled can "
    "be expressed in this family",
    "rope_interleaved": "rope_interleaved is true where a rotation turns neighbouring elements, as complex numbers do, "
    "and false where it turns those of the two halves of a head, as rotate_half does",
    "scale_embedding": "scale_embedding is true where the embedding is multiplied by the root of the model's width",
    "fused_by_head": "fused_by_head is true where the joined map gives queries, keys and values of one head after the "
    "other, as view(..., heads, 3 * width) reads it, and false where it gives all queries, then all keys, then all "
    "values, as chunk(3, dim=-1) does",
    "query_key_norm": "query_key_norm is what normalizes queries and keys, with the gains among the tensors where "
    "there are some",
    "query_key_norm_first": "query_key_norm_first is true where queries and keys are normalized and then rotated, "
    "false where they are rotated and then normalized",
    "parallel_residual": "parallel_residual is true where attention and MLP read the same stream, side by side, false "
    "where the MLP reads the sum after attention; a layer with one norm has it before both, or twice",
    "gate_first": "gate_first is true where the activation is that of the map with the lower number, or of the first "
    "half of a joined one",
    "final_norm": "final_norm is true where the stream is normalized before the head",
    "embedding_norm": "embedding_norm is true where the token embedding is normalized before anything is added to it",
    "gains_less_one": "gains_less_one is true where norms multiply by 1 plus what is stored, as Gemma's do; of the "
    "gains here many are 0 or below",
    "sliding_layers": "sliding_layers lists the layers, the first being 0, whose attention sees sliding_window "
    "positions, its own among them, and no more",
    "scale_by_width": "scale_by_width is true where the code multiplies scores by C**-0.5, C the width of the model, "
    "and false where by the head's, head_size**-0.5",
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Hyperparameters, the names of the tensors, who told each hyperparameter, and the names of those assumed."""

    hyperparameters: Hyperparameters
    naming: Naming
    told: Mapping[str, str]
    assumed: tuple[str, ...]


def family_of(checkpoint: Checkpoint, given: Mapping[str, object]) -> str:
    """The family that the caller or the configuration names, or else that whose names and layout the tensors have."""
    named = str(given["family"]) if "family" in given else family_told(checkpoint.configuration)
    by_sizes = "family" not in given and named == "nanogpt"  # which those who change its code keep
    if named is None or (by_sizes and FAMILIES[known_best(checkpoint.tensors)].is_found):
        named = known_best(checkpoint.tensors)
    if named == "gpt2" and not _turned(checkpoint.tensors, FAMILIES[named].naming.fitting(checkpoint.tensors)):
        return "mingpt" if family_told(checkpoint.configuration) else "nanogpt"
    return named


def _turned(tensors: Mapping[str, np.ndarray], naming: Naming) -> bool:
    """Whether the fused map of the first layer is stored as [inputs, outputs], as GPT-2's are."""
    found = tensors.get(naming.weight(0, FUSED)) if FUSED in naming.parts else None
    return found is not None and found.ndim == 2 and found.shape[1] == 3 * found.shape[0]


def resolve(checkpoint: Checkpoint, given: Mapping[str, object], heads: int = 0) -> Resolved:
    """The hyperparameters of a checkpoint; `given` has passed `parse_given`, and `heads` is how many the tensors had
    one by one, 0 where they had them in one.

    Raises CheckpointError when sources contradict each other, or when nothing tells what changes the function.
    """
    name = family_of(checkpoint, given)
    family = FAMILIES[name]
    naming = naming_of(name, checkpoint)
    shapes = infer_from_shapes(checkpoint.tensors, naming, family) | ({"num_attention_heads": heads} if heads else {})
    shapes |= told_by_names(naming, checkpoint.tensors, shapes.get("query_rows")) if family.is_found else {}
    refuse_other_names(checkpoint, name, naming, shapes)
    if "family" not in given:
        refuse_foreign_arguments(checkpoint.configuration, name)
    told, source = _from_configuration(checkpoint, name, int(shapes["num_hidden_layers"]))
    told_by_name = "family" in given or family_told(checkpoint.configuration) is not None
    declared = told_by_name or family.named_by_its_tensors
    assumed = {**UNLESS_TOLD, **(family.assumed if declared else {})}
    if family.is_found and gains_lie_around_zero(naming, checkpoint.tensors):
        assumed.pop("gains_less_one", None)
    if heads:  # each by itself, as in the lecture, whose first code scaled by the width
        assumed.pop("scale_by_width", None)
    positions = {name: shapes[name] for name in shapes if name == "positions"}
    refuse_contradictions(checkpoint, positions, told, source)
    query_rows = int(shapes.get("query_rows") or shapes["hidden_size"])  # type: ignore[call-overload]
    _complete(family, naming, shapes, told, assumed, given)
    refuse_contradictions(checkpoint, shapes, {n: told[n] for n in told if n not in given}, source)
    known = {**assumed, **family.fixed, **told, **shapes, "family": name, **given}
    names = names_of(name)
    foreign = [other for other in given if other not in names]
    require(not foreign, f"the family {name} has no hyperparameter {', '.join(foreign)}")
    follows = {"rotary_dims"} if "rotary_share" in assumed else set()  # from the heads
    _ask(checkpoint, name, [name for name in names if name not in known and name not in follows], query_rows)
    h = Hyperparameters(**{name: known[name] for name in names})
    _check_consistent(h)
    if family.is_found:
        naming = checked_layout(h, naming, checkpoint.tensors)
    elif "query_key_norm" in names:
        check_head_norms(h, naming, checkpoint.tensors)
    longest = int(positions.get("positions", h.seq_len))  # type: ignore[call-overload]
    require(h.seq_len <= longest, f"seq_len {h.seq_len} is beyond the {longest} rows of the position table")
    found = who_told(names, told, source, {*shapes, "family"}, given)
    origins = {n: found.get(n, name) for n in names if n in found or n in family.fixed}
    return Resolved(h, naming, origins, tuple(n for n in names if n not in origins))


def _from_configuration(checkpoint: Checkpoint, family: str, layers: int) -> tuple[dict[str, object], str]:
    """What the configuration tells, checked, and who says so; what begins a document stands there as it is."""
    if checkpoint.configuration is None:
        return {}, ""
    values = checkpoint.configuration.values
    told = read_configuration(checkpoint.configuration, family, layers)
    told = checked_parameters(told, {**PARAMETERS, **TOLD_ONLY}, FRONTEND_NAME)
    ends = values.get("bos_token_id", values.get("eos_token_id"))
    end = ends[0] if isinstance(ends, list) and ends else ends
    if isinstance(end, int) and not isinstance(end, bool) and end >= 0:
        told["boundary_token"] = end
    return told, checkpoint.configuration.source


def _complete(
    family: Family,
    naming: Naming,
    shapes: dict[str, object],
    told: dict[str, object],
    assumed: dict[str, object],
    given: Mapping[str, object],
) -> None:
    """What follows from several: heads from rows, rotated elements from a share, layers with a window, the length of
    sequences and what begins a document.
    """
    if told.get("query_key_norm") == UNTOLD:
        del told["query_key_norm"]
        assumed.pop("query_key_norm", None)
    head = complete_heads(shapes, told, given, {**assumed, **family.fixed, **told, **shapes, **given})
    known = {**assumed, **family.fixed, **told, **shapes, **given}
    if head:
        if head == shapes["hidden_size"] and "scale_by_width" not in known:  # the head is as wide as the model
            shapes["scale_by_width"] = False
        for source in (assumed, told):
            if "rotary_share" in source:
                source["rotary_dims"] = int(head * source.pop("rotary_share"))  # type: ignore[call-overload]
    if family.is_found:
        complete_found(naming, shapes, {**told, **given}, assumed)
    elif "norm_first" in known and "final_norm" not in family.fixed:
        assumed["final_norm"] = known["norm_first"]
    if "sliding_window" in known and "sliding_layers" not in known and not family.is_found:
        every = range(int(shapes["num_hidden_layers"]))  # type: ignore[call-overload]
        assumed["sliding_layers"] = list(every if family.windowed_throughout else every[1::2])
    for source in (told, shapes):
        length = source.pop("positions", None)
        if isinstance(length, int) and length <= EVALUATED_LENGTH:
            source.setdefault("seq_len", length)
    assumed["seq_len"] = EVALUATED_LENGTH
    beyond = int(shapes["vocab_size"])  # type: ignore[call-overload]
    if int(told.get("boundary_token", 0)) >= beyond:  # type: ignore[call-overload]
        del told["boundary_token"]
    assumed["boundary_token"] = family.boundary_token if family.boundary_token < beyond else 0


def _ask(checkpoint: Checkpoint, family: str, untold: list[str], query_rows: int) -> None:
    if "num_attention_heads" in untold:  # which tells the others
        untold = [name for name in untold if name not in ("num_key_value_heads", "head_dim")]
    if untold:
        kinds = [f"{name} is {PARAMETERS[name].expected()}" for name in untold if PARAMETERS[name].choices]
        kinds += [MEANINGS[name] for name in untold if name in MEANINGS]
        raise UntoldError(
            f"{checkpoint.path} has the tensors of {family}, and nothing tells {', '.join(untold)}, which change what "
            "the model computes; put its config.json beside it, or give them in an --architecture file"
            + (f" ({'; '.join(kinds)})" if kinds else ""),
            usual_questions(untold, PARAMETERS, query_rows),
        )


def _check_consistent(h: Hyperparameters) -> None:
    require_grouped_heads(h.num_attention_heads, h.num_key_value_heads)
    require(h.rotary_dims % 2 == 0, f"rotary_dims {h.rotary_dims} is odd, and a rotation takes pairs")
    require(h.rotary_dims <= h.head_width, f"rotary_dims {h.rotary_dims} is more than a head of {h.head_width} has")
    require_token(h.boundary_token, h.vocab_size)
    require_layers("sliding_layers", h.sliding_layers, h.num_hidden_layers)
