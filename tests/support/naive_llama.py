"""The Llama family written out in numpy, head by head in float64: what the frontend's programs are held against.

Nothing here comes from the compiler. Names and formulas are those of the public models: rotations turn
by plus theta, in halves under Hugging Face's names and in neighbouring pairs under Meta's, which
llama2.c uses.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

State = dict[str, np.ndarray]
META_PARTS = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}


@dataclass(frozen=True)
class Llama:
    """The sizes of a model and what its family does differently.

    biases : of queries, keys and values;  all_biases : of the other maps as well;  head_norms : of queries and keys
    window : of attention in `windowed` layers;  gelu : instead of SiLU;  interleaved : Meta's pairs
    """

    model_type: str = "llama"
    vocabulary: int = 29
    width: int = 24
    hidden: int = 20
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head: int = 6
    tied: bool = False
    theta: float = 10_000.0
    epsilon: float = 1e-5
    biases: bool = False
    all_biases: bool = False
    head_norms: bool = False
    window: int = 0
    windowed: tuple[int, ...] = ()
    gelu: bool = False
    interleaved: bool = False

    def state(self, seed: int) -> State:
        """Random weights under Hugging Face's names, so that every one of them matters."""
        random = np.random.default_rng(seed)
        return {name: _values(name, shape, random) for name, shape in self.shapes().items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        maps = {
            "self_attn.q_proj": (queries, self.width),
            "self_attn.k_proj": (keys, self.width),
            "self_attn.v_proj": (keys, self.width),
            "self_attn.o_proj": (self.width, queries),
            "mlp.gate_proj": (self.hidden, self.width),
            "mlp.up_proj": (self.hidden, self.width),
            "mlp.down_proj": (self.width, self.hidden),
        }
        shapes = {"model.embed_tokens.weight": (self.vocabulary, self.width), "model.norm.weight": (self.width,)}
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            for name, shape in maps.items():
                shapes[f"{at}{name}.weight"] = shape
                if self.all_biases or (self.biases and name[10:] in ("q_proj", "k_proj", "v_proj")):
                    shapes[f"{at}{name}.bias"] = shape[:1]
            for name in ("input_layernorm", "post_attention_layernorm"):
                shapes[f"{at}{name}.weight"] = (self.width,)
            if self.head_norms:
                shapes |= {f"{at}self_attn.{x}_norm.weight": (self.head,) for x in "qk"}
        return shapes if self.tied else {**shapes, "lm_head.weight": (self.vocabulary, self.width)}

    def config(self) -> dict[str, object]:
        """As Hugging Face would write it."""
        config = {
            "model_type": self.model_type,
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "tie_word_embeddings": self.tied,
            "rope_theta": self.theta,
            "rms_norm_eps": self.epsilon,
            "hidden_act": "gelu" if self.gelu else "silu",
            "max_position_embeddings": 32,
            "bos_token_id": 1,
        }
        if self.all_biases:
            config |= {"attention_bias": True, "mlp_bias": True}
        if self.window:
            kinds = [
                "sliding_attention" if layer in self.windowed else "full_attention" for layer in range(self.layers)
            ]
            config |= {"sliding_window": self.window, "use_sliding_window": True, "layer_types": kinds}
        return config

    def logits(self, state: State, tokens: np.ndarray) -> np.ndarray:
        """float64 [length, vocabulary] of one sequence, int [length]."""
        w = {name: values.astype(np.float64) for name, values in state.items()}
        x = w["model.embed_tokens.weight"][tokens]
        for layer in range(self.layers):
            part = {k.removeprefix(at): v for k, v in w.items() if k.startswith(at := f"model.layers.{layer}.")}
            x = x + self._attention(part, _norm(x, part["input_layernorm.weight"], self.epsilon), layer)
            x = x + self._mlp(part, _norm(x, part["post_attention_layernorm.weight"], self.epsilon))
        head = w["model.embed_tokens.weight" if self.tied else "lm_head.weight"]
        return _norm(x, w["model.norm.weight"], self.epsilon) @ head.T

    def _attention(self, part: State, x: np.ndarray, layer: int) -> np.ndarray:
        length, outputs = len(x), []
        q, k, v = (_map(part, f"self_attn.{name}_proj", x) for name in "qkv")
        for h in range(self.heads):
            g = h // (self.heads // self.kv_heads)
            own, kv = slice(h * self.head, (h + 1) * self.head), slice(g * self.head, (g + 1) * self.head)
            queries, keys = q[:, own], k[:, kv]
            if self.head_norms:
                queries = _norm(queries, part["self_attn.q_norm.weight"], self.epsilon)
                keys = _norm(keys, part["self_attn.k_norm.weight"], self.epsilon)
            scores = self._turned(queries) @ self._turned(keys).T / math.sqrt(self.head)
            behind = np.arange(length)[:, None] - np.arange(length)
            reach = self.window if layer in self.windowed else length
            scores[(behind < 0) | (behind >= reach)] = -np.inf
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            outputs.append(shares / shares.sum(axis=1, keepdims=True) @ v[:, kv])
        return _map(part, "self_attn.o_proj", np.concatenate(outputs, axis=1))

    def _turned(self, x: np.ndarray) -> np.ndarray:
        """Each pair as a complex number, turned by its position times its frequency."""
        half = self.head // 2
        frequencies = self.theta ** (-np.arange(half) / half)
        turn = np.exp(1j * np.arange(len(x))[:, None] * frequencies)
        if self.interleaved:
            pairs = (x[:, 0::2] + 1j * x[:, 1::2]) * turn
            return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)
        pairs = (x[:, :half] + 1j * x[:, half:]) * turn
        return np.concatenate([pairs.real, pairs.imag], axis=1)

    def _mlp(self, part: State, x: np.ndarray) -> np.ndarray:
        z = _map(part, "mlp.gate_proj", x)
        erf = np.vectorize(math.erf)
        gate = z * (1 + erf(z / math.sqrt(2))) / 2 if self.gelu else z / (1 + np.exp(-z))
        return _map(part, "mlp.down_proj", gate * _map(part, "mlp.up_proj", x))


