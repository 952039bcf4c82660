"""What the tensors of a gated decoder are called: by Hugging Face, and by Meta (whose names llama2.c uses, too).

Strategy: one table a naming, from the part that a tensor plays to its name within a layer. What stands before all
names (`model.`, or nothing, or the part of a larger model that is one for text) is read off the token table. With the
name goes the order of a head's elements that its rotation pairs: Hugging Face moved Meta's interleaved pairs apart
when it converted the weights.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...format.program.operations import RopeLayout
from .layouts import BLOCKS, blocks_name
from .layouts import TAPS as TAPS_LAYOUT
from .llama_families import FAMILIES
from .llama_family import Family, HeadNorms, Norms, States
from .llama_states import MODULES, module_of_a_mixer
from .parts import ONE, rows_name, whole_name

CONVOLUTION = ("conv_before", "conv_after", "conv_input", "conv_output")  # factors before and after it
ATTENTION_GATE = "attention_gate"  # of what comes out of attention, in one tensor with the queries, head by head
MAPS = ("query", ATTENTION_GATE, "key", "value", "output", *CONVOLUTION, "gate", "up", "down")
NORMS = ("attention_norm", "attention_output_norm", "mlp_norm", "mlp_output_norm")
INNER_NORMS = ("attention_inner_norm", "mlp_inner_norm")  # of what their last map reads
QUERIES_AND_GATES = "qg"  # the parts of each head in that tensor
TAPS = "conv_taps"
HEAD_NORMS = ("query_norm", "key_norm")
OUTPUT_BIAS = "output_bias"  # of the head: what a compiled model may have and no checkpoint of these families
PREFIXES = ("model.", "", "language_model.model.", "model.language_model.", "language_model.", "transformer.")
HEADS = ("lm_head.weight", "language_model.lm_head.weight")
LLAMA2C = "llama2.c"
FREQUENCIES = "rope_frequencies"  # a tensor of the program that no checkpoint stores
GAIN_OF_ONE = "layer_norm_gain_of_one"  # likewise: of a LayerNorm without gains, whose operation needs one
SINGLES = ("table", "norm", "head", "embedding_norm", "head_map", "head_norm")

HUGGING_FACE_MAPS = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
CONVOLUTION_PARTS = {
    **dict.fromkeys(("conv_before", "conv_after", "conv_input"), "conv.in_proj"),
    **{"conv_output": "conv.out_proj", TAPS: "conv.conv"},
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
    Norms.ONCE: {"attention_norm": "input_layernorm"},
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
    embedding_norm, head_map, head_norm : likewise, "" where there is none; the latter two stand before the head
    parts : by part (MAPS, NORMS, INNER_NORMS, HEAD_NORMS, TAPS), the name within a layer, without ".weight"
    layout : which elements of a head are rotated together
    rows : by layer and part that is stored in a tensor with others, its rows
    gated_heads : of attention, where queries and gates stand in one tensor;  mixer_module : its name within a layer
    """

    table: str
    norm: str
    head: str
    layers: str
    parts: Mapping[str, str]
    layout: RopeLayout
    rows: Mapping[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    embedding_norm: str = ""
    head_map: str = ""
    head_norm: str = ""
    gated_heads: int = 0
    mixer_module: str = ""

    def stored(self, layer: int, part: str, kind: str = "weight") -> str:
        """What the checkpoint calls a tensor of a layer; several parts may be one tensor."""
        return f"{self.layers}{layer}.{self.parts[part]}.{kind}"

    def mixer(self, layer: int) -> str:
        """What the names of the mixer of a layer that carries a state begin with."""
        return f"{self.layers}{layer}.{self.mixer_module}."

    def together(self, part: str) -> list[str]:
        """The maps that stand in one tensor with a part, in their order, itself among them."""
        return [other for other in MAPS if self.parts.get(other) == self.parts[part]]

    def singles(self) -> dict[str, str]:
        """Names of the tensors outside the layers by what they are."""
        return {each: name for each in SINGLES if (name := getattr(self, each))}

    def name(self, layer: int, part: str, kind: str = "weight") -> str:
        """What a program calls it: what is stored in one tensor is read in parts."""
        start, stop = self.rows.get((layer, part), (0, 0))
        whole = self.stored(layer, part, kind)
        if ATTENTION_GATE in self.together(part):
            whole = blocks_name(whole, self.gated_heads, QUERIES_AND_GATES)
        return rows_name(whole, start, stop) if stop else whole

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
    """Of a family's model in transformers, with the prefix that its token table has in a checkpoint, and without the
    parts that only some of its models have where none of the names is of one.
    """
    inside = {"table": "embed_tokens.weight", "norm": "norm.weight"} | dict(family.singles)
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}{inside['table']}" in names), PREFIXES[0])
    heads = (family.singles["head"],) if "head" in family.singles else HEADS
    alone = ("head", "head_map", "head_norm")  # before which nothing stands
    singles = {each: name if each in alone else f"{prefix}{name}" for each, name in inside.items()}
    singles["head"] = next((head for head in heads if head in names), heads[0])
    layout = RopeLayout.INTERLEAVED if family.interleaved else RopeLayout.HALF_SPLIT
    if family.gainless:
        singles["norm"] = ""
    mixer = MODULES.get(family.states, "")
    naming = Naming(**singles, layers=f"{prefix}layers.", parts=_parts(family), layout=layout, mixer_module=mixer)
    there = {place[1] for name in names if (place := naming.place(name)) is not None}
    some = {part for parts in family.optional_parts.values() for part in parts}
    parts = {part: name for part, name in naming.parts.items() if part not in some or name in there}
    return replace(naming, parts=parts)


