"""What a Hugging Face config.json says of a gated decoder, in the hyperparameters of the frontend; and what it says
that cannot be.

Strategy: two dictionaries, what the file tells and what the code of its model type assumes where the file is silent.
A name that the code of the model type does not read is passed over, as it is there. What would change the function
and has no instruction is refused by name, so that no model is read as another one. Source: the configuration classes
of transformers, older files included; run.c of llama2.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.configuration import FULL, SLIDING, Configuration
from .agreement import EVALUATED_LENGTH, refuse_zeros
from .llama_families import FAMILIES, MULTIMODAL
from .llama_family import Family, States, Windows
from .llama_layers import KINDS, layers_told
from .llama_states import DELTA_ASSUMED, spread_multipliers
from .rope_scaling import base_by_alpha, complete_scaling, kind_of

SAME_NAME = (
    "vocab_size",
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "tie_word_embeddings",
)
OF_THE_WHOLE = ("tie_word_embeddings", "bos_token_id", "eos_token_id")  # may stand beside a text_config
ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_pytorch_tanh",
    "gelu_python": "gelu",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_python_tanh", "gelu_accurate"), "gelu_pytorch_tanh"),
    "relu": "relu",
    "relu2": "relu2",
}
CAPS = ("attn_logit_softcapping", "final_logit_softcapping", "clip_qkv")  # null: none
NEVER_ZERO = (*CAPS, "query_pre_attn_scalar", "attention_multiplier")
Values = Mapping[str, object]
Changes = dict[str, object]


def text_values(configuration: Configuration) -> dict[str, object]:
    """The values that concern the model of text, of a larger model those in its text_config."""
    values = dict(configuration.values)
    inner, model_type = values.get("text_config"), values.get("model_type")
    if model_type not in MULTIMODAL or not isinstance(inner, Mapping):
        return values
    outer = {name: values[name] for name in OF_THE_WHOLE if name in values}
    return {**outer, **inner, "model_type": MULTIMODAL[str(model_type)]}


def family_values(configuration: Configuration, family_name: str) -> dict[str, object]:
    """The values that concern the model of text, under the names that a Llama's configuration has for them."""
    values, keys = text_values(configuration), FAMILIES[family_name].keys
    named = {ours: values[theirs] for ours, theirs in keys.items() if theirs in values}
    return {name: value for name, value in values.items() if name not in {*keys, *keys.values()}} | named


def family_told(configuration: Configuration | None) -> str | None:
    """The family that a configuration names, if it does."""
    values = {} if configuration is None else text_values(configuration)
    model_type = values.get("model_type")
    if model_type == "mistral" and KINDS in values:  # as transformers reads such a file
        return "ministral"
    return model_type if isinstance(model_type, str) and model_type in FAMILIES else None


def read_configuration(configuration: Configuration, family_name: str, layers: int) -> tuple[Changes, Changes]:
    """(told, assumed) hyperparameters of a configuration for a model of so many layers.

    Raises CheckpointError for what no instruction computes and for values that are none.
    """
    values, family, source = family_values(configuration, family_name), FAMILIES[family_name], configuration.source
    _refuse_what_is_missing(values, family, source)
    told = {name: values[name] for name in SAME_NAME if values.get(name) is not None}
    assumed: Changes = {
        "rope_theta": family.rope_theta,
        "rms_norm_eps": family.epsilon,
        "hidden_act": family.activation,
    }
    assumed |= family.assumes
    if family.scaled_by_depth:
        values |= _scales_of_depth(values, layers, source)
    if family.states is States.BESIDE:
        values |= spread_multipliers(values, source)
        assumed["mamba_norm_before_gate"] = True
    if family.states is not States.NONE:
        assumed |= DELTA_ASSUMED if family.states is States.DELTA else {"mamba_n_groups": 1}
    told |= {
        name: 0.0 if values[name] is None and name in CAPS else values[name]
        for name in family.assumes
        if name in values
    }
    refuse_zeros(values, [name for name in NEVER_ZERO if name in family.assumes], source)
    told |= _activation(values, family, source)
    told |= _rotations(values, family, source)
    told |= layers_told(values, family, layers, source)
    if family.windows is not Windows.NONE:
        assumed["sliding_window"] = family.sliding_window
    _evaluation(values, family, told, assumed)
    told = {name: value for name, value in told.items() if value is not None}
    if family.local_rotation:
        assumed["rope_local_base_freq"] = family.local_base or values.get("rope_theta") or family.rope_theta
    return told, {name: value for name, value in assumed.items() if name not in told}


