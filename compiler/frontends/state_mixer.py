"""The mixers of Mamba and Mamba-2, which carry a state from token to token: their tensors, and their instructions.

Strategy: shared by all families that have one, whatever stands around it. Both kinds map the stream to several
registers, of which some go through a short convolution, scan them, and gate and map what comes out. Mamba makes its
steps and the vectors by which a state is written and read of the convolved register, Mamba-2 of the stream; so the rows
of two maps have several parts, which a program reads one by one. Source: modeling_mamba.py, modeling_mamba2.py and
modeling_falcon_h1.py of transformers 5; mamba_ssm of github.com/state-spaces/mamba.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ...errors import CheckpointError
from ...files.printable import shown_value
from ...format.program import operations as op
from ..checkpoints.configuration import says_no_limit
from ..model.program_builder import ProgramBuilder
from .agreement import require
from .layouts import rows_of_taps, taps_name
from .parts import rows_name, split_rows

NAMES = re.compile(r"(in_proj|x_proj|dt_proj|out_proj|conv1d)\.(weight|bias)|norm\.weight|A_log|D|dt_bias")
CONVOLUTION = "conv1d"  # of every kind of mixer
GATE, X, WRITE, READ, STEP = PARTS = ("gate", "x", "write", "read", "step")  # of in_proj of a Mamba-2
Tensors = Mapping[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class MixerSizes:
    """stream : width of what it reads and gives;  inner : of x and of the gate;  state : of one group
    taps : positions that a convolution sees;  rank : of the steps of a Mamba, 0 for a Mamba-2
    normed : what comes out is normalized by a gain, group by group;  norm_first : before the gate, else behind it
    """

    stream: int
    inner: int
    heads: int
    groups: int
    state: int
    taps: int
    rank: int = 0
    normed: bool = True
    norm_first: bool = False

    @property
    def vectors(self) -> int:
        """Width of what all groups write by, and of what they read by."""
        return self.groups * self.state

    @property
    def rows(self) -> dict[str, int]:
        """By part, how many rows of in_proj it has."""
        if self.rank:
            return {X: self.inner, GATE: self.inner}
        return dict(zip(PARTS, (self.inner, self.inner, self.vectors, self.vectors, self.heads), strict=True))

    @property
    def convolved(self) -> dict[str, int]:
        """By part that goes through a convolution, how many rows of its weights it has."""
        return {part: rows for part, rows in self.rows.items() if part not in (GATE, STEP)}

    @property
    def made_of_x(self) -> dict[str, int]:
        """By part, how many rows of x_proj it has."""
        return {STEP: self.rank, WRITE: self.state, READ: self.state} if self.rank else {}

    @property
    def parts(self) -> dict[str, dict[str, int]]:
        """By tensor whose rows a program may read part by part, the rows of each."""
        return {"in_proj": self.rows, "x_proj": self.made_of_x, CONVOLUTION: self.convolved}


def mixer_shapes(at: str, s: MixerSizes, tensors: Collection[str]) -> Shapes:
    """Name and shape of the tensors of the mixer whose names begin by `at`; biases where `tensors` have them."""
    rows, width = sum(s.rows.values()), sum(s.convolved.values())
    shapes: Shapes = {"in_proj.weight": (rows, s.stream), "conv1d.weight": (width, 1, s.taps), "D": (s.heads,)}
    biases = {"in_proj.bias": rows, "conv1d.bias": width, "out_proj.bias": s.stream}
    shapes |= {name: (size,) for name, size in biases.items() if at + name in tensors}
    if s.rank:
        shapes |= {"x_proj.weight": (sum(s.made_of_x.values()), s.inner), "A_log": (s.inner, s.state)}
        shapes |= {"dt_proj.weight": (s.inner, s.rank), "dt_proj.bias": (s.inner,)}
    else:
        shapes |= {"A_log": (s.heads,), "dt_bias": (s.heads,)} | ({"norm.weight": (s.inner,)} if s.normed else {})
    shapes["out_proj.weight"] = (s.stream, s.inner)
    return {at + name: shape for name, shape in shapes.items()}


def sizes_told(at: str, tensors: Tensors) -> dict[str, int]:
    """What the shapes of a mixer tell: inner, heads, taps, rank, and width, that of all vectors written and read by."""
    shapes = {name: tensors[at + name].shape for name in SHAPED if at + name in tensors}
    ranks = {"out_proj.weight": 2, "conv1d.weight": 3, "dt_proj.weight": 2}
    if any(len(shapes.get(name, ())) not in (0, rank) for name, rank in ranks.items()):
        return {}
    told = {}
    if "out_proj.weight" in shapes:
        told["inner"] = shapes["out_proj.weight"][1]
    if "conv1d.weight" in shapes:
        told["taps"] = shapes["conv1d.weight"][2]
    if "dt_proj.weight" in shapes:
        told |= {"rank": shapes["dt_proj.weight"][1], "heads": told.get("inner", 0)}
        told |= {"width": shapes["A_log"][-1]} if len(shapes.get("A_log", ())) == 2 else {}
    elif "dt_bias" in shapes and "inner" in told and "conv1d.weight" in shapes:
        told |= {"rank": 0, "heads": shapes["dt_bias"][0]}
        told["width"] = (shapes["conv1d.weight"][0] - told["inner"]) // 2
    return told


SHAPED = ("out_proj.weight", "conv1d.weight", "dt_proj.weight", "A_log", "dt_bias")


def state_of_group(width: int, groups: int, name: str) -> int:
    """Width of the state of one of so many groups, of which the tensors tell that of all; name : of their number.

    Raises CheckpointError where the groups are not equal.
    """
    require(width % groups == 0, f"{name} {groups} does not divide the {width} rows that states are written by")
    return width // groups


def biases_of_mixers(pattern: re.Pattern[str], tensors: Collection[str]) -> list[tuple[str, str]]:
    """Names of the biases of mixers, each with the map that it is of; pattern : of names, with what is `inner`"""
    matches = [match for name in tensors if name.endswith(".bias") and (match := pattern.fullmatch(name))]
    return [(match[0], match["inner"].split(".")[0]) for match in matches]


def refuse_limits(told: object, name: str, source: str) -> None:
    """Raises CheckpointError for limits of the steps, which no instruction computes; `source` tells them as `name`."""
    if told is not None and not says_no_limit(told):
        raise CheckpointError(
            f"{source} limits the steps of its states ({name} {shown_value(told)}), which is not read; only 0 and "
            "infinity are"
        )


def mixer_values(at: str, parts_of: Mapping[str, Mapping[str, int]], tensors: Tensors) -> dict[str, np.ndarray]:
    """The tensors of a mixer by the names of a program, where these are others than those of the checkpoint; parts_of :
    by tensor, the rows of its parts
    """
    values: dict[str, np.ndarray] = {}
    for name, parts in parts_of.items():
        for whole in (f"{at}{name}.weight", f"{at}{name}.bias"):
            split = whole in tensors and len(parts) > 1
            found = split_rows(whole, tensors[whole], list(parts.values())) if split else {}
            if name == CONVOLUTION and whole.endswith("weight"):
                found = found or {whole: tensors[whole]}
                found = {taps: rows for part in found for taps, rows in rows_of_taps(part, found[part]).items()}
            values |= found
    return values


def part_name(whole: str, parts: Mapping[str, int], part: str) -> str:
    """What a program calls the rows of a part."""
    if len(parts) == 1:
        return whole
    stop = dict(zip(parts, accumulate(parts.values()), strict=True))[part]
    return rows_name(whole, stop - parts[part], stop)


class MixerSteps:
    """What every kind of mixer is made of; biases are there where they are `present` under their stored names."""

    def __init__(
        self, builder: ProgramBuilder, present: Collection[str], epsilon: float, activation: op.ActivationKind
    ) -> None:
        """epsilon : of its norm;  activation : of what is convolved"""
        self.builder, self.present, self.epsilon, self.activation = builder, present, epsilon, activation
        self.emit = builder.emit

    def map(self, name: str, parts: Mapping[str, int], part: str, x: int, bias: str = "") -> int:
        """A part of a linear map, with a bias of that name, or else with its part of its own if there is one."""
        own = part_name(f"{name}.bias", parts, part) if f"{name}.bias" in self.present else ""
        weight = self.builder.tensor(part_name(f"{name}.weight", parts, part))
        return self.emit(op.Linear(x, weight, self.builder.row(bias or own) if bias or own else None))

    def whole(self, name: str, x: int, bias: str = "") -> int:
        """A linear map that has one part."""
        return self.map(name, {"": 0}, "", x, bias)

    def convolved(self, at: str, parts: Mapping[str, int], part: str, taps: int, x: int) -> int:
        """Every element of a part with those before it, each at its weight, the bias if there is one, and that bent."""
        name = f"{at}{CONVOLUTION}"
        y = self.builder.convolved(x, taps_name(part_name(f"{name}.weight", parts, part)), taps)
        bias = part_name(f"{name}.bias", parts, part)
        y = self.builder.biased(y, bias) if f"{name}.bias" in self.present else y
        return self.emit(op.Activation(y, self.activation))


class Mixer(MixerSteps):
    """Writes mixers of Mamba and Mamba-2 into a program."""

    def of(self, at: str, s: MixerSizes, x: int, factors: Mapping[str, float] | None = None) -> int:
        """From the stream to what is added to it; factors : of what a part of in_proj gives, 1 where there is none"""
        builder, factors = self.builder, factors or {}
        # of which a bias of the steps is the map's own where nothing stands between the two
        alone = not s.rank and factors.get(STEP, 1.0) == 1 and f"{at}in_proj.bias" not in self.present
        made = {}
        for part in s.rows:
            own = f"{at}dt_bias" if alone and part == STEP else ""
            made[part] = builder.times(self.map(f"{at}in_proj", s.rows, part, x, own), factors.get(part, 1.0))
        for part in s.convolved:
            made[part] = self.convolved(at, s.convolved, part, s.taps, made[part])
        if s.rank:
            made |= {part: self.map(f"{at}x_proj", s.made_of_x, part, made[X]) for part in s.made_of_x}
            step = self.whole(f"{at}dt_proj", made[STEP])
        else:
            step = made[STEP] if alone else builder.biased(made[STEP], f"{at}dt_bias")
        step = self.emit(op.Activation(step, op.ActivationKind.SOFTPLUS))
        rates = builder.tensor(f"{at}A_log")
        y = self.emit(op.Scan(made[X], step, made[WRITE], made[READ], s.heads, s.groups, rates))
        y = self.emit(op.Add(y, self.emit(op.Scale(made[X], builder.row(f"{at}D")))))
        return self.whole(f"{at}out_proj", self.gated(at, s, y, made[GATE]))

    def gated(self, at: str, s: MixerSizes, y: int, gate: int) -> int:
        """What comes out of the scan times the gate, normalized before or behind."""
        gate = self.emit(op.Activation(gate, op.ActivationKind.SILU))
        y = self.norm(at, s, y) if s.norm_first else y
        y = self.emit(op.Multiply(y, gate))
        return y if s.norm_first else self.norm(at, s, y)

    def norm(self, at: str, s: MixerSizes, x: int) -> int:
        if s.rank or not s.normed:
            return x
        return self.emit(op.RmsNorm(x, s.groups, self.epsilon, self.builder.row(f"{at}norm.weight")))
