"""What people say of a model of the challenge: an architecture file, or the settings of its trainer beside it.

Strategy: both go through one translation, from the names of all the scripts (or of their environment variables) to
one name each. An architecture file is checked strictly, since a misspelled name would leave something unsaid; of a
trainer's settings only those of the model count, and the others are listed. What says that a part is there is
compared with the tensors.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ....errors import CheckpointError
from ....files.printable import shown_value
from ..architecture_file import FRONTEND_KEY, PRESET_KEY, Parameter, checked_parameters
from .hyperparameters import (
    FRONTEND_NAME,
    LEAKY_RELU_SQUARED,
    MAX_LAYERS,
    PARAMETERS,
    RELU_POWER,
    RELU_SQUARED,
    require,
)
from .traits import (
    GATE_PROJECTION,
    GATE_WEIGHT,
    LANE_LAMBDAS,
    MLP_GATE,
    SKIP_GATES,
    SMEAR_FIRST,
    SMEAR_GATE,
    VALUE_EMBEDDING,
)

ORDER_PARAMETERS = {
    "num_loops": Parameter(int, least=0, most=MAX_LAYERS),
    "loop_start": Parameter(int, least=0),
    "loop_end": Parameter(int, least=0),
    "recur_layers": Parameter(list),
}
KNOWN = PARAMETERS | ORDER_PARAMETERS

# Names of the scripts for what the tensors tell: whether the part is there.
PART_FLAGS = {
    "skip_gates_enabled": SKIP_GATES,
    "ve_enabled": VALUE_EMBEDDING,
    "use_smeargate": SMEAR_FIRST,
    "smear_gate": SMEAR_GATE,
    "smear_gate_enabled": SMEAR_GATE,
    "parallel_residual": LANE_LAMBDAS,
    "gate_attn_out": GATE_PROJECTION,
    "attn_out_gate_enabled": GATE_PROJECTION,
    "gated_attn_enabled": GATE_WEIGHT,
    "sparse_attn_gate_enabled": GATE_WEIGHT,
    "gate_mlp_out": MLP_GATE,
}
# Parts that no record has and that leave no tensors of their own.
UNKNOWN_PARTS = ("trigram", "trigram_enabled", "diff_attn")
ACTIVATIONS = {
    "relu2": RELU_SQUARED,
    "relu_squared": RELU_SQUARED,
    "leaky_relu2": LEAKY_RELU_SQUARED,
    "leaky_relu_squared": LEAKY_RELU_SQUARED,
}
ALIKE = 0.8  # of two names, one of which may be the other misspelled
Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """What was said: values under this family's names, the preset if one was named, flags of parts, what is ignored."""

    values: Values = field(default_factory=dict)
    preset: str | None = None
    flags: Values = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def parse_given(architecture: Mapping[str, object]) -> Given:
    """An architecture file, checked one by one; CheckpointError for names that there are not.

    The settings of a whole trainer may be given as well: what is no misspelled name of the model's is ignored.
    """
    content = {name: value for name, value in architecture.items() if name != FRONTEND_KEY}
    preset = content.pop(PRESET_KEY, None)
    require(preset is None or isinstance(preset, str), f"preset is {preset!r}; it must be a name")
    translated, flags = _translated(content)
    ignored = _beside_the_model(translated) if describes_model(content) else ()
    return Given(_checked({n: v for n, v in translated.items() if n not in ignored}), preset, flags, ignored)


def parse_settings(settings: Mapping[str, object]) -> Given:
    """A trainer's settings; names that say nothing of the model are listed as ignored."""
    translated, flags = _translated(settings)
    known = {name: value for name, value in translated.items() if name in KNOWN}
    ignored = tuple(sorted(name for name in translated if name not in KNOWN))
    return Given(_checked(known), None, flags, ignored)


def _beside_the_model(values: Values) -> tuple[str, ...]:
    """Names that are none of the model's and not close to one."""
    unknown = [name for name in values if name not in KNOWN]
    return tuple(sorted(name for name in unknown if not difflib.get_close_matches(name, KNOWN, n=1, cutoff=ALIKE)))


def _checked(values: Values) -> Values:
    """The values in their domains; null says what its absence does, but says it."""
    said = {name: value for name, value in values.items() if value is not None}
    unsaid = {name: None for name in values if name not in said and name in KNOWN and KNOWN[name].default is None}
    return checked_parameters(said, KNOWN, FRONTEND_NAME) | unsaid


TRAINER_MARKS = {"model_dim", "num_layers", "num_heads"}  # each is in the settings of every trainer of the challenge


def describes_model(settings: Mapping[str, object]) -> bool:
    """Whether a configuration is a trainer's settings for a model of the challenge: its names, and no model type."""
    return "model_type" not in settings and {name.lower() for name in settings} >= TRAINER_MARKS


