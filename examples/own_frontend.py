"""Compile an architecture that bytecap does not know: a small cousin of Llama, by a frontend of its own.

    python examples/own_frontend.py

A frontend says which tensor names it knows and turns a checkpoint into a program. All else, from calibration to
scoring, works on the program and needs nothing more.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from small_data import VOCABULARY, write_data

import bytecap
from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import add_frontend
from bytecap.compiler.model.model import Model, ModelTensor
from bytecap.compiler.model.program_builder import ProgramBuilder
from bytecap.errors import CheckpointError
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program

EPSILON, ROPE_BASE, SEQUENCE_LENGTH, BOUNDARY_TOKEN = 1e-5, 10_000.0, 64, 1


class SmallLlama:
    """Checkpoints with names of their own, rotary embedding turned as the program turns it, head untied."""

    name = "small-llama"
    model_types = ()  # of Hugging Face's config.json: none is ours

    def recognize(self, names: Iterable[str]) -> int:
        """How many of the tensor names are ours; the frontend that knows most of them is taken."""
        ends = ("decoder.embed_tokens.weight", "decoder.norm.weight", "decoder.head.weight")
        return sum(name.startswith("decoder.layers.") or name in ends for name in names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The program of a checkpoint; `architecture` is what the user's file says beyond the shapes."""
        if "num_attention_heads" not in architecture:
            raise CheckpointError(
                "a small Llama's shapes do not tell num_attention_heads; give it in the architecture file"
            )
        heads = int(architecture["num_attention_heads"])
        tensors = checkpoint.tensors
        builder = ProgramBuilder()
        x = builder.emit(op.Embed(builder.tensor("decoder.embed_tokens.weight")))
        layers = sum(name.endswith(".self_attn.q_proj.weight") for name in tensors)
        for layer in range(layers):
            x = self._layer(builder, f"decoder.layers.{layer}.", x, heads, tensors)
        x = builder.emit(op.RmsNorm(x, 1, EPSILON, builder.row("decoder.norm.weight")))
        builder.emit(op.Linear(x, builder.tensor("decoder.head.weight")))
        vocabulary = tensors["decoder.embed_tokens.weight"].shape[0]
        program = Program(tuple(builder.instructions), vocabulary, SEQUENCE_LENGTH, BOUNDARY_TOKEN)
        document = {
            "frontend": self.name,
            "num_attention_heads": heads,
            "rope_base": ROPE_BASE,
            "rms_norm_eps": EPSILON,
        }
        return Model(program, builder.tensors(tensors, checkpoint.dtypes), document, ("rope_base", "rms_norm_eps"))

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """What `export` writes: the tensors as the checkpoint had them. Nothing was rewritten here."""
        return list(tensors)

    def _layer(
        self, builder: ProgramBuilder, prefix: str, x: int, heads: int, tensors: Mapping[str, np.ndarray]
    ) -> int:
        """Attention and gated MLP, each behind its norm and added to the residual stream; returns its register."""

        def linear(value: int, name: str) -> int:
            return builder.emit(op.Linear(value, builder.tensor(f"{prefix}{name}.weight")))

        width, attention = tensors[prefix + "self_attn.q_proj.weight"].shape[0], prefix + "self_attn."
        head_width = width // heads
        kv_heads = tensors[attention + "k_proj.weight"].shape[0] // head_width
        normed = builder.emit(op.RmsNorm(x, 1, EPSILON, builder.row(prefix + "input_layernorm.weight")))
        q, k, v = (linear(normed, f"self_attn.{name}_proj") for name in "qkv")
        q = builder.emit(op.Rope(q, heads, ROPE_BASE, head_width, op.RopeLayout.HALF_SPLIT))
        k = builder.emit(op.Rope(k, kv_heads, ROPE_BASE, head_width, op.RopeLayout.HALF_SPLIT))
        attended = builder.emit(op.Attention(q, k, v, heads, kv_heads, head_width**-0.5, 0, False))
        x = builder.emit(op.Add(x, linear(attended, "self_attn.o_proj")))
        normed = builder.emit(op.RmsNorm(x, 1, EPSILON, builder.row(prefix + "post_attention_layernorm.weight")))
        gate = builder.emit(op.Activation(linear(normed, "mlp.gate_proj"), op.ActivationKind.SILU, 0.0))
        gated = builder.emit(op.Multiply(gate, linear(normed, "mlp.up_proj")))
        return builder.emit(op.Add(x, linear(gated, "mlp.down_proj")))


def write_checkpoint(path: Path, width: int = 32, hidden: int = 48) -> None:
    """Random weights, one layer."""
    random = np.random.default_rng(0)
    shapes = {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (width // 2, width),
        "self_attn.v_proj": (width // 2, width),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (hidden, width),
        "mlp.up_proj": (hidden, width),
        "mlp.down_proj": (width, hidden),
    }
    state = {
        f"decoder.layers.0.{name}.weight": random.standard_normal(shape) / shape[1] ** 0.5
        for name, shape in shapes.items()
    }
    for name in ("layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm"):
        state[f"decoder.{name}.weight"] = np.ones(width)
    for name in ("decoder.embed_tokens.weight", "decoder.head.weight"):
        state[name] = random.standard_normal((VOCABULARY, width)) / width**0.5
    save_file({name: values.astype(np.float32) for name, values in state.items()}, path)


def main(folder: Path) -> None:
    add_frontend(SmallLlama())
    files = write_data(folder)
    checkpoint, architecture, artifact = folder / "llama.safetensors", folder / "llama.json", folder / "llama.bcap"
    write_checkpoint(checkpoint)
    architecture.write_text(json.dumps({"num_attention_heads": 4}), encoding="utf-8")
    result = bytecap.compile(
        checkpoint,
        cap="20KB",
        calibration=files["calibration"],
        tokenizer=files["tokenizer"],
        architecture=architecture,
        output=artifact,
    )
    print(f"compiled   {result.ledger.total_bytes:,} of {result.ledger.cap:,} bytes")
    print(f"frontend   {result.report['architecture']['frontend']}")
    # The artifact carries its program: whoever scores it needs no frontend.
    score = bytecap.evaluate(artifact, data=files["validation"], tokenizer=files["tokenizer"]).score
    print(f"score      {score.bits_per_byte:.4f} bits per byte")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