def _refuse_what_is_missing(values: Values, family: Family, source: str) -> None:
    part = values.get("partial_rotary_factor", rope_settings(values).get("partial_rotary_factor"))
    if part not in (None, 1) and "partial_rotary_factor" not in family.assumes:
        raise CheckpointError(f"{source} rotates a part of each head, which the code of its model type does not do")
    if values.get("use_bidirectional_attention"):
        raise CheckpointError(f"{source} says that attention looks ahead; such a model predicts no next token")
    if values.get("quantization_config"):
        method = values["quantization_config"]
        method = method.get("quant_method", method) if isinstance(method, Mapping) else method
        raise CheckpointError(f"{source} says that the weights are quantized ({method}); give the model before that")


def _activation(values: Values, family: Family, source: str) -> Changes:
    keys = {"hidden_act": family.activation_key} | ({"head_act": "head_act"} if "head_act" in family.assumes else {})
    found: Changes = {}
    for name, key in keys.items():
        told = values.get(key)
        if told is not None and str(told) not in ACTIVATIONS:
            known, shown = ", ".join(sorted(ACTIVATIONS)), shown_value(told)
            raise CheckpointError(f"{source} has the activation {shown}, which is no instruction; there are {known}")
        if told is not None:
            kind = ACTIVATIONS[str(told)]
            found[name] = "gelu_pytorch_tanh" if told == "gelu" and family.tanh_gelu else kind
    return found


