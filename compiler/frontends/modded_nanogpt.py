"""modded-nanogpt: records of the speedrun, with value embeddings, skips, windows, half-turned rope and capped logits.

Strategy: one builder over the variants of `modded_nanogpt_variants`. Rotations and the mark of the elements that do not
turn are tensors of the program that no checkpoint holds; `restore` leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...format.program import operations as op
from ...format.program.operands import Row
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .bare_builder import BareBuilder
from .layouts import TRANSPOSED, column_name, padded_name, split_memory, stored_name, stored_tensors
from .modded_nanogpt_shapes import (
    FROM_FIRST,
    FRONTEND_NAME,
    HEAD,
    LAYER,
    SCALARS,
    SKIP_WEIGHTS,
    SMEAR_GATE,
    TABLE,
    VALUE_TABLE,
    Hyperparameters,
    check_shapes,
    recognized,
    resolve,
)
from .modded_nanogpt_variants import BANK, BLOCK, MEMORY, VARIANTS, Variant, rotation, skips, value_table
from .parts import split_bank, split_rows

FREQUENCIES, STATIONARY = "rotary.frequencies", "rotary.stationary"


class ModdedNanogpt:
    """State_dicts of modded-nanogpt's records."""

    name = FRONTEND_NAME
    model_types = ()

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are modded-nanogpt's."""
        return recognized(stored_name(name) for name in names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        h, told, assumed = resolve(checkpoint, architecture)
        check_shapes(checkpoint, h)
        variant = VARIANTS[h.variant]
        tensors = program_tensors(checkpoint.tensors, h, variant)
        builder = _Builder(h, variant, tensors).program()
        program = Program(tuple(builder.instructions), h.rows, h.seq_len, h.boundary_token)
        dtypes = {name: checkpoint.dtypes.get(stored_name(name), "float32") for name in builder.names}
        return Model(program, builder.tensors(tensors, dtypes), h.document(), assumed, told)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them."""
        derived = (FREQUENCIES, STATIONARY)
        return stored_tensors(program, [tensor for tensor in tensors if tensor.name not in derived])


def program_tensors(tensors: Mapping[str, np.ndarray], h: Hyperparameters, variant: Variant) -> dict[str, np.ndarray]:
    """The tensors as a program reads them, C-contiguous, and those that no checkpoint holds."""
    still = np.arange(h.head_dim) % (h.head_dim // 2) >= h.head_dim // 4
    read = {FREQUENCIES: rotation(variant, h.head_dim)[0], STATIONARY: still.astype(np.float32)}
    for name, values in tensors.items():
        if name.endswith("attn.qkv_w"):
            read |= split_bank(name, values)
        elif name.endswith("attn.qkvo_w"):
            memory = variant.fused == MEMORY
            read |= split_memory(name, values, 4) if memory else split_rows(name, values, [h.width] * 4)
        elif variant.mlp_turned and name.endswith(f"mlp.{variant.mlp_turned}"):
            read[name + TRANSPOSED] = values.T
        elif name in (SCALARS, FROM_FIRST, SKIP_WEIGHTS) or name.endswith("lambdas"):
            read[column_name(name)] = values[:, None]
        elif (name == TABLE or VALUE_TABLE.fullmatch(name)) and len(values) < h.rows:
            padding = np.zeros((h.rows - len(values), values.shape[1]), np.float32)
            read[padded_name(name, len(values))] = np.concatenate([values, padding])
        else:
            read[name] = values
    return {name: np.ascontiguousarray(values) for name, values in read.items()}


class _Builder(BareBuilder):
    """Writes the program of one model."""

    def __init__(self, h: Hyperparameters, variant: Variant, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors, h.rms_norm_eps)
        self.h, self.variant, self.first_record = h, variant, variant.fused == BANK
        self.scale = rotation(variant, h.head_dim)[1]

    def program(self) -> ProgramBuilder:
        """From the tokens to the logits."""
        h, v = self.h, self.variant
        x = self.emit(op.Embed(self.tensor(TABLE)))
        if not self.first_record:
            x = self.smeared(x, SMEAR_GATE, self.scalar("smear"), h.width)
        x = first = self.norm(x)
        streams: dict[int, int] = {}
        sources = skips(v, h.layers)
        for layer in range(h.layers):
            if layer in sources:
                x = self.emit(op.Add(x, self.skipped(layer, streams[sources[layer]])))
            streams[layer] = x = self.block(layer, x, first)
        if v.backout >= 0:
            x = self.less(x, streams[v.backout], self.scalar("backout"))
        # cap * sigmoid((z + shift) / slope) is cap / 2 * tanh((z + shift) / (2 slope)) + cap / 2
        z, half = self.linear(self.norm(x), HEAD), v.cap / 2
        z = self.emit(op.Affine(z, half / (2 * v.slope), half * v.shift / (2 * v.slope)))
        self.emit(op.Affine(self.emit(op.Softcap(z, half, op.SoftcapKind.TANH)), 1.0, half))
        return self.builder

    def block(self, layer: int, x: int, first: int) -> int:
        """Mix with the first stream, attention and MLP, as far as the layer has them; a layer of neither is passed."""
        at = LAYER.format(layer)
        attends = any(at + part in self.read for part in ("attn.qkv_w", "attn.qkvo_w"))
        up, down = (f"{at}mlp.{part}{'.weight' if self.first_record else ''}" for part in ("c_fc", "c_proj"))
        if not attends and up not in self.read:
            return x
        x = self.emit(op.Mix(x, first, *self.mix(layer)))
        if attends:
            x = self.emit(op.Add(x, self.attention(layer, at, self.norm(x))))
        return self.emit(op.Add(x, self.relu_squared(self.norm(x), up, down))) if up in self.read else x

    def attention(self, layer: int, at: str, x: int) -> int:
        h, v = self.h, self.variant
        fused = f"{at}attn.qkv_w" if self.first_record else f"{at}attn.qkvo_w"
        q, k, values = (self.linear(x, fused, part) for part in range(3))
        own, other = self.value_factors(layer)
        by_rows = v.fused not in (BANK, MEMORY)
        if by_rows:  # the factor is one of the weights of all three
            q, k, values = (self.emit(op.Scale(each, own)) for each in (q, k, values))
        q, k = (self.rotated(self.norm(each, h.heads)) for each in (q, k))
        if v.keys_shifted and layer in v.long_layers:
            k = self.shifted_keys(k)
        table = value_table(v, layer, h.layers)
        embedded = None if table is None else self.emit(op.Embed(self.tensor(self.value_name(table))))
        if by_rows:
            values = values if embedded is None else self.emit(op.Add(values, embedded))
        else:
            scaled = op.Scale(values, own) if embedded is None else op.Mix(values, embedded, own, other)
            values = self.emit(scaled)
        y = self.emit(op.Attention(q, k, values, h.heads, h.heads, self.scale, self.window(layer), True))
        if self.first_record:
            return self.linear(y, f"{at}attn.c_proj.weight")
        y = self.linear(self.gated(self.gate(x, f"{at}attn.attn_gate.weight"), y, h.width), fused, 3)
        return self.emit(op.Scale(y, other)) if by_rows else y

    def window(self, layer: int) -> int:
        """How many tokens a query sees, its own among them; 0: all."""
        v = self.variant
        blocks = v.long_window if layer in v.long_layers else v.windows[-1] // 2
        return BLOCK * blocks + 1 if v.long_layers else 0

    def rotated(self, x: int) -> int:
        turn = op.RotationDirection.BACKWARD
        h, row = self.h, self.row(FREQUENCIES)
        return self.emit(op.Rotate(x, h.heads, h.head_dim, 1.0, row, 1.0, op.RopeLayout.HALF_SPLIT, turn))

    def shifted_keys(self, k: int) -> int:
        """Keys whose elements that do not turn are those of the token before; the first token keeps its own."""
        one = self.emit(op.Affine(self.emit(op.Slice(k, 0, 1)), 0.0, 1.0))
        first = self.emit(op.Affine(self.emit(op.Shift(one, 1)), -1.0, 1.0))
        before = self.emit(op.Add(self.emit(op.Shift(k, 1)), self.gated(first, k, self.h.width)))
        change = self.emit(op.Add(before, self.emit(op.Affine(k, -1.0, 0.0))))
        return self.emit(op.Add(k, self.emit(op.ScaleTiled(change, self.row(STATIONARY)))))

    def skipped(self, layer: int, stream: int) -> int:
        """A stream of an earlier layer, times its weight or the sigmoid of it."""
        at = layer - self.h.layers // 2
        weight = self.row(SKIP_WEIGHTS, at) if self.first_record else self.scalar("skip", at)
        if not self.variant.gated_skips:
            return self.emit(op.Scale(stream, weight))
        one = self.emit(op.Affine(self.emit(op.Slice(stream, 0, 1)), 0.0, 1.0))
        gate = self.emit(op.Activation(self.emit(op.Scale(one, weight)), op.ActivationKind.SIGMOID))
        return self.gated(gate, stream, self.h.width)

    def scalar(self, kind: str, at: int = 0) -> Row:
        """A number of the packed ones."""
        n = self.h.layers
        if self.variant.fused == MEMORY:
            start = {"skip": at, "mix": n + at, "values": 3 * n + at, "smear": 5 * n, "backout": 5 * n + 1}[kind]
        else:
            start = {"mix": at, "values": n + at, "smear": 3 * n, "backout": 3 * n + 1, "skip": 3 * n + 2}[kind]
        return self.row(SCALARS, start)

    def mix(self, layer: int) -> tuple[Row, Row]:
        """Factors of the stream and of the first stream."""
        if self.first_record:
            return self.pair(f"{LAYER.format(layer)}lambdas")
        if self.variant.fused == MEMORY:
            return self.scalar("mix", 2 * layer), self.scalar("mix", 2 * layer + 1)
        return self.scalar("mix", layer), self.row(FROM_FIRST, layer)

    def value_factors(self, layer: int) -> tuple[Row, Row]:
        """Factors of the values and of the value embedding, or, in the latest, of all maps and of the output."""
        if self.first_record:
            return self.pair(f"{LAYER.format(layer)}attn.lambdas")
        return self.scalar("values", 2 * layer), self.scalar("values", 2 * layer + 1)

    def pair(self, name: str) -> tuple[Row, Row]:
        return self.row(name, 0), self.row(name, 1)

    def value_name(self, table: int) -> str:
        return f"value_embeds.{'embed.' if self.first_record else ''}{table}.weight"
