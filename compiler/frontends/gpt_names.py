"""What the tensors of the GPT families are called, and how each family stores them.

Strategy: one table a family, from the part that a tensor plays to its name. With the names goes the form
in which the maps lie in the file: queries, keys and values in one tensor or in three, a map as [outputs,
inputs] or turned. Every family is the same picture of parts; what it does with them is in `gpt_families`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

FUSED = "fused"  # the part that is queries, keys and values in one tensor
SPLIT = ("query", "key", "value")
GATE_UP, UP_GATE = "gate_up", "up_gate"
JOINED: Mapping[str, tuple[str, ...]] = {
    **{FUSED: SPLIT, "key_value": SPLIT[1:]},
    **{GATE_UP: ("gate", "up"), UP_GATE: ("up", "gate")},
}
MAPS = (*SPLIT, *JOINED, "output", "gate", "up", "down")
NORMS = ("attention_norm", "mlp_norm")
HEAD_NORMS = ("query_norm", "key_norm")  # of queries and keys, head by head or as a whole
USUAL_ENDINGS = (".weight", ".bias")
BUFFERS = re.compile(r".*(\.(masked_bias|mask|tril|causal_mask)|attn\.bias|attention\.bias|inv_freq|embed_positions)")


@dataclass(frozen=True, slots=True)
class Naming:
    """table, positions, norm, head : names of single tensors, without the prefix but for the head's
    prefix : what the names of all but the head may begin with;  layers : how those in layers go on
    parts : by part (MAPS, NORMS), the name within a layer, without ".weight"
    project_in, project_out : maps between the width of the table and that of the layers
    after : what parts a layer's number from the name within it
    endings : by part, "norm" and "head" among them, how its weight and its bias end where not as usual
    numbered_gate : only a number, or the half of a joined map, tells which of two maps into the MLP is the gate
    """

    table: str
    positions: str
    norm: str
    head: str
    layers: str
    parts: Mapping[str, str]
    prefix: str = ""
    project_in: str = ""
    project_out: str = ""
    after: str = "."
    endings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    numbered_gate: bool = False

    def weight(self, layer: int | str, part: str) -> str:
        return self._within(layer, part) + self._endings(part)[0]

    def bias(self, layer: int | str, part: str) -> str:
        return self._within(layer, part) + self._endings(part)[1]

    def _within(self, layer: int | str, part: str) -> str:
        return f"{self.prefix}{self.layers}{layer}{self.after}{self.parts[part]}"

    def stored_part(self, part: str) -> str:
        """The part under which one is stored: itself, or what it is joined in; "" where it is not there."""
        return next((each for each in (part, *JOINED) if each in self.parts and part in JOINED.get(each, (each,))), "")

    def _endings(self, part: str) -> tuple[str, str]:
        return self.endings.get(part, USUAL_ENDINGS)

    def single(self, part: str) -> str:
        """The name of a tensor outside the layers, empty where the family has none."""
        name = getattr(self, part)
        return name and (name if part == "head" else self.prefix + name)

    def singles(self) -> dict[str, str]:
        """Name by part of the tensors outside the layers, biases among them."""
        found = {
            part: self.single(part) for part in ("table", "positions", "norm", "head", "project_in", "project_out")
        }
        for part in ("norm", "head"):
            weight, bias = self._endings(part)
            found[f"{part}_bias"] = found[part] and found[part].removesuffix(weight) + bias
        return {part: name for part, name in found.items() if name}

    def place(self, name: str) -> tuple[int, str, str] | None:
        """(layer, part, "weight" or "bias") of a tensor in a layer; None for any other name."""
        before = self.prefix + self.layers
        if not name.startswith(before):  # most names, of most families: a pattern each would take most of reading
            return None
        match = re.fullmatch(rf"(\d{{1,4}}){re.escape(self.after)}(.+)", name.removeprefix(before))
        for part, stored in self.parts.items() if match else ():
            for kind, ending in zip(("weight", "bias"), self._endings(part), strict=True):
                if match and match[2] == stored + ending:
                    return int(match[1]), part, kind
        return None

    def recognized(self, names: Iterable[str]) -> int:
        """How many names are of this naming."""
        singles = set(self.singles().values())
        return sum(name in singles or self.place(name) is not None for name in names)

    def fitting(self, names: Iterable[str]) -> Naming:
        """This naming with its prefix, the end of it or none, whichever knows most of the names."""
        names, parts = list(names), self.prefix.split(".")
        prefixes = [".".join(parts[start:]) for start in range(len(parts))]
        return max((replace(self, prefix=prefix) for prefix in prefixes), key=lambda each: each.recognized(names))


GPT2 = Naming(
    prefix="transformer.",
    table="wte.weight",
    positions="wpe.weight",
    norm="ln_f.weight",
    head="lm_head.weight",
    layers="h.",
    parts={
        "attention_norm": "ln_1",
        FUSED: "attn.c_attn",
        "output": "attn.c_proj",
        "mlp_norm": "ln_2",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
)
CLASSROOM = replace(
    GPT2, prefix="", table="tok_emb.weight", positions="pos_emb.weight", head="head.weight", layers="blocks."
)
FIRST_MINGPT = replace(
    CLASSROOM,
    positions="pos_emb",
    parts={
        "attention_norm": "ln1",
        "query": "attn.query",
        "key": "attn.key",
        "value": "attn.value",
        "output": "attn.proj",
        "mlp_norm": "ln2",
        "up": "mlp.0",
        "down": "mlp.2",
    },
)
LECTURE = replace(
    FIRST_MINGPT,
    table="token_embedding_table.weight",
    positions="position_embedding_table.weight",
    head="lm_head.weight",
    parts={
        "attention_norm": "ln1",
        "query": "sa.heads.*.query",
        "key": "sa.heads.*.key",
        "value": "sa.heads.*.value",
        "output": "sa.proj",
        "mlp_norm": "ln2",
        "up": "ffwd.net.0",
        "down": "ffwd.net.2",
    },
)
GPT_NEO = replace(
    GPT2,
    parts={
        "attention_norm": "ln_1",
        "query": "attn.attention.q_proj",
        "key": "attn.attention.k_proj",
        "value": "attn.attention.v_proj",
        "output": "attn.attention.out_proj",
        "mlp_norm": "ln_2",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
)
GPT_J = replace(
    GPT2,
    positions="",
    parts={
        "attention_norm": "ln_1",
        "query": "attn.q_proj",
        "key": "attn.k_proj",
        "value": "attn.v_proj",
        "output": "attn.out_proj",
        "up": "mlp.fc_in",
        "down": "mlp.fc_out",
    },
)
CODEGEN = replace(
    GPT_J,
    parts={
        "attention_norm": "ln_1",
        FUSED: "attn.qkv_proj",
        "output": "attn.out_proj",
        "up": "mlp.fc_in",
        "down": "mlp.fc_out",
    },
)
GPT1 = replace(GPT2, table="tokens_embed.weight", positions="positions_embed.weight", norm="")
GPT_NEOX = Naming(
    prefix="gpt_neox.",
    table="embed_in.weight",
    positions="",
    norm="final_layer_norm.weight",
    head="embed_out.weight",
    layers="layers.",
    parts={
        "attention_norm": "input_layernorm",
        FUSED: "attention.query_key_value",
        "output": "attention.dense",
        "mlp_norm": "post_attention_layernorm",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
    },
)
OF_EACH_HEAD = {"query_norm": "self_attn.q_layernorm", "key_norm": "self_attn.k_layernorm"}
PHI = Naming(
    prefix="model.",
    table="embed_tokens.weight",
    positions="",
    norm="final_layernorm.weight",
    head="lm_head.weight",
    layers="layers.",
    parts={
        "attention_norm": "input_layernorm",
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.dense",
        "up": "mlp.fc1",
        "down": "mlp.fc2",
        **OF_EACH_HEAD,
    },
)
PERSIMMON = replace(
    PHI,
    parts={
        "attention_norm": "input_layernorm",
        FUSED: "self_attn.query_key_value",
        "output": "self_attn.dense",
        "mlp_norm": "post_attention_layernorm",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
        **OF_EACH_HEAD,
    },
)
STABLELM = replace(
    PHI,
    norm="norm.weight",
    parts={
        "attention_norm": "input_layernorm",
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
)
STARCODER2 = replace(
    STABLELM,
    parts={
        **{part: name for part, name in STABLELM.parts.items() if part != "gate"},
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
)
FALCON = Naming(
    prefix="transformer.",
    table="word_embeddings.weight",
    positions="",
    norm="ln_f.weight",
    head="lm_head.weight",
    layers="h.",
    parts={
        "attention_norm": "input_layernorm",
        FUSED: "self_attention.query_key_value",
        "output": "self_attention.dense",
        "mlp_norm": "post_attention_layernorm",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
    },
)
LATER_FALCON = replace(FALCON, parts={**FALCON.parts, "attention_norm": "ln_attn", "mlp_norm": "ln_mlp"})
OPT = Naming(
    prefix="model.decoder.",
    table="embed_tokens.weight",
    positions="embed_positions.weight",
    norm="final_layer_norm.weight",
    head="lm_head.weight",
    layers="layers.",
    project_in="project_in.weight",
    project_out="project_out.weight",
    parts={
        "attention_norm": "self_attn_layer_norm",
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.out_proj",
        "mlp_norm": "final_layer_norm",
        "up": "fc1",
        "down": "fc2",
    },
)
BIOGPT = replace(
    OPT,
    prefix="biogpt.",
    norm="layer_norm.weight",
    head="output_projection.weight",
    project_in="",
    project_out="",
)
NO_NAMES = Naming(table="", positions="", norm="", head="", layers="", parts={})
