"""Who tells the hyperparameters of a gated decoder, and whether they agree.

Strategy: a hyperparameter comes from the caller, else from the shapes, else from the configuration, else from what
the code of its model type assumes; the record keeps which. What changes the function and none of them tells is asked
for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .agreement import (
    CALLER,
    EVALUATED_LENGTH,
    refuse_contradictions,
    refuse_foreign,
    require,
    require_grouped_heads,
    require_layers,
    require_token,
    who_told,
)
from .architecture_file import checked_parameters
from .delta_mixer import DeltaSizes
from .llama_configuration import family_told, read_configuration
from .llama_families import FAMILIES
from .llama_family import Family, Unrotated, Windows
from .llama_hyperparameters import FRONTEND_NAME, PARAMETERS, Hyperparameters, names_of
from .llama_layers import unrotated_layers, windowed_layers
from .llama_names import Naming, fitting_families, naming_of, recognized
from .llama_own_words import OF_CONSTANTS, is_ones_own, translated
from .llama_shapes import infer_from_shapes, varied_shapes
from .llama_states import complete_states, states_from_shapes
from .misfit import lacking
from .untold import Question, UntoldError, usual_questions

NAMES = "names"  # told the family, where no file did
NOT_ASKED: Mapping[str, object] = {"seq_len": EVALUATED_LENGTH, "boundary_token": 0, "rope_scaling": {}} | {
    "tie_word_embeddings": True  # where the head equals the table, so that shapes do not tell
}
OFTEN_ASKED = ("num_attention_heads", "rope_theta", "rms_norm_eps", "hidden_act")
TELLS = {  # what follows, by the shapes of the tensors, from what is asked for
    "num_attention_heads": ("num_key_value_heads", "head_dim"),
    "mamba_n_groups": ("mamba_d_state",),
    "linear_num_key_heads": ("linear_key_head_dim",),
}
DERIVED = ("sliding_layers", "unrotated_layers")  # of the others, where nobody tells them


@dataclass(frozen=True, slots=True)
class Resolved:
    """Hyperparameters, who told each, and the names of those that are assumed."""

    hyperparameters: Hyperparameters
    naming: Naming
    told: Mapping[str, str]
    assumed: tuple[str, ...]


def parse_given(architecture: Mapping[str, object]) -> dict[str, object]:
    """The caller's hyperparameters, checked one by one."""
    return checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)


def resolve(checkpoint: Checkpoint, given: Mapping[str, object]) -> Resolved:
    """The hyperparameters of a checkpoint; `given` has passed `parse_given`.

    Raises CheckpointError when sources contradict each other, or when nothing tells what changes the function.
    """
    family_name, teller = _family_of(checkpoint, given)
    family, naming = FAMILIES[family_name], naming_of(family_name, checkpoint.tensors)
    shapes = _from_shapes(checkpoint, naming)
    if family.varied:
        said = {} if checkpoint.configuration is None else checkpoint.configuration.values
        width = given.get("head_dim", said.get("head_dim", family.head_dim))
        shapes |= varied_shapes(checkpoint.tensors, naming, shapes["num_hidden_layers"], width)
    shapes |= states_from_shapes(checkpoint.tensors, family)
    shapes |= {name: parts[0] in naming.parts for name, parts in family.optional_parts.items()}
    told, assumed, source = {}, {}, ""
    if checkpoint.configuration is not None:
        if "family" not in given:
            refuse_foreign(checkpoint.configuration.source, checkpoint.configuration.foreign, family_name)
        own, configuration = is_ones_own(checkpoint.configuration), checkpoint.configuration
        configuration = translated(configuration, family_name) if own else configuration
        told, assumed = read_configuration(configuration, family_name, shapes["num_hidden_layers"])
        assumed = {name: value for name, value in assumed.items() if not own or name not in OF_CONSTANTS}
        told, source = checked_parameters(told, PARAMETERS, FRONTEND_NAME), checkpoint.configuration.source
    query_rows = int(shapes.get("query_rows") or shapes["hidden_size"])
    _complete_heads(shapes, {**told, **given}, assumed, family)
    complete_states(shapes, {**assumed, **told, **given})
    refuse_contradictions(checkpoint, shapes, {name: told[name] for name in told if name not in given}, source)
    if int(assumed.get("boundary_token", 0)) >= shapes["vocab_size"]:  # a vocabulary smaller than the family's
        del assumed["boundary_token"]
    known = {**NOT_ASKED, **assumed, **told, **shapes, **given, "family": family_name}
    names = names_of(family)
    _derive(known, family)
    _ask(checkpoint, [name for name in names if name not in known], query_rows)
    hyperparameters = Hyperparameters(**{name: known[name] for name in names})
    _check_consistent(hyperparameters, [name for name in given if name not in names])
    origins = who_told(names, told, source, shapes, given) | {"family": teller}
    rest = tuple(name for name in names if name not in origins and name not in DERIVED)
    return Resolved(hyperparameters, naming, origins, rest)


