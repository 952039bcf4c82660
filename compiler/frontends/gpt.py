"""The GPT families: GPT-2, nanoGPT, minGPT, GPT-Neo, GPT-J, GPT-NeoX and Pythia, OPT, Phi, StableLM, StarCoder.

Strategy: one builder that reads from the embedding to the logits; what differs from family to family is in
`gpt_families` and in the hyperparameters. Fused maps of queries, keys and values are read in three parts, and turned
maps as [outputs, inputs]; the names of the program's tensors say so, and `restore` undoes it by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import CheckpointError
from ...format.program import operations as op
from ...format.program.operands import Row
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .biases import refuse_unread
from .gpt_configuration import family_told, unread_settings
from .gpt_families import BY_HEAD, FAMILIES, GROUPED, IN_FOUR, MODEL_TYPES
from .gpt_found_resolution import has_norm_biases, read_by_words
from .gpt_heads import is_gain
from .gpt_hyperparameters import FRONTEND_NAME, Hyperparameters, parse_given
from .gpt_names import FUSED, JOINED, MAPS, SPLIT, Naming
from .gpt_resolution import resolve
from .gpt_shapes import check_shapes, is_turned, is_turned_head, recognized
from .layouts import (
    BY_KIND,
    FLAT,
    TRANSPOSED,
    joined_heads,
    kinds_of_blocks,
    rows_by_kind,
    same_name,
    stored_name,
    stored_tensors,
)
from .parts import add_one, split_bank, split_rows

TAKEN_FOR_LAYER_NORM = (
    "its norms have no biases and are taken for LayerNorm; if they are RMSNorm, say family = "
    '"handwritten" and norm = "rms_norm" in an --architecture file'
)
ACTIVATIONS = {kind.name.lower(): kind for kind in op.ActivationKind}


class Gpt:
    """State_dicts of the GPT families."""

    name = FRONTEND_NAME
    model_types = tuple(MODEL_TYPES)

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are of one of the families."""
        return recognized(names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        checkpoint, separate = _with_joined_heads(checkpoint)
        resolved = resolve(checkpoint, parse_given(architecture), separate)
        h, naming = resolved.hyperparameters, resolved.naming
        check_shapes(checkpoint, h, naming)
        _check_biases(checkpoint, h.family, naming)
        tensors = program_tensors(checkpoint.tensors, h, naming)
        builder = _Builder(h, naming, tensors).program()
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        dtypes = {name: checkpoint.dtypes[stored_name(name)] for name in builder.names}
        notes = (read_by_words(naming),) if FAMILIES[h.family].is_found else ()
        skipped = unread_settings(checkpoint.configuration) if notes else ()
        values = {} if checkpoint.configuration is None else checkpoint.configuration.values
        by_names = "family" not in architecture and "model_type" not in values  # sizes are kept by who changes code
        if by_names and not notes and not has_norm_biases(naming, checkpoint.tensors):
            notes = (TAKEN_FOR_LAYER_NORM,)
        read = builder.tensors(tensors, dtypes)
        return Model(program, read, h.document(), resolved.assumed, resolved.told, notes=(*notes, *skipped))

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them."""
        return stored_tensors(program, tensors)


def _check_biases(checkpoint: Checkpoint, family: str, naming: Naming) -> None:
    """Raises CheckpointError for biases that the family which a configuration names does not have."""
    if checkpoint.configuration is None or family_told(checkpoint.configuration) != family:
        return
    single = {name: part.removesuffix("_bias") for part, name in naming.singles().items() if part.endswith("_bias")}
    places = {name: place[1] for name in checkpoint.tensors if (place := naming.place(name)) and place[2] == "bias"}
    biases = [*places.items(), *((name, part) for name, part in single.items() if name in checkpoint.tensors)]
    refuse_unread(checkpoint, family, FAMILIES[family].biases, checkpoint.configuration.values, biases)


def _with_joined_heads(checkpoint: Checkpoint) -> tuple[Checkpoint, int]:
    """The checkpoint with the maps of single heads joined, and how many heads these are, 0 where there are none."""
    try:
        tensors = joined_heads(checkpoint.tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}") from error
    new = next((name for name in tensors if name not in checkpoint.tensors), None)
    if new is None:
        return checkpoint, 0
    dtypes = {name: checkpoint.dtypes.get(name, checkpoint.dtypes.get(name.replace("*", "0"), "")) for name in tensors}
    heads = len(tensors[new]) // len(checkpoint.tensors[new.replace("*", "0")])
    return replace(checkpoint, tensors=tensors, dtypes=dtypes), heads


def program_tensors(tensors: Mapping[str, np.ndarray], h: Hyperparameters, naming: Naming) -> dict[str, np.ndarray]:
    """The tensors as a program reads them, C-contiguous, under names that say what was done to them."""
    family, read = FAMILIES[h.family], {}
    turned, turned_head = is_turned(tensors, naming, family), is_turned_head(tensors, naming, family)
    for name, values in tensors.items():
        place = naming.place(name)
        part = place[1] if place else ""
        if name == naming.single("table") and h.tie_word_embeddings and naming.head in tensors:
            name = same_name(name, naming.head)
        if values.ndim == 2 and ((part in MAPS and turned) or (name == naming.head and turned_head)):
            name, values = name + TRANSPOSED, values.T
        keys, queries = h.num_key_value_heads * h.head_width, h.num_attention_heads * h.head_width
        if part == FUSED and BY_HEAD in (family.fused, h.fused_by_head and BY_HEAD) and keys == queries:
            name, values = name + BY_KIND, rows_by_kind(values, h.num_attention_heads)
        if part == FUSED and family.fused == IN_FOUR:
            name, values = kinds_of_blocks(name, values, 4, "qvk")
        if part == FUSED and family.fused == GROUPED:
            of_one = h.num_attention_heads // h.num_key_value_heads
            name, values = kinds_of_blocks(name, values, h.num_key_value_heads, "q" * of_one + "kv")
        rows = {"query": queries, "key": keys, "value": keys}
        if part in JOINED:
            read |= split_rows(name, values, [rows.get(each, h.intermediate_size) for each in JOINED[part]])
        elif values.ndim == 3 and naming.positions and name == naming.single("positions"):
            read |= split_bank(name, values) if len(values) == 1 else {name + FLAT: values[:, 0]}
        elif h.gains_less_one and is_gain(naming, name):
            read |= add_one(name, values)
        else:
            read[name] = values
    return {name: np.ascontiguousarray(values) for name, values in read.items()}


class _Builder:
    """Writes the program of one model."""

    def __init__(self, h: Hyperparameters, naming: Naming, tensors: Mapping[str, np.ndarray]) -> None:
        self.h, self.naming, self.family = h, naming, FAMILIES[h.family]
        self.builder = ProgramBuilder()
        self.emit = self.builder.emit
        self.read: dict[str, list[str]] = {}  # by name in the checkpoint: those of the program
        self.lengths = {name: len(values) for name, values in tensors.items()}
        for name in tensors:
            self.read.setdefault(stored_name(name), []).append(name)

    def program(self) -> ProgramBuilder:
        """From the tokens to the logits."""
        singles = self.naming.singles()
        table = self.builder.tensor(self.read[singles["table"]][0])
        x = self.emit(op.Embed(table))
        if self.h.scale_embedding:
            x = self.emit(op.Affine(x, self.h.hidden_size**0.5, 0.0))
        if self.h.embedding_norm:
            x = self.emit(op.RmsNorm(x, 1, self.h.layer_norm_eps))
        x = self.projected(x, "project_in")
        if self.naming.positions:
            positions = self.builder.tensor(self.read[singles["positions"]][0])
            x = self.emit(op.Add(x, self.emit(op.PositionEmbed(positions, self.family.position_offset))))
        for layer in range(self.h.num_hidden_layers):
            x = self.block(layer, x)
        if self.h.final_norm:
            x = self.normalized(x, singles.get("norm", ""), singles.get("norm_bias", ""))
        x = self.projected(x, "project_out")
        head = table if self.h.tie_word_embeddings else self.builder.tensor(self.read[singles["head"]][0])
        logits = self.emit(op.Linear(x, head, self.vector(singles.get("head_bias", ""))))
        if self.h.logit_softcap:
            self.emit(op.Softcap(logits, self.h.logit_softcap, op.SoftcapKind.TANH))
        return self.builder

    def block(self, layer: int, x: int) -> int:
        """Attention and MLP, each added to the stream: in turn or side by side, normalized before or after."""
        if not self.h.norm_first:
            x = self.norm(layer, "attention_norm", self.emit(op.Add(x, self.attention(layer, x))))
            return self.norm(layer, "mlp_norm", self.emit(op.Add(x, self.mlp(layer, x))))
        y = self.norm(layer, "attention_norm", x)
        attended = self.emit(op.Add(x, self.attention(layer, y)))
        if not self.h.parallel_residual:
            y = self.norm(layer, "mlp_norm", attended)
        elif self.has(layer, "mlp_norm"):
            y = self.norm(layer, "mlp_norm", x)
        return self.emit(op.Add(attended, self.mlp(layer, y)))

    def attention(self, layer: int, x: int) -> int:
        h = self.h
        q, k, v = (self.map(layer, part, x) for part in SPLIT)
        q = self.turned(layer, "query_norm", q, h.num_attention_heads)
        k = self.turned(layer, "key_norm", k, h.num_key_value_heads)
        scale = (h.hidden_size if h.scale_by_width else h.head_width) ** -0.5 if h.scale_attention else 1.0
        if h.scale_by_layer:
            scale /= layer + 1
        window = h.sliding_window if layer in h.sliding_layers else 0
        keys = h.num_key_value_heads
        if h.keys_in_turn and keys < h.num_attention_heads:
            width, keys = h.num_attention_heads * h.head_width, h.num_attention_heads
            k, v = (self.emit(op.Broadcast(x, width, op.BroadcastKind.TILED)) for x in (k, v))
        attended = op.Attention(q, k, v, h.num_attention_heads, keys, scale, window)
        return self.map(layer, "output", self.emit(attended))

    def turned(self, layer: int, norm: str, x: int, heads: int) -> int:
        """Queries or keys, normalized and rotated where the model does that, in its order."""
        if self.h.query_key_norm_first:
            x = self.head_norm(layer, norm, x, heads)
        x = self.rotated(x, heads) if self.h.rotary_dims else x
        return x if self.h.query_key_norm_first else self.head_norm(layer, norm, x, heads)

    def head_norm(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys normalized, as a whole or head by head with one gain, or none, for all heads."""
        if self.h.query_key_norm == "none":
            return x
        if part not in self.naming.parts:
            return self.emit(op.RmsNorm(x, heads, self.h.layer_norm_eps))
        gain, bias = self.naming.weight(layer, part), self.naming.bias(layer, part)
        if self.lengths[self.read[gain][0]] == heads * self.h.head_width:
            return self.normalized(x, gain, bias, self.h.query_key_norm)
        if self.h.query_key_norm == "layer_norm":  # its operation is of a whole register
            width = self.h.head_width
            parts = [self.emit(op.Slice(x, head * width, (head + 1) * width)) for head in range(heads)]
            return self.emit(op.Concat(tuple(self.normalized(each, gain, bias, "layer_norm") for each in parts)))
        x = self.emit(op.RmsNorm(x, heads, self.h.layer_norm_eps))
        return self.emit(op.ScaleTiled(x, self.builder.row(self.read[gain][0])))

    def rotated(self, x: int, heads: int) -> int:
        neighbours = self.family.interleaved or self.h.rope_interleaved
        layout = op.RopeLayout.INTERLEAVED if neighbours else op.RopeLayout.HALF_SPLIT
        turn = op.RotationDirection.FORWARD
        return self.emit(op.Rotate(x, heads, self.h.rotary_dims, self.h.rope_theta, None, 1.0, layout, turn))

    def mlp(self, layer: int, x: int) -> int:
        """up, activation, down; where there is a gate, it goes through the activation and multiplies."""
        kind = ACTIVATIONS[self.h.hidden_act]
        if self.naming.stored_part("gate"):
            gate = self.emit(op.Activation(self.map(layer, "gate", x), kind))
            hidden = self.emit(op.Multiply(gate, self.map(layer, "up", x)))
        else:
            hidden = self.emit(op.Activation(self.map(layer, "up", x), kind))
        return self.map(layer, "down", hidden)

    def map(self, layer: int, part: str, x: int) -> int:
        """A linear map of a layer; queries, keys and values may be parts of one tensor, and so may gate and up."""
        stored = self.naming.stored_part(part)
        weight, bias = self.naming.weight(layer, stored), self.naming.bias(layer, stored)
        which = JOINED[stored].index(part) if stored in JOINED else 0
        tensor = self.builder.tensor(self.read[weight][which])
        return self.emit(op.Linear(x, tensor, self.vector(bias, which)))

    def projected(self, x: int, part: str) -> int:
        """OPT's maps between the width of its table and that of its layers, where they are."""
        name = self.naming.single(part)
        return self.emit(op.Linear(x, self.builder.tensor(name))) if name in self.read else x

    def has(self, layer: int, part: str) -> bool:
        return part in self.naming.parts and self.naming.weight(layer, part) in self.read

    def norm(self, layer: int, part: str, x: int) -> int:
        """One of a layer's two norms, the only one that it has, or one without a gain."""
        part = part if part in self.naming.parts else "attention_norm"
        if part not in self.naming.parts:
            return self.normalized(x, "", "")
        return self.normalized(x, self.naming.weight(layer, part), self.naming.bias(layer, part))

    def normalized(self, x: int, gain: str, bias: str, kind: str = "") -> int:
        if (kind or self.h.norm) == "rms_norm":
            return self.emit(op.RmsNorm(x, 1, self.h.layer_norm_eps, self.vector(gain)))
        shift = self.vector(bias)  # the first to be named: tensors stand in an artifact in the order of their naming
        return self.emit(op.LayerNorm(x, self.h.layer_norm_eps, self.builder.row(self.read[gain][0]), shift))

    def vector(self, name: str, which: int = 0) -> Row | None:
        """A vector as an operand, None where the checkpoint has none; `which` of the parts of a fused one."""
        return self.builder.row(self.read[name][which]) if name in self.read else None
