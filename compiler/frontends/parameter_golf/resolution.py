"""A complete set of hyperparameters from what the tensors tell, what people say and what the merged records are.

Strategy: what nobody tells is taken from the records whose state_dicts have the same parts, where they agree, and
listed as assumed. Where they differ, or where a layer's number is meant for another depth, it is asked for: models
that compute differently may have the very same tensors. Without any such part a model is the baseline, whose values
are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....files.listing import listed
from ..agreement import Resolved
from ..untold import UntoldError
from .given import Given, check_flags
from .hyperparameters import (
    OTHER_PARAMETERS,
    PARAMETERS,
    SHAPE_PARAMETERS,
    TOLD_BY_SHAPES_ALONE,
    Hyperparameters,
    check_consistent,
    matters,
    require,
    unused_values,
)
from .layers import LISTS, LOOP, ordered_layers, says_order
from .records import RECORDS, Record, preset_values, records_of, short_name
from .traits import FACTORIZED

# Numbers of layers, or counts of them: those of a record hold for a model of its depth.
OF_A_DEPTH = {"xsa_last_n", "parallel_residual_start", "parallel_start_layer"}
FIRST = ("seq_len", "rope_type")  # decide whether others matter
BOTH_LISTS = " and ".join(LISTS)
Values = Mapping[str, object]
Answers = Mapping[str, Any]  # of records to one question


def resolve(
    given: Given, sizes: Values, traits: frozenset[str] = frozenset(), settings: Given | None = None, source: str = ""
) -> Resolved[Hyperparameters]:
    """Hyperparameters from what the caller said, then a trainer's `settings`, then the shapes, then the records.

    source : where the settings stand, in words
    Raises CheckpointError when values contradict each other, and for what has to be told.
    """
    settings = settings or Given()
    check_flags(settings, traits)
    check_flags(given, traits)
    known = {**sizes, **settings.values, **given.values}
    if sizes.get("num_blocks") == sizes.get("num_layers"):  # no step of a loop has vectors of its own
        known["num_blocks"] = known.get("num_layers")
    untold = {name for name in OTHER_PARAMETERS | SHAPE_PARAMETERS if name not in known and matters(name, traits)}
    known = {name: parameter.default for name, parameter in SHAPE_PARAMETERS.items()} | known
    candidates = _preset(given) if given.preset is not None else _candidates(known, traits)
    assumed, asked = _from_records(known, candidates, untold, given.preset is not None)
    if asked:
        questions = [_answers(*each, known) for each in asked.items()]
        raise UntoldError(_question(asked, candidates, traits), questions)
    complete = _complete(known | assumed, traits)
    check_consistent(complete)
    names = _untold_names(untold, complete, says_order(known))
    told = {name: "shapes" for name in SHAPE_PARAMETERS if name in sizes}
    told |= dict.fromkeys((name for name in settings.values if matters(name, traits)), source)
    told |= dict.fromkeys((name for name in given.values if matters(name, traits)), "architecture")
    if given.preset is not None:
        return Resolved(complete, told | dict.fromkeys(names, f"preset {given.preset}"), ())
    return Resolved(complete, told, names)


def _untold_names(untold: set[str], h: Hyperparameters, order_told: bool) -> tuple[str, ...]:
    """Of the names that nobody told, those that matter with the others' values."""
    without = unused_values({name: getattr(h, name) for name in (*OTHER_PARAMETERS, "model_dim")})
    without |= {*LISTS} if order_told else set()
    return tuple(name for name in PARAMETERS if name in untold and name not in without)


def _preset(given: Given) -> list[Record]:
    return [Record(str(given.preset), values=preset_values(str(given.preset)))]


def _candidates(known: Values, traits: frozenset[str]) -> list[Record]:
    """The records that the checkpoint can be of; without parts of its own it is the baseline."""
    if not traits - {FACTORIZED}:
        return [Record("baseline")]
    found = records_of(traits)
    if says_order(known):
        return found
    fitting = [record for record in found if _fits(record, known)]
    return fitting or found


