"""What tensors are called in GGUF and by Hugging Face, architecture by architecture, and what llama.cpp's converter
did to them on the way.

Strategy: tables, read in both directions. A layer's tensors are named by their part ("attn_q"), weight or
bias behind it. Source: the tensor names of the gguf package, and convert_hf_to_gguf.py of ggml-org/llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LAYER = re.compile(r"blk\.(\d{1,4})\.(.+)")
ENDINGS = (".weight", ".bias")


@dataclass(frozen=True, slots=True)
class GgufArchitecture:
    """One value of `general.architecture`.

    model_type : as Hugging Face's config.json calls it
    outer : names of tensors outside the layers, without ending;  layers : Hugging Face's prefix of all layers
    parts : names within a layer, without ending
    permuted : whether rows of queries and keys stand in the order of interleaved rotations
    gain_offset : what was added to the gain of every norm
    transposed : parts whose matrices Hugging Face stores transposed (Conv1D)
    biased : whether any tensor may have a bias
    flat : parts that Hugging Face stores as [n, 1, m], GGUF as [n, m]
    fused_by_head : parts in which Hugging Face has queries, keys and values head by head, GGUF one after the other
    """

    model_type: str
    outer: Mapping[str, str]
    layers: str
    parts: Mapping[str, str]
    permuted: bool = False
    gain_offset: float = 0.0
    transposed: frozenset[str] = field(default_factory=frozenset)
    fused_by_head: frozenset[str] = field(default_factory=frozenset)
    flat: frozenset[str] = field(default_factory=frozenset)
    biased: bool = True

    def hugging_face_name(self, name: str) -> str | None:
        """The name of a GGUF tensor by Hugging Face; None when the architecture has no such tensor."""
        stem, ending = _without_ending(name)
        match = LAYER.fullmatch(stem)
        if ending == ".bias" and not self.biased:
            return None
        if match is None:
            return f"{self.outer[stem]}{ending}" if stem in self.outer else None
        return f"{self.layers}{match[1]}.{self.parts[match[2]]}{ending}" if match[2] in self.parts else None

    def gguf_name(self, name: str) -> str | None:
        """The inverse of `hugging_face_name`."""
        stem, ending = _without_ending(name)
        outer = {theirs: ours for ours, theirs in self.outer.items()}
        if ending == ".bias" and not self.biased:
            return None
        if stem in outer:
            return f"{outer[stem]}{ending}"
        match = re.fullmatch(re.escape(self.layers) + r"(\d{1,4})\.(.+)", stem)
        part = next((ours for ours, theirs in self.parts.items() if match and theirs == match[2]), None)
        return f"blk.{match[1]}.{part}{ending}" if match and part else None


def _without_ending(name: str) -> tuple[str, str]:
    ending = next((ending for ending in ENDINGS if name.endswith(ending)), "")
    return name.removesuffix(ending), ending


def part_of(name: str) -> str:
    """The part that a GGUF tensor plays: its name without layer number and ending."""
    stem, _ = _without_ending(name)
    match = LAYER.fullmatch(stem)
    return match[2] if match else stem


OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
ATTENTION = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
GATED = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
BEFORE_MLP = {"ffn_norm": "post_attention_layernorm"}
AFTER_BOTH = {"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
SANDWICH = AFTER_BOTH | {"ffn_norm": "pre_feedforward_layernorm"}
PHI2 = {"attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
PHI3 = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_up": "mlp.gate_up_proj",
    "ffn_down": "mlp.down_proj",
}
GPT2 = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
GPT2_OUTER = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
}
NEOX = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "attention.query_key_value",
    "attn_output": "attention.dense",
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
}
NEOX_OUTER = {
    "token_embd": "gpt_neox.embed_in",
    "output_norm": "gpt_neox.final_layer_norm",
    "output": "embed_out",
}
PHI2_OUTER = OUTER | {"output_norm": "model.final_layernorm"}
UNGATED = {"ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
HUNYUAN_NORMS = {"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm"}
LFM2 = {
    **{"attn_norm": "operator_norm", "ffn_norm": "ffn_norm", "attn_output": "self_attn.out_proj"},
    **{"attn_q_norm": "self_attn.q_layernorm", "attn_k_norm": "self_attn.k_layernorm"},
    **{"ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2"},
    **{"shortconv.conv": "conv.conv", "shortconv.in_proj": "conv.in_proj", "shortconv.out_proj": "conv.out_proj"},
}
LFM2_OUTER = {"token_embd": "model.embed_tokens", "token_embd_norm": "model.embedding_norm", "output": "lm_head"}
OLMO = {part: name for part, name in (ATTENTION | GATED).items() if not part.endswith("norm")}
LAYERS = "model.layers."
LLAMA_PARTS = ATTENTION | BEFORE_MLP | GATED
GPT2_MATRICES = frozenset({"attn_qkv", "attn_output", "ffn_up", "ffn_down"})

ARCHITECTURES = {
    "llama": GgufArchitecture("llama", OUTER, LAYERS, LLAMA_PARTS, permuted=True),
    "smollm3": GgufArchitecture("smollm3", OUTER, LAYERS, LLAMA_PARTS, permuted=True),
    "granite": GgufArchitecture("granite", OUTER, LAYERS, LLAMA_PARTS, permuted=True),
    "minicpm": GgufArchitecture("minicpm", OUTER, LAYERS, LLAMA_PARTS, permuted=True, biased=False),
    "olmo": GgufArchitecture("olmo", OUTER, LAYERS, OLMO, permuted=True, biased=False),
    "arcee": GgufArchitecture("arcee", OUTER, LAYERS, ATTENTION | BEFORE_MLP | UNGATED, permuted=True, biased=False),
    "ernie4_5": GgufArchitecture("ernie4_5", OUTER, LAYERS, LLAMA_PARTS, biased=False),
    "hunyuan-dense": GgufArchitecture("hunyuan_v1_dense", OUTER, LAYERS, LLAMA_PARTS | HUNYUAN_NORMS, biased=False),
    "exaone4": GgufArchitecture("exaone4", OUTER, LAYERS, OLMO | HEAD_NORMS | AFTER_BOTH, biased=False),
    "lfm2": GgufArchitecture(
        "lfm2", LFM2_OUTER, LAYERS, ATTENTION | LFM2, flat=frozenset({"shortconv.conv"}), biased=False
    ),
    "nemotron": GgufArchitecture("nemotron", OUTER, LAYERS, ATTENTION | BEFORE_MLP | UNGATED, gain_offset=1.0),
    "qwen2": GgufArchitecture("qwen2", OUTER, LAYERS, LLAMA_PARTS),
    "qwen3": GgufArchitecture("qwen3", OUTER, LAYERS, LLAMA_PARTS | HEAD_NORMS),
    "olmo2": GgufArchitecture("olmo2", OUTER, LAYERS, ATTENTION | GATED | HEAD_NORMS | AFTER_BOTH),
    "stablelm": GgufArchitecture("stablelm", OUTER, LAYERS, LLAMA_PARTS),
    "gemma": GgufArchitecture("gemma", OUTER, LAYERS, LLAMA_PARTS, gain_offset=1.0),
    "gemma2": GgufArchitecture("gemma2", OUTER, LAYERS, ATTENTION | SANDWICH | GATED, gain_offset=1.0),
    "gemma3": GgufArchitecture(
        "gemma3_text", OUTER, LAYERS, ATTENTION | SANDWICH | GATED | HEAD_NORMS, gain_offset=1.0
    ),
    "phi2": GgufArchitecture("phi", PHI2_OUTER, LAYERS, ATTENTION | PHI2),
    "phi3": GgufArchitecture("phi3", OUTER, LAYERS, PHI3 | BEFORE_MLP),
    "gpt2": GgufArchitecture("gpt2", GPT2_OUTER, "transformer.h.", GPT2, transposed=GPT2_MATRICES),
    "gptneox": GgufArchitecture(
        "gpt_neox", NEOX_OUTER, "gpt_neox.layers.", NEOX, fused_by_head=frozenset({"attn_qkv"})
    ),
}