def check_flags(given: Given, traits: frozenset[str]) -> None:
    """CheckpointError where a part is said to be there and its tensors are not, or the other way round."""
    said: dict[str, tuple[str, bool]] = {}
    for name, value in given.flags.items():
        require(name not in UNKNOWN_PARTS or not value, f"{name} is {value!r}, which no merged record uses")
        trait = PART_FLAGS.get(name)
        if trait and (value or trait not in said):
            said[trait] = name, bool(value)
    for trait, (name, value) in said.items():
        there = "has" if trait in traits else "lacks"
        require(value == (trait in traits), f"{name} is {value}, but the checkpoint {there} the tensors of {trait}")


def _translated(content: Mapping[str, object]) -> tuple[Values, Values]:
    """Values under one name each, and the flags of parts; environment names may have their values as texts."""
    lowered: Values = {}
    for name, value in content.items():
        environment = name.isupper() and name.lower() not in content
        lowered[name.lower() if environment else name] = _from_text(name.lower(), value) if environment else value
    if lowered.get("rope_train_seq_len") and lowered.get("train_seq_len"):  # the scripts' models take the latter
        lowered["rope_train_seq_len"] = lowered["train_seq_len"]
    if not lowered.pop("rope_yarn", True):
        lowered["rope_train_seq_len"] = 0
    flags = {name: lowered.pop(name) for name in (*PART_FLAGS, *UNKNOWN_PARTS) if name in lowered}
    for name, translate in TRANSLATIONS.items():
        if name in lowered:
            said = translate(lowered.pop(name))
            lowered = said | lowered  # what stands under this family's own names wins
    if not lowered.get("mlp_hidden"):
        lowered.pop("mlp_hidden", None)
    elif lowered.pop("mlp_hidden"):
        lowered.pop("mlp_mult", None)  # the tensors tell it
    return {name: value for name, value in lowered.items() if name not in TOLD_WIDTHS}, flags


def _from_text(name: str, value: object) -> object:
    """An environment variable's text as the kind of its parameter; a number where nothing says its kind."""
    if not isinstance(value, str):
        return value
    kind = KNOWN[name].kind if name in KNOWN else None
    if kind in (str, list) or name == "recur_layers_str":
        return value if kind is str else _layers(value)
    try:
        number = float(value)
    except ValueError as error:
        if kind is None:
            return value
        raise CheckpointError(f"architecture: {name.upper()} is {value!r}; it must be a number") from error
    return bool(number) if kind is bool or name in PART_FLAGS else number


def _layers(value: object) -> object:
    """`4,5` as a list, as the scripts read it."""
    if not isinstance(value, str):
        return value
    try:
        return [int(part) for part in value.split(",") if part.strip()]
    except ValueError as error:
        raise CheckpointError(f"architecture: {value!r} is no list of layer numbers; write for example 9,10") from error


def _sequence_length(value: object) -> Values:
    length = 0 if value is None else _whole(value, "the sequence length")
    return {"seq_len": length} if length > 0 else {}


def _whole(value: object, name: str) -> int:
    """A whole number, which may be written as text; CheckpointError for anything else."""
    try:
        return int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"architecture: {name} is {shown_value(value)}; it must be a whole number") from error


def _activation(value: object) -> Values:
    require(value in ACTIVATIONS, f"activation {value!r} is none of {', '.join(sorted(ACTIVATIONS))}")
    return {"activation": ACTIVATIONS[value]}


def _storage(value: object) -> Values:
    off = value in (False, None, "", "0", 0, "none")
    require(off or value is True or str(value).lower() == "fp8", f"fp_storage is {value!r}; it must be FP8 or none")
    return {"fp_storage": "none" if off else "fp8"}


# Name of a script -> what it says; what an earlier one says wins.
TRANSLATIONS: Mapping[str, Callable[[object], Values]] = {
    "eval_seq_len": _sequence_length,
    "train_seq_len": _sequence_length,
    "rope_dims": lambda value: {"rotary_dims": _whole(value, "rope_dims") or None},  # 0: the whole head
    "negative_slope": lambda value: {"activation": LEAKY_RELU_SQUARED, "activation_slope": value},
    "activation_type": _activation,
    "mlp_power": lambda value: {"activation": RELU_POWER, "activation_power": value},
    "recur_layers_str": lambda value: {"recur_layers": _layers(value)},
    "recur_layers": lambda value: {"recur_layers": _layers(value)},
    "ve_layers": lambda value: {"ve_layers": _layers(value)},
    "embed_dim": lambda value: {"embedding_dim": width} if (width := _whole(value, "embed_dim")) > 0 else {},
    "fp_storage": _storage,
}
TOLD_WIDTHS = {
    "bigram_vocab_size",
    "bigram_dim",
    "bigram_hash_buckets",
    "bigram_hash_dim",
    "ve_dim",
    "gate_window",
    "gate_width",
    "smear_gate_width",
    "repeat_untie_mlp",
    "repeat_untie_mlp_layers",
}