def _values(name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    noise = random.standard_normal(shape)
    scaled = 1 + 0.3 * noise if "norm" in name else 0.3 * noise if name.endswith("bias") else noise / shape[-1] ** 0.5
    return scaled.astype(np.float32)


def _norm(x: np.ndarray, gain: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def _map(part: State, name: str, x: np.ndarray) -> np.ndarray:
    return x @ part[f"{name}.weight"].T + part.get(f"{name}.bias", 0.0)


def under_metas_names(state: State) -> State:
    """The same weights as Meta calls them."""
    names = {"model.embed_tokens.weight": "tok_embeddings.weight", "model.norm.weight": "norm.weight"}
    names["lm_head.weight"] = "output.weight"
    renamed = {}
    for name, values in state.items():
        if name.startswith("model.layers."):
            _, _, layer, *part = name.split(".")
            renamed[f"layers.{layer}.{META_PARTS['.'.join(part[:-1])]}.{part[-1]}"] = values
        else:
            renamed[names[name]] = values
    return renamed


def llama2c_bytes(model: Llama, state: State) -> bytes:
    """A llama2.c file of header version 0; the head's width is width / heads there."""
    meta, length = under_metas_names(state), 16
    vocabulary = model.vocabulary if model.tied else -model.vocabulary
    sizes = (model.width, model.hidden, model.layers, model.heads, model.kv_heads, vocabulary, length)
    once = {"tok_embeddings", "norm", "output"}
    order = [
        "tok_embeddings",
        "attention_norm",
        "attention.wq",
        "attention.wk",
        "attention.wv",
        "attention.wo",
        "ffn_norm",
        "feed_forward.w1",
        "feed_forward.w2",
        "feed_forward.w3",
        "norm",
    ]
    half = model.head // 2
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(half) / half)
    values = [
        meta[f"{name}.weight" if name in once else f"layers.{layer}.{name}.weight"]
        for name in order
        for layer in range(1 if name in once else model.layers)
    ] + [np.cos(angles), np.sin(angles)]
    if not model.tied:
        values.append(meta["output.weight"])
    return struct.pack("<7i", *sizes) + b"".join(v.astype("<f4").tobytes() for v in values)


def write_folder(folder: Path, model: Llama, state: State, *, shards: int = 1, **changes: object) -> Path:
    """A Hugging Face folder: config.json (with `changes`; None removes a key) and safetensors in so many shards."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {name: value for name, value in (model.config() | changes).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if shards == 1:
        save_file(state, folder / "model.safetensors")
        return folder
    files = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(state)}
    for file in set(files.values()):
        save_file({name: state[name] for name in state if files[name] == file}, folder / file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


META = Llama("llama2.c", width=24, heads=4, head=6, interleaved=True, epsilon=1e-5)  # as Meta's own files have it
