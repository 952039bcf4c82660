"""What the tensors of a gated decoder are called: by Hugging Face, and by Meta (whose names llama2.c uses, too).

Strategy: one table a naming, from the part that a tensor plays to its name within a layer. What stands before all
names (`model.`, or nothing, or the part of a larger model that is one for text) is read off the token table. With the
name goes the order of a head's elements that its rotation pairs: Hugging Face moved Meta's interleaved pairs apart
when it converted the weights.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...format.program.operations import RopeLayout
from .llama_families import FAMILIES, Family, HeadNorms, Norms
from .parts import ONE, whole_name

MAPS = ("query", "key", "value", "output", "gate", "up", "down")
NORMS = ("attention_norm", "attention_output_norm", "mlp_norm", "mlp_output_norm")
HEAD_NORMS = ("query_norm", "key_norm")
OUTPUT_BIAS = "output_bias"  # of the head: what a compiled model may have and no checkpoint of these families
PREFIXES = ("model.", "", "language_model.model.", "model.language_model.", "language_model.")
HEADS = ("lm_head.weight", "language_model.lm_head.weight")
LLAMA2C = "llama2.c"

HUGGING_FACE_MAPS = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
FUSED_MAPS = {
    **dict.fromkeys(("query", "key", "value"), "self_attn.qkv_proj"),
    **dict.fromkeys(("gate", "up"), "mlp.gate_up_proj"),
}
HUGGING_FACE_NORMS = {
    Norms.BEFORE: {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"},
    Norms.AFTER: {
        "attention_output_norm": "post_attention_layernorm",
        "mlp_output_norm": "post_feedforward_layernorm",
    },
    Norms.BOTH: {
        "attention_norm": "input_layernorm",
        "attention_output_norm": "post_attention_layernorm",
        "mlp_norm": "pre_feedforward_layernorm",
        "mlp_output_norm": "post_feedforward_layernorm",
    },
}
HUGGING_FACE_HEAD_NORMS = {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm"}
META_PARTS = {
    "attention_norm": "attention_norm",
    "query": "attention.wq",
    "key": "attention.wk",
    "value": "attention.wv",
    "output": "attention.wo",
    "mlp_norm": "ffn_norm",
    "gate": "feed_forward.w1",
    "up": "feed_forward.w3",
    "down": "feed_forward.w2",
}


@dataclass(frozen=True, slots=True)
class Naming:
    """table, norm, head : names of single tensors;  layers : prefix of all layers
    parts : by part (MAPS, NORMS, HEAD_NORMS), the name within a layer, without ".weight"
    layout : which elements of a head are rotated together
    rows : by part that is stored in a tensor with others, its rows
    """

    table: str
    norm: str
    head: str
    layers: str
    parts: Mapping[str, str]
    layout: RopeLayout
    rows: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def stored(self, layer: int, part: str, kind: str = "weight") -> str:
        """What the checkpoint calls a tensor of a layer; several parts may be one tensor."""
        return f"{self.layers}{layer}.{self.parts[part]}.{kind}"

    def name(self, layer: int, part: str, kind: str = "weight") -> str:
        """What a program calls it: what is stored in one tensor is read in parts."""
        start, stop = self.rows.get(part, (0, 0))
        return self.stored(layer, part, kind) + (f"[{start}:{stop}]" if stop else "")

    def place(self, name: str) -> tuple[int, str, str] | None:
        """(layer, name within it, "weight" or "bias") of a stored tensor in a layer; None for any other name."""
        match = re.fullmatch(re.escape(self.layers) + r"(\d{1,4})\.(.+)\.(weight|bias)", name)
        return (int(match[1]), match[2], match[3]) if match and match[2] in self.parts.values() else None


def meta_naming() -> Naming:
    """Of Meta's own code and of llama2.c."""
    return Naming(
        "tok_embeddings.weight", "norm.weight", "output.weight", "layers.", META_PARTS, RopeLayout.INTERLEAVED
    )


def hugging_face_naming(family: Family, names: Collection[str]) -> Naming:
    """Of a family's model in transformers, with the prefix that its token table has in a checkpoint."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}embed_tokens.weight" in names), PREFIXES[0])
    parts = HUGGING_FACE_MAPS | (FUSED_MAPS if family.fused else {}) | HUGGING_FACE_NORMS[family.norms]
    if family.head_norms is not HeadNorms.NONE:
        parts |= HUGGING_FACE_HEAD_NORMS
    return Naming(
        table=f"{prefix}embed_tokens.weight",
        norm=f"{prefix}norm.weight",
        head=next((head for head in HEADS if head in names), HEADS[0]),
        layers=f"{prefix}layers.",
        parts=parts,
        layout=RopeLayout.HALF_SPLIT,
    )


def naming_of(family_name: str, names: Collection[str]) -> Naming:
    """The naming of a model: Meta's where the names are Meta's, or else Hugging Face's of its family."""
    return meta_naming() if is_metas(names) else hugging_face_naming(FAMILIES[family_name], names)


def is_metas(names: Collection[str]) -> bool:
    """Whether names are those of Meta's code."""
    return meta_naming().table in names or any(_LAYER.fullmatch(name) and "attention.wq" in name for name in names)


def with_rows(naming: Naming, queries: int, keys: int, hidden: int) -> Naming:
    """The naming of a family with fused tensors, whose parts have so many rows."""
    stops = {"query": queries, "key": queries + keys, "value": queries + 2 * keys, "gate": hidden, "up": 2 * hidden}
    sizes = {"query": queries, "key": keys, "value": keys, "gate": hidden, "up": hidden}
    rows = {part: (stops[part] - sizes[part], stops[part]) for part in stops if naming.parts[part] == FUSED_MAPS[part]}
    return replace(naming, rows=rows)


_KNOWN = {
    name
    for table in (HUGGING_FACE_MAPS, FUSED_MAPS, HUGGING_FACE_HEAD_NORMS, META_PARTS, *HUGGING_FACE_NORMS.values())
    for name in table.values()
}
_SINGLE = {"tok_embeddings.weight", "output.weight", *HEADS} | {
    f"{prefix}{name}" for prefix in PREFIXES for name in ("embed_tokens.weight", "norm.weight")
}
_LAYER = re.compile(
    "(?P<prefix>" + "|".join(map(re.escape, PREFIXES)) + r")layers\.\d{1,4}\.(?P<part>.+)\.(weight|bias)"
)


def stored_name(name: str) -> str:
    """What the checkpoint calls the tensor that a program's tensor was made of; often the name itself."""
    return whole_name(name).removesuffix(ONE)


def recognized(names: Iterable[str]) -> int:
    """How many names are of these families, whether stored in a checkpoint or used by a program."""
    stored = {stored_name(name) for name in names}
    return sum(
        name in _SINGLE or (match is not None and match["part"] in _KNOWN)
        for name in stored
        for match in [_LAYER.fullmatch(name)]
    )


def fitting_families(names: Collection[str]) -> list[str]:
    """The families whose models have tensors of these names, as far as the names in layers and norms tell."""
    if is_metas(names):
        return [LLAMA2C]
    found = {match["part"] for name in names if (match := _LAYER.fullmatch(name)) is not None}
    of = {name: set(hugging_face_naming(family, names).parts.values()) for name, family in FAMILIES.items()}
    return [name for name, expected in of.items() if expected == found and name != LLAMA2C]
