"""Hyperparameters and tensors of Mamba and Mamba-2: what tells each of them, and whether the tensors fit.

Strategy: the shapes tell nearly all; a configuration tells the rest, or its code assumes it; what nobody tells and
changes the function is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .agreement import EVALUATED_LENGTH, Resolved, refuse_contradictions, require, require_token, who_told
from .architecture_file import Parameter, checked_parameters
from .biases import refuse_unread
from .layouts import TAPS
from .llama_hyperparameters import ACTIVATIONS
from .mamba_configuration import (
    BIASES,
    BIASES_OF_SSM,
    FAMILIES,
    MAMBA,
    MAMBA2,
    family_said,
    is_of_mamba_ssm,
    read_configuration,
    ssm_values,
)
from .misfit import lacking, misfit
from .parts import whole_name
from .state_mixer import NAMES, MixerSizes, biases_of_mixers, mixer_shapes, sizes_told, state_of_group
from .untold import UntoldError, usual_questions

FRONTEND_NAME = "mamba"
HEAD = "lm_head.weight"
TABLES = ("backbone.embeddings.weight", "backbone.embedding.weight")  # of transformers, of mamba_ssm
NORM, LAYER = "backbone.norm_f.weight", "backbone.layers.{}."
IN_A_LAYER = re.compile(r"backbone\.layers\.(\d{1,4})\.(norm\.weight|mixer\.(?P<inner>.+))")
PARAMETERS = {
    "family": Parameter(str, choices=FAMILIES),
    "vocab_size": Parameter(int, least=1),
    "num_hidden_layers": Parameter(int, least=1, most=1024),
    "hidden_size": Parameter(int, least=1),
    "intermediate_size": Parameter(int, least=1),
    "state_size": Parameter(int, least=1),
    "conv_kernel": Parameter(int, least=1),
    "num_heads": Parameter(int, least=1),
    "n_groups": Parameter(int, least=1),
    "time_step_rank": Parameter(int, least=0),  # 0: of a Mamba-2, whose steps have none
    "gated_norm": Parameter(bool),
    "norm_before_gate": Parameter(bool),
    "layer_norm_epsilon": Parameter(float, least=1e-30),
    "hidden_act": Parameter(str, choices=ACTIVATIONS),
    "tie_word_embeddings": Parameter(bool),
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
}
NOT_ASKED: Mapping[str, object] = {"seq_len": EVALUATED_LENGTH, "boundary_token": 0, "tie_word_embeddings": True} | {
    "norm_before_gate": False  # of no published model
}
Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One model, complete and consistent; see PARAMETERS."""

    family: str
    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    state_size: int
    conv_kernel: int
    num_heads: int
    n_groups: int
    time_step_rank: int
    gated_norm: bool
    norm_before_gate: bool
    layer_norm_epsilon: float
    hidden_act: str
    tie_word_embeddings: bool
    seq_len: int
    boundary_token: int

    @property
    def sizes(self) -> MixerSizes:
        """Of every mixer."""
        groups, rank = self.n_groups, self.time_step_rank
        heads, inner = self.num_heads, self.intermediate_size
        norms = self.gated_norm, self.norm_before_gate
        return MixerSizes(self.hidden_size, inner, heads, groups, self.state_size, self.conv_kernel, rank, *norms)

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        return {"frontend": FRONTEND_NAME, **asdict(self)}


def stored_name(name: str) -> str:
    """What the checkpoint calls the tensor that a program's tensor was made of; often the name itself."""
    return whole_name(name.removesuffix(TAPS))


def recognized(names: Iterable[str]) -> int:
    """How many names are those of a Mamba, as a checkpoint or a program has them."""
    matches = {name: IN_A_LAYER.fullmatch(name) for name in map(stored_name, names)}
    inside = sum(
        match is not None and NAMES.fullmatch(match["inner"] or "A_log") is not None for match in matches.values()
    )
    return inside + sum(name in (*TABLES, NORM, HEAD) for name in matches) if inside else 0


def table_of(tensors: Collection[str]) -> str:
    """What the token table is called."""
    return next((name for name in TABLES if name in tensors), TABLES[0])


def mixer_at(layer: int) -> str:
    """What the names of a layer's mixer begin with."""
    return f"{LAYER.format(layer)}mixer."


