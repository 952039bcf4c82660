"""What the tensors of a Llama are called: by Hugging Face, and by Meta (whose names llama2.c uses, too).

Strategy: one table a naming, from the part a tensor plays to its name. With the name goes the order of
a head's elements that its rotation pairs: Hugging Face moved Meta's interleaved pairs apart when it
converted the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...format.program.operations import RopeLayout

MAPS = ("query", "key", "value", "output", "gate", "up", "down")
NORMS = ("attention_norm", "mlp_norm")
HEAD_NORMS = ("query_norm", "key_norm")


@dataclass(frozen=True, slots=True)
class Naming:
    """table, norm, head : names of single tensors;  layers : prefix of all layers
    parts : by part (MAPS, NORMS, HEAD_NORMS), the name within a layer, without ".weight"
    layout : which elements of a head are rotated together;  buffers : tensors that are no weights, all of rotations
    """

    table: str
    norm: str
    head: str
    layers: str
    parts: Mapping[str, str]
    layout: RopeLayout
    buffers: re.Pattern[str]

    def weight(self, layer: int, part: str) -> str:
        return f"{self.layers}{layer}.{self.parts[part]}.weight"

    def bias(self, layer: int, part: str) -> str:
        return f"{self.layers}{layer}.{self.parts[part]}.bias"

    def place(self, name: str) -> tuple[int, str, str] | None:
        """(layer, part, "weight" or "bias") of a tensor in a layer; None for any other name."""
        match = re.fullmatch(re.escape(self.layers) + r"(\d{1,4})\.(.+)\.(weight|bias)", name)
        part = next((part for part, name in self.parts.items() if match and match[2] == name), None)
        if match is None or part is None or (match[3] == "bias" and part not in MAPS):
            return None
        return int(match[1]), part, match[3]

    def knows(self, name: str) -> bool:
        """Whether a name is one of this naming."""
        return name in (self.table, self.norm, self.head) or self.place(name) is not None


HUGGING_FACE = Naming(
    table="model.embed_tokens.weight",
    norm="model.norm.weight",
    head="lm_head.weight",
    layers="model.layers.",
    parts={
        "attention_norm": "input_layernorm",
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.o_proj",
        "query_norm": "self_attn.q_norm",
        "key_norm": "self_attn.k_norm",
        "mlp_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
    layout=RopeLayout.HALF_SPLIT,
    buffers=re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.(inv_freq|original_inv_freq)"),
)
META = Naming(
    table="tok_embeddings.weight",
    norm="norm.weight",
    head="output.weight",
    layers="layers.",
    parts={
        "attention_norm": "attention_norm",
        "query": "attention.wq",
        "key": "attention.wk",
        "value": "attention.wv",
        "output": "attention.wo",
        "mlp_norm": "ffn_norm",
        "gate": "feed_forward.w1",
        "up": "feed_forward.w3",
        "down": "feed_forward.w2",
    },
    layout=RopeLayout.INTERLEAVED,
    buffers=re.compile(r"rope\.freqs|freqs_cos|freqs_sin"),
)
NAMINGS = (HUGGING_FACE, META)


def recognized(naming: Naming, names: Iterable[str]) -> int:
    """How many names are of a naming."""
    return sum(naming.knows(name) for name in names)


def naming_of(names: Iterable[str]) -> Naming:
    """The naming that knows most of the names."""
    names = list(names)
    return max(NAMINGS, key=lambda naming: recognized(naming, names))