def _family_of(checkpoint: Checkpoint, given: Mapping[str, object]) -> tuple[str, str]:
    """The family and who told it."""
    if "family" in given:
        return str(given["family"]), CALLER
    told = family_told(checkpoint.configuration)
    if told is not None and checkpoint.configuration is not None:
        return told, checkpoint.configuration.source
    fitting = fitting_families(checkpoint.tensors)
    if len(fitting) != 1:
        names, families = sorted(fitting or FAMILIES), [{"family": name} for name in fitting]
        raise _question(checkpoint, [f"family ({', '.join(names)})", *OFTEN_ASKED], [families])
    return fitting[0], NAMES


def _from_shapes(checkpoint: Checkpoint, naming: Naming) -> dict[str, Any]:
    shapes = infer_from_shapes(checkpoint.tensors, naming)
    telling = {"num_hidden_layers": f"{naming.layers}N.*", "vocab_size": naming.table, "hidden_size": naming.table}
    untold = [name for name in telling if name not in shapes]
    if untold:
        missing = [*dict.fromkeys(telling[name] for name in untold)]
        found = lacking(FRONTEND_NAME, untold, missing, checkpoint.tensors, lambda name: recognized([name]) > 0)
        raise CheckpointError(f"{checkpoint.path} {found}")
    return shapes


def _complete_heads(
    shapes: dict[str, Any], known: Mapping[str, Any], assumed: dict[str, object], family: Family
) -> None:
    """Heads and their width: the maps tell the product, so that one of the two tells the other."""
    rows, key_rows = shapes.pop("query_rows", 0), shapes.pop("key_rows", 0)
    width, heads = shapes.get("head_dim") or known.get("head_dim"), known.get("num_attention_heads")
    if width is None and heads is not None and rows:
        require(rows % heads == 0, f"num_attention_heads {heads} does not divide the {rows} rows of the queries")
        shapes["head_dim"] = width = rows // heads
    elif width is None and assumed and family.head_dim is not None:
        assumed["head_dim"] = width = family.head_dim
    if width is not None:
        require(rows % width == 0, f"head_dim {width} does not divide the {rows} rows of the queries")
        require(key_rows % width == 0, f"head_dim {width} does not divide the {key_rows} rows of the keys")
        counts = {"num_attention_heads": rows // width, "num_key_value_heads": key_rows // width}
        shapes |= {name: count for name, count in counts.items() if count}  # none where the map is missing


def _derive(known: dict[str, Any], family: Family) -> None:
    """What follows from the others where nobody told it."""
    layers = known["num_hidden_layers"]
    if family.windows in (Windows.ALL, Windows.PERIODIC):
        known.setdefault("sliding_layers", windowed_layers({}, family, layers))
    elif known.get("sliding_window") == 0:
        known.setdefault("sliding_layers", [])
    if family.unrotated in (Unrotated.LISTED, Unrotated.FULL, Unrotated.FULL_OF_TWO):
        known.setdefault("unrotated_layers", unrotated_layers({}, family, layers, known))


def _ask(checkpoint: Checkpoint, untold: list[str], query_rows: int) -> None:
    told_by_others = {each for name in untold for each in TELLS.get(name, ())}
    untold = [name for name in untold if name not in told_by_others]
    if untold:
        raise _question(checkpoint, untold, usual_questions(untold, PARAMETERS, query_rows))


def _question(checkpoint: Checkpoint, untold: list[str], questions: Sequence[Question]) -> UntoldError:
    return UntoldError(
        f"{checkpoint.path}: nothing tells {', '.join(untold)}, which change what the model computes; put its "
        "config.json beside it, or give them in an --architecture file",
        questions,
    )


def _check_consistent(h: Hyperparameters, foreign: list[str]) -> None:
    require(not foreign, f"the family {h.family} has no hyperparameter {', '.join(foreign)}")
    for layer in range(h.num_hidden_layers if h.layer_heads else 1):
        require_grouped_heads(*h.heads(layer))
    require(
        h.rotary_dims % 2 == 0 and h.rotary_dims > 0,
        f"{h.rotary_dims} elements of a head of {h.head_dim} are rotated, and a rotation takes pairs",
    )
    if h.state_layers and isinstance(h.mixer, DeltaSizes):
        heads, of_keys = h.mixer.heads, h.mixer.groups
        serve = of_keys > 0 and heads % of_keys == 0
        require(serve, f"linear_num_key_heads {of_keys} does not divide linear_num_value_heads {heads}")
    require_token(h.boundary_token, h.vocab_size)
    for name in ("sliding_layers", "unrotated_layers", "conv_layers", "state_layers"):
        require_layers(name, getattr(h, name), h.num_hidden_layers)