def resolve(checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Resolved[Hyperparameters]:
    """The hyperparameters of a checkpoint.

    Raises CheckpointError when sources contradict each other, or when nothing tells what changes the function.
    """
    given = checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)
    shapes, source = _from_shapes(checkpoint), ""
    told: dict[str, Any] = {}
    assumed: dict[str, Any] = {}
    if checkpoint.configuration is not None:
        source, said = checkpoint.configuration.source, family_said(checkpoint.configuration)
        if said not in (None, shapes["family"]) and "family" not in given:
            raise CheckpointError(
                f"{checkpoint.path}: {source} says {said}, and its tensors are of a {shapes['family']}"
            )
        told, assumed = read_configuration(checkpoint.configuration, shapes["family"])
        told = checked_parameters(told, PARAMETERS, FRONTEND_NAME)
    _complete(shapes, {**assumed, **told, **given})
    refuse_contradictions(checkpoint, shapes, {name: told[name] for name in told if name not in given}, source)
    if int(assumed.get("boundary_token", 0)) >= shapes["vocab_size"]:
        del assumed["boundary_token"]
    known = {**NOT_ASKED, **assumed, **told, **shapes, **given}
    untold = [name for name in PARAMETERS if name not in known]
    if untold:
        raise UntoldError(
            f"{checkpoint.path}: nothing tells {', '.join(untold)}, which change what the model computes; put its "
            "config.json beside it, or give them in an --architecture file",
            usual_questions(untold, PARAMETERS, 0),
        )
    h = Hyperparameters(**{name: known[name] for name in PARAMETERS})
    require(h.num_heads % h.n_groups == 0, f"n_groups {h.n_groups} does not divide num_heads {h.num_heads}")
    require(h.intermediate_size % h.num_heads == 0, f"num_heads {h.num_heads} does not divide {h.intermediate_size}")
    require_token(h.boundary_token, h.vocab_size)
    origins = who_told(PARAMETERS, told, source, shapes, given)
    return Resolved(h, origins, tuple(name for name in PARAMETERS if name not in origins))


def _from_shapes(checkpoint: Checkpoint) -> dict[str, Any]:
    tensors = checkpoint.tensors
    layers = [int(match[1]) for name in tensors if (match := IN_A_LAYER.fullmatch(name))]
    table = tensors.get(table_of(tensors))
    sizes = sizes_told(mixer_at(0), tensors)
    if not layers or table is None or table.ndim != 2 or "width" not in sizes or min(table.shape) < 1:
        needed = [TABLES[0], *(mixer_at(0) + name for name in ("out_proj.weight", "conv1d.weight", "A_log", "dt_*"))]
        found = lacking(FRONTEND_NAME, [], needed, tensors, lambda name: recognized([name]) > 0)
        raise CheckpointError(f"{checkpoint.path} {found}")
    shapes: dict[str, Any] = {"family": MAMBA if sizes["rank"] else MAMBA2, "vocab_size": table.shape[0]}
    shapes |= {"num_hidden_layers": max(layers) + 1, "hidden_size": table.shape[1]}
    shapes |= {"intermediate_size": sizes["inner"], "conv_kernel": sizes["taps"], "num_heads": sizes["heads"]}
    shapes |= {"time_step_rank": sizes["rank"], "gated_norm": f"{mixer_at(0)}norm.weight" in tensors}
    shapes |= {} if shapes["gated_norm"] else {"norm_before_gate": False}  # where there is none
    shapes["width"] = sizes["width"]
    head = tensors.get(HEAD)
    if head is None or not np.array_equal(head, table):
        shapes["tie_word_embeddings"] = head is None
    return shapes


def _complete(shapes: dict[str, Any], known: Mapping[str, Any]) -> None:
    """Groups and the state of each: the tensors tell the product."""
    width = shapes.pop("width")
    groups = 1 if shapes["family"] == MAMBA else known.get("n_groups")
    if groups is not None:
        shapes["state_size"] = state_of_group(width, groups, "n_groups")
    if shapes["family"] == MAMBA:
        shapes["n_groups"] = groups


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    """Compare the checkpoint with the architecture.

    Raises CheckpointError that lists what does not fit, and for biases that its configuration excludes.
    """
    tensors, d = checkpoint.tensors, h.hidden_size
    table = table_of(tensors)
    expected: dict[str, tuple[int, ...]] = {table: (h.vocab_size, d), NORM: (d,)}
    expected |= {} if h.tie_word_embeddings else {HEAD: (h.vocab_size, d)}
    for layer in range(h.num_hidden_layers):
        expected[f"{LAYER.format(layer)}norm.weight"] = (d,)
        expected |= mixer_shapes(mixer_at(layer), h.sizes, tensors)
    copied = HEAD in tensors and np.array_equal(tensors[HEAD], tensors[table])
    found = misfit(tensors, expected, surplus={HEAD} if h.tie_word_embeddings and copied else set())
    if found:
        size = f"{h.num_hidden_layers} layers of width {d}, {h.num_heads} heads with a state of {h.state_size}"
        raise CheckpointError(f"{checkpoint.path} does not fit {h.family} with {size}; {found}")
    if checkpoint.configuration is not None:
        values = checkpoint.configuration.values
        rules = BIASES_OF_SSM if is_of_mamba_ssm(checkpoint.configuration) else BIASES
        values = ssm_values(values) if rules is BIASES_OF_SSM else values
        refuse_unread(checkpoint, h.family, rules, values, biases_of_mixers(IN_A_LAYER, tensors))
