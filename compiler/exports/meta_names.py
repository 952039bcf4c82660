"""A model under Meta's names, which llama2.c has too, as Hugging Face stores it.

Strategy: transformers and llama.cpp know Llama by Hugging Face's names only. Tensors are renamed part by
part, and the rows of queries and keys moved from interleaved pairs to halves, as Hugging Face's own
converter did with Meta's weights; the function stays the same. What Meta's arguments leave to the tensors
(the width of the MLP, whether the table is the head) or to Meta's code (epsilon) is said, since the code of
Hugging Face takes something else for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..checkpoints.configuration import META_MODEL_TYPE
from ..checkpoints.gguf_layout import apart
from ..frontends.llama_families import FAMILIES
from ..frontends.llama_names import META_PARTS, hugging_face_naming, meta_naming
from ..frontends.llama_shapes import infer_from_shapes
from ..model.model import ModelTensor

ROWS = ("query_rows", "key_rows")  # of maps: heads times their width, which the arguments tell
HEADS = {"query": "num_attention_heads", "key": "num_key_value_heads"}


def as_hugging_face(
    configuration: Mapping[str, object], tensors: Sequence[ModelTensor]
) -> tuple[dict[str, object], list[ModelTensor]]:
    """Configuration and tensors by Hugging Face; both unchanged when they are that already."""
    if configuration.get("model_type") != META_MODEL_TYPE:
        return dict(configuration), list(tensors)
    said = {name: value for name, value in configuration.items() if value is not None}
    llama = {**_unsaid(tensors), **said, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    llama.setdefault("num_key_value_heads", llama.get("num_attention_heads"))
    return llama, [_renamed(tensor, llama) for tensor in tensors]


def _unsaid(tensors: Sequence[ModelTensor]) -> dict[str, object]:
    """What shapes tell and what Meta's code assumes, where its arguments are silent."""
    code = FAMILIES[META_MODEL_TYPE]
    assumed = {"rope_theta": code.rope_theta, "rms_norm_eps": code.epsilon, "hidden_act": code.activation}
    shapes = infer_from_shapes({tensor.name: tensor.values for tensor in tensors}, meta_naming())
    return {**assumed, **{name: value for name, value in shapes.items() if name not in ROWS}}


def _renamed(tensor: ModelTensor, configuration: Mapping[str, object]) -> ModelTensor:
    metas, theirs = meta_naming(), hugging_face_naming(FAMILIES["llama"], ())
    single = {metas.table: theirs.table, metas.norm: theirs.norm, metas.head: theirs.head}
    if tensor.name in single:
        return replace(tensor, name=single[tensor.name])
    place = metas.place(tensor.name)
    if place is None:
        return tensor
    part = next(part for part, name in META_PARTS.items() if name == place[1])
    heads = configuration.get(HEADS.get(part, ""))
    values = apart(tensor.values, heads) if isinstance(heads, int) else tensor.values
    return replace(tensor, name=theirs.stored(place[0], part, place[2]), values=values)