def _fits(record: Record, known: Values) -> bool:
    """Whether a record of this depth would have as many weights of skips as the checkpoint has."""
    if record.depth != known["num_layers"]:
        return True
    encoder, decoder = ordered_layers(record.values, record.depth)
    rows = {min(len(encoder), len(decoder))}
    if record.values.get("recur_layers"):  # some have no more of them than without the repetition
        rows.add(record.depth // 2)
    return known.get("skip_rows", 0) in rows


def _from_records(
    known: Values, candidates: Sequence[Record], untold: set[str], by_name: bool
) -> tuple[dict[str, object], dict[str, Answers]]:
    """What the candidates agree on, by name, and what has to be asked for, with the answers they would give."""
    assumed: dict[str, object] = {}
    asked: dict[str, Answers] = {}
    for name in sorted(untold - {*LISTS}, key=lambda name: (name not in FIRST, list(PARAMETERS).index(name))):
        values = {short_name(record): record.values.get(name, PARAMETERS[name].default) for record in candidates}
        if name == "rope_train_seq_len" and (known | assumed).get("rope_type") != "yarn":
            length = (known | assumed)["seq_len"]  # of longer ones only
            values = {record: value if value < length else 0 for record, value in values.items()}
        of_a_depth = name in OF_A_DEPTH and not by_name
        foreign = of_a_depth and any(
            name in record.values and record.depth != known["num_layers"] for record in candidates
        )
        if not foreign and len({repr(value) for value in values.values()}) == 1:
            assumed[name] = next(iter(values.values()))
        elif name == "seq_len":  # how long the sequences are that it is scored on, not what it computes
            assumed[name] = PARAMETERS[name].default
        else:
            asked[name] = values
    if not says_order(known) and candidates:
        orders = {short_name(record): _order_of(record, known, by_name) for record in candidates}
        if len(set(map(repr, orders.values()))) > 1 or None in orders.values():
            asked[BOTH_LISTS] = {
                short_name(record): ordered_layers(record.values, record.depth) for record in candidates
            }
        else:
            assumed |= dict(zip(LISTS, next(iter(orders.values())), strict=True))
    return assumed, _only_what_matters(asked, known | assumed)


def _order_of(record: Record, known: Values, by_name: bool) -> tuple[list[int], list[int]] | None:
    """A record's order of layers at the checkpoint's depth; None when it was meant for another."""
    loops = record.values.get("recur_layers") or record.values.get("num_loops")
    if loops and record.depth != known["num_layers"] and not by_name:
        return None
    said = {name: known[name] for name in LOOP if known.get(name) is not None}
    return ordered_layers({**record.values, **said}, known["num_layers"])


def _only_what_matters(asked: dict[str, Answers], known: Values) -> dict[str, Answers]:
    """Without what the known values make meaningless, and which weights late skips have where each has its own."""
    defaults = {name: parameter.default for name, parameter in OTHER_PARAMETERS.items()}
    without = unused_values(defaults | known)
    if says_order(known):
        encoder, decoder = ordered_layers(known, known["num_layers"])
        enough = known.get("skip_rows", 0) >= min(len(encoder), len(decoder))
        without |= {"skips_beyond"} if enough else set()
    return {name: answers for name, answers in asked.items() if name not in without}


def _answers(name: str, values: Answers, known: Values) -> list[dict[str, object]]:
    """The different answers to a question, as an architecture file would say them: those of the records, and what else
    a model of such sizes may have.
    """
    layers: Any = known["num_layers"]
    found = [value for value in values.values() if value is not None]
    if name == BOTH_LISTS:
        different = {repr(value): value for value in (*found, ordered_layers({}, layers))}.values()
        return [dict(zip(LISTS, value, strict=True)) for value in different]
    parameter = PARAMETERS[name]
    if name in OF_A_DEPTH:
        found += range(int(parameter.least), layers + 1)
    elif name == "rotary_dims":
        found += [known["model_dim"] // known["num_heads"]]  # type: ignore[operator]
    elif not found:
        found += (True, False) if parameter.kind is bool else parameter.choices or [parameter.default]
    return [{name: value} for value in dict.fromkeys(found) if value is not None]


def _answers_in_words(values: Answers) -> str:
    """` (VALUE in RECORD, RECORD; VALUE in RECORD)`."""
    by_value: dict[str, list[str]] = {}
    for record, value in values.items():
        names = by_value.setdefault("the usual" if value is None else str(value), [])
        names += [] if record in names else [record]
    answers = "; ".join(f"{value} in {listed(names, 2)}" for value, names in by_value.items())
    return f" ({answers})" if answers else ""


def _question(asked: Mapping[str, Answers], candidates: Sequence[Record], traits: frozenset[str]) -> str:
    """The one sentence that says what is not known, and both ways to say it."""
    keys = "; ".join(name + _answers_in_words(values) for name, values in asked.items())
    if not candidates:
        return (
            f"architecture: no merged record has the parts {', '.join(sorted(traits))} together; name the one that it "
            f"is closest to, --architecture preset:NAME, or give a file that says {keys}"
        )
    names = dict.fromkeys(short_name(record) for record in candidates if record.name in RECORDS)
    return (
        "architecture: models that compute differently have tensors of these names; say which this is by "
        f"--architecture preset:NAME ({' or '.join(names)}), or by a file that says {keys}"
    )


def _complete(known: Values, traits: frozenset[str]) -> Hyperparameters:
    """The whole set: lists of layers, and what follows from the widths."""
    known = {name: parameter.default for name, parameter in OTHER_PARAMETERS.items()} | known
    width, heads = known["model_dim"], known["num_heads"]
    require(width % heads == 0, f"num_heads {heads} does not divide model_dim {width}")
    encoder, decoder = ordered_layers(known, known["num_layers"])
    blocks = known.get("num_blocks") or known["num_layers"]
    count = known.get("ve_count", 0)
    derived = {
        "rotary_dims": width // heads,
        "embedding_dim": width,
        "ve_layers": list(range(known["num_layers"] - count, known["num_layers"])),
        "num_blocks": blocks,
        "skip_rows": min(len(encoder), len(decoder)),
    }
    known |= {name: value for name, value in derived.items() if known.get(name) is None}
    known |= {"encoder_layers": encoder, "decoder_layers": decoder}
    if known["embedding_dim"] != width:
        traits |= {FACTORIZED}
    names = (*SHAPE_PARAMETERS, *OTHER_PARAMETERS, *TOLD_BY_SHAPES_ALONE)
    return Hyperparameters(**{name: known[name] for name in names if name in known}, traits=traits)