def _parts(family: Family) -> dict[str, str]:
    """Names within a layer of all parts that a model of the family may have."""
    parts = HUGGING_FACE_MAPS | (CONVOLUTION_PARTS if family.convolution else {})
    if not family.gainless:
        parts |= HUGGING_FACE_NORMS[family.norms]
        parts |= {} if family.head_norms is HeadNorms.NONE else HUGGING_FACE_HEAD_NORMS
    return {part: name for part, name in {**parts, **family.names}.items() if name}


def naming_of(family_name: str, names: Collection[str]) -> Naming:
    """The naming of a model: Meta's where the names are Meta's, or else Hugging Face's of its family."""
    return meta_naming() if is_metas(names) else hugging_face_naming(FAMILIES[family_name], names)


def is_metas(names: Collection[str]) -> bool:
    """Whether names are those of Meta's code."""
    return meta_naming().table in names or any(_LAYER.fullmatch(name) and "attention.wq" in name for name in names)


def with_rows(naming: Naming, heights: Sequence[Mapping[str, int]], heads: int) -> Naming:
    """The naming with the rows of those parts that stand in one tensor; heights : layer by layer and map, how many
    rows it has;  heads : of attention
    """
    rows = {}
    for part in (part for part in MAPS if part in naming.parts):
        together = naming.together(part)
        for layer, of in enumerate(heights if len(together) > 1 else ()):
            start = sum(of[each] for each in together[: together.index(part)])
            rows[layer, part] = (start, start + of[part])
    return replace(naming, rows=rows, gated_heads=heads)


def _known(parts: Iterable[str], inside: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Names within layers and outside them of one naming."""
    single = {FREQUENCIES, GAIN_OF_ONE, *HEADS, *inside, *(f"{prefix}{name}" for prefix in PREFIXES for name in inside)}
    return frozenset(parts), frozenset(single)


_USUAL = ("embed_tokens.weight", "norm.weight")
_NAMINGS = {  # of which several families have each
    _known(META_PARTS.values(), ("tok_embeddings.weight", "norm.weight", "output.weight")),
    *(_known(_parts(family).values(), (*_USUAL, *family.singles.values())) for family in FAMILIES.values()),
}
_LAYER = re.compile(
    "(?P<prefix>" + "|".join(map(re.escape, PREFIXES)) + r")layers\.\d{1,4}\.(?P<part>.+)\.(weight|bias)"
)


def stored_name(name: str) -> str:
    """What the checkpoint calls the tensor that a program's tensor was made of; often the name itself."""
    whole = whole_name(name.removesuffix(ONE).removesuffix(TAPS_LAYOUT))
    match = BLOCKS.fullmatch(whole)
    return match["whole"] if match else whole


def recognized(names: Iterable[str]) -> int:
    """How many names are of that family which has most of them, whether stored in a checkpoint or used by a program."""
    stored = {stored_name(name) for name in names}
    parts = {name: match["part"] for name in stored if (match := _LAYER.fullmatch(name)) is not None}
    mixers = sum(bool(module_of_a_mixer(name)) for name in stored)
    known = max(sum(name in single or parts.get(name) in within for name in stored) for within, single in _NAMINGS)
    return known + mixers if known else 0


def fitting_families(names: Collection[str]) -> list[str]:
    """The families whose models have tensors of these names, as far as the names in layers and norms tell."""
    if is_metas(names):
        return [LLAMA2C]
    modules = {name: module_of_a_mixer(name) for name in names}
    others = [name for name, module in modules.items() if not module]
    found = {match["part"] for name in others if (match := _LAYER.fullmatch(name)) is not None}
    of = {
        name: set(hugging_face_naming(family, names).parts.values())
        for name, family in FAMILIES.items()
        if _may_carry(family, {module for module in modules.values() if module})
    }
    fitting = [name for name, expected in of.items() if expected == found and name != LLAMA2C]
    return [name for name in fitting if not FAMILIES[name].only_named]


def _may_carry(family: Family, modules: set[str]) -> bool:
    """Whether a family's layers may have mixers of these names: of a delta net at least one, others perhaps none."""
    own = MODULES.get(family.states)
    return modules == {own} or (not modules and family.states is not States.DELTA)
