"""The mixers of a gated delta net, which carry a state that takes in what it does not hold yet: their tensors, and
their instructions.

Strategy: as in `state_mixer`, whose Mambas these are kin of. One map makes queries, keys and values, which go through a
short convolution; heads of queries and keys are made 1 long, and serve several heads of values each. What comes out of
the scan is normalized head by head, gated, and mapped. Source: modeling_qwen3_5.py of transformers 5; Yang et al. 2024
(arXiv 2412.06464).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...format.program import operations as op
from .state_mixer import CONVOLUTION, READ, WRITE, MixerSteps, X

NAMES = re.compile(r"(in_proj_(qkv|z|a|b)|out_proj|conv1d|norm)\.weight|A_log|dt_bias")
QKV = "in_proj_qkv"  # whose rows have the parts of the convolution's
SQUARE = 1e-6  # what is added to the square of a head's length
Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class DeltaSizes:
    """stream : width of what it reads and gives;  heads : of values;  groups : heads of queries, and of keys
    value, key : width of a head;  taps : positions that the convolution sees
    """

    stream: int
    heads: int
    groups: int
    value: int
    key: int
    taps: int

    @property
    def rows(self) -> dict[str, int]:
        """By part of the first map, how many rows it has."""
        return {READ: self.groups * self.key, WRITE: self.groups * self.key, X: self.heads * self.value}

    @property
    def parts(self) -> dict[str, dict[str, int]]:
        """By tensor that a program reads part by part, the rows of each."""
        return {QKV: self.rows, CONVOLUTION: self.rows}


def delta_shapes(at: str, s: DeltaSizes) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors of the mixer whose names begin by `at`."""
    rows, values = sum(s.rows.values()), s.heads * s.value
    shapes: dict[str, tuple[int, ...]] = {f"{QKV}.weight": (rows, s.stream), f"{CONVOLUTION}.weight": (rows, 1, s.taps)}
    shapes |= {"in_proj_z.weight": (values, s.stream), "norm.weight": (s.value,), "out_proj.weight": (s.stream, values)}
    shapes |= dict.fromkeys(("in_proj_a.weight", "in_proj_b.weight"), (s.heads, s.stream))
    shapes |= dict.fromkeys(("A_log", "dt_bias"), (s.heads,))
    return {at + name: shape for name, shape in shapes.items()}


def delta_sizes_told(at: str, tensors: Tensors) -> dict[str, int]:
    """What the shapes of a mixer tell: heads, value, taps, and width, that of all heads of keys together."""
    convolution = f"{CONVOLUTION}.weight"
    ranks = {"dt_bias": 1, "norm.weight": 1, convolution: 3}
    shapes = {name: tensors[at + name].shape for name in ranks if at + name in tensors}
    if any(len(shapes.get(name, ())) != rank for name, rank in ranks.items()):
        return {}
    heads, value, (rows, _, taps) = shapes["dt_bias"][0], shapes["norm.weight"][0], shapes[convolution]
    return {"heads": heads, "value": value, "taps": taps, "width": (rows - heads * value) // 2}


class DeltaMixer(MixerSteps):
    """Writes delta nets into a program."""

    def of(self, at: str, s: DeltaSizes, x: int) -> int:
        """From the stream to what is added to it."""
        builder, made = self.builder, {}
        for part in s.rows:
            made[part] = self.convolved(at, s.rows, part, s.taps, self.map(f"{at}{QKV}", s.rows, part, x))
        read = self.of_length(made[READ], s, s.key**-0.5)
        write = self.of_length(made[WRITE], s, 1.0)
        strength = self.emit(op.Activation(self.whole(f"{at}in_proj_b", x), op.ActivationKind.SIGMOID))
        step = self.whole(f"{at}in_proj_a", x, f"{at}dt_bias")
        step = self.emit(op.Activation(step, op.ActivationKind.SOFTPLUS))
        rates = builder.tensor(f"{at}A_log")
        y = self.emit(op.DeltaScan(made[X], step, strength, write, read, s.heads, s.groups, rates))
        y = self.emit(op.RmsNorm(y, s.heads, self.epsilon))
        y = self.emit(op.ScaleTiled(y, builder.row(f"{at}norm.weight")))
        gate = self.emit(op.Activation(self.whole(f"{at}in_proj_z", x), op.ActivationKind.SILU))
        return self.whole(f"{at}out_proj", self.emit(op.Multiply(y, gate)))

    def of_length(self, x: int, s: DeltaSizes, length: float) -> int:
        """Every head made so long, by the mean of its squares."""
        return self.builder.times(self.emit(op.RmsNorm(x, s.groups, SQUARE / s.key)), length * s.key**-0.5)