def _scales_of_depth(values: Values, layers: int, source: str) -> Changes:
    """MiniCPM's factors of what is added to the stream, and of the head, in Granite's words."""
    numbers = {name: values.get(name, 1) for name in ("scale_depth", "dim_model_base", "hidden_size")}
    wrong = [name for name, value in numbers.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    wrong += [name for name, value in numbers.items() if name not in wrong and not value > 0]
    if wrong:
        raise CheckpointError(f"{source}: {wrong[0]} is {shown_value(numbers[wrong[0]])}; it must be a number above 0")
    depth, base, width = numbers.values()
    return {"residual_multiplier": depth / layers**0.5, "logits_scaling": width / base}  # type: ignore[operator]


def rope_settings(values: Values) -> Values:
    """`rope_parameters` of newer files, `rope_scaling` of older ones; of layers without a window where they differ."""
    scaling, parameters = _told_of_rotations(values)
    if FULL in parameters or SLIDING in parameters:  # which older names complete
        inner = parameters.get(FULL)
        return {**(inner if isinstance(inner, Mapping) else {}), **scaling}
    return scaling or parameters


def _told_of_rotations(values: Values) -> tuple[Values, Values]:
    """`rope_scaling` and `rope_parameters`, each empty where it is none."""
    found = map(values.get, ("rope_scaling", "rope_parameters"))
    scaling, parameters = (each if isinstance(each, Mapping) else {} for each in found)
    return scaling, parameters


def _rotations(values: Values, family: Family, source: str) -> Changes:
    """Bases, scaling, and which part of a head is rotated."""
    if family.local_rotation:
        _refuse_one_rotation_for_two(values, family, source)
    rope = rope_settings(values)
    told: Changes = {"rope_theta": rope.get("rope_theta", values.get("rope_theta"))}
    if family.yarn_is_longrope and kind_of(rope) == "yarn" and "short_factor" in rope:
        rope = {**rope, "rope_type": "longrope"}
    if family.ntk_alpha and kind_of(rope) == "dynamic" and rope.get("alpha"):
        told["rope_scaling"] = {}
        return told | {"rope_theta": _ntk_base(rope, values, told["rope_theta"] or family.rope_theta, source)}
    told["rope_scaling"] = complete_scaling(rope, values, family.trained_length)
    if "partial_rotary_factor" in rope and "partial_rotary_factor" in family.assumes:
        told["partial_rotary_factor"] = rope["partial_rotary_factor"]
    return told | _local_rotation(values, family, source)


def _ntk_base(rope: Values, values: Values, base: object, source: str) -> float:
    """Hunyuan's base for longer contexts, which follows from an alpha and the width of a head."""
    alpha, width = rope["alpha"], values.get("head_dim")
    numbers = [each for each in (alpha, width, base) if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(numbers) < 3 or min(numbers) <= 0 or numbers[1] <= 2:
        raise CheckpointError(f"{source} scales rotations by an alpha, which takes numbers above 0 and a head_dim")
    try:
        return float(base_by_alpha(numbers[2], numbers[0], numbers[1]))
    except OverflowError:
        raise CheckpointError(f"{source} scales rotations by an alpha of {shown_value(alpha)}, beyond sense") from None


def _refuse_one_rotation_for_two(values: Values, family: Family, source: str) -> None:
    """Raises CheckpointError where layers of two kinds turn, and transformers does not take what is said for both."""
    scaling, parameters = _told_of_rotations(values)
    of_each = {FULL, SLIDING} & parameters.keys()
    passed = (bool(parameters) and not of_each) or {FULL, SLIDING} & scaling.keys()
    passed = passed or (family.local_scaling and bool(scaling))
    base = values.get("rope_theta") or family.rope_theta
    once = family.local_base is None and base != family.rope_theta  # OLMo 3's code gives it to the first that asks
    local = parameters.get(SLIDING)
    if passed or (once and not (isinstance(local, Mapping) and "rope_theta" in local)):
        raise CheckpointError(
            f"{source} says of rotations what transformers does not take for the layers of both kinds: say in "
            f"rope_parameters, each by itself, what {FULL!r} and what {SLIDING!r} have"
        )


def _local_rotation(values: Values, family: Family, source: str) -> Changes:
    """The base of layers with a window, where they have one of their own."""
    local = _told_of_rotations(values)[1].get(SLIDING)
    if isinstance(local, Mapping):
        if not family.local_rotation or kind_of(local) != "default":
            raise CheckpointError(
                f"{source} has rotations of kind {kind_of(local)!r} in layers with a window, which no known model of "
                "its type has"
            )
        return {"rope_local_base_freq": local.get("rope_theta")}
    return {"rope_local_base_freq": values.get("rope_local_base_freq")} if family.local_base else {}


def _evaluation(values: Values, family: Family, told: Changes, assumed: Changes) -> None:
    """How long sequences are and what begins a document: not of the function, but of how it is
    calibrated and scored.
    """
    longest = values.get("max_position_embeddings")
    scaling = told["rope_scaling"]
    if isinstance(scaling, Mapping) and kind_of(scaling) == "longrope":  # whose frequencies are others beyond
        trained = scaling.get("original_max_position_embeddings")
        longest = min((each for each in (longest, trained) if isinstance(each, int)), default=None)
    if isinstance(longest, int) and 1 <= longest <= EVALUATED_LENGTH:
        told["seq_len"] = longest
    else:
        assumed["seq_len"] = EVALUATED_LENGTH
    beginning = values.get("bos_token_id")
    if isinstance(beginning, int):
        told["boundary_token"] = beginning
        return
    ends = values.get("eos_token_id", family.bos_token_id)
    end = ends[0] if isinstance(ends, list) and ends else ends
    assumed["boundary_token"] = end if isinstance(end, int) else 0
