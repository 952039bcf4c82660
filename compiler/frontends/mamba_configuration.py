"""What a configuration says of a Mamba: a Hugging Face config.json, or the one of mamba_ssm, by which the first
checkpoints were published.

Strategy: names are those of Hugging Face. What would change the function and is not read is refused by name. Source:
configuration_mamba.py and configuration_mamba2.py of transformers 5; models/config_mamba.py, models/mixer_seq_simple.py
and modules/mamba2.py of mamba_ssm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.configuration import Configuration
from .agreement import EVALUATED_LENGTH
from .biases import Rule
from .llama_configuration import ACTIVATIONS
from .state_mixer import refuse_limits

MAMBA, MAMBA2 = FAMILIES = ("mamba", "mamba2")
MODEL_TYPE = "model_type"
SAME_NAME = ("vocab_size", "num_hidden_layers", "hidden_size", "state_size", "conv_kernel", "layer_norm_epsilon")
OF_MAMBA2 = ("num_heads", "n_groups")
SSM_NAMES = {"d_state": "state_size", "d_conv": "conv_kernel", "ngroups": "n_groups"}
SSM_LAYERS = {"Mamba1": MAMBA, "Mamba2": MAMBA2}
# of how a model begins to be trained, of how it is run, or said by its tensors
SSM_SAID_ELSEWHERE = {
    *("layer", "expand", "headdim", "dt_rank", "conv_bias", "bias", "rmsnorm", "norm_before_gate", "dt_limit"),
    *("dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "A_init_range", "conv_init", "chunk_size"),
    *("use_mem_eff_path", "use_fast_path"),
}
BIASES: Mapping[str, Rule] = {
    **dict.fromkeys(("in_proj", "out_proj"), ("use_bias", False)),
    **{"conv1d": ("use_conv_bias", True), "x_proj": False},
}
BIASES_OF_SSM: Mapping[str, Rule] = {
    **dict.fromkeys(("in_proj", "out_proj"), ("bias", False)),
    **{"conv1d": ("conv_bias", True), "x_proj": False},
}
Values = Mapping[str, object]
Changes = dict[str, object]


def is_of_mamba_ssm(configuration: Configuration) -> bool:
    """Whether a configuration is of mamba_ssm, which names no model type."""
    return MODEL_TYPE not in configuration.values


def family_said(configuration: Configuration) -> str | None:
    """The family that a configuration names, if it does."""
    if not is_of_mamba_ssm(configuration):
        return str(configuration.values[MODEL_TYPE])
    layer = ssm_values(configuration.values).get("layer", "Mamba1")
    return SSM_LAYERS.get(str(layer), str(layer)) if "ssm_cfg" in configuration.values else None


def read_configuration(configuration: Configuration, family: str) -> tuple[Changes, Changes]:
    """(told, assumed) hyperparameters of a configuration.

    Raises CheckpointError for what no instruction computes and for values that are none.
    """
    values, source = configuration.values, configuration.source
    assumed: Changes = {"layer_norm_epsilon": 1e-5, "hidden_act": "silu", "seq_len": EVALUATED_LENGTH}
    if is_of_mamba_ssm(configuration):
        told = _of_mamba_ssm(values, source)
        assumed |= {"n_groups": 1, "tie_word_embeddings": values.get("tie_embeddings", True) is not False}
    else:
        told = {name: values[name] for name in (*SAME_NAME, "tie_word_embeddings") if values.get(name) is not None}
        told |= {name: values[name] for name in OF_MAMBA2 if family == MAMBA2 and values.get(name) is not None}
        assumed |= {"n_groups": 8, "tie_word_embeddings": family == MAMBA}
        refuse_limits(values.get("time_step_limit"), "time_step_limit", source)
    if values.get("quantization_config"):
        raise CheckpointError(f"{source} says that the weights are quantized; give the model before that")
    said = values.get("hidden_act")
    if said is not None and str(said) not in ACTIVATIONS:
        known = ", ".join(sorted(ACTIVATIONS))
        raise CheckpointError(
            f"{source} has the activation {shown_value(said)}, which is no instruction; there are {known}"
        )
    told |= {} if said is None else {"hidden_act": ACTIVATIONS[str(said)]}
    told |= _boundary(values)
    return told, {name: value for name, value in {"boundary_token": 0, **assumed}.items() if name not in told}


def _boundary(values: Values) -> Changes:
    """What begins a document: not of the function, but of how it is calibrated and scored."""
    tokens = (values.get(name) for name in ("bos_token_id", "eos_token_id"))
    first = next((token for token in tokens if isinstance(token, int) and not isinstance(token, bool)), None)
    return {} if first is None else {"boundary_token": first}


def ssm_values(values: Values) -> Values:
    """What mamba_ssm says of its mixers."""
    inner = values.get("ssm_cfg")
    return inner if isinstance(inner, Mapping) else {}


def _of_mamba_ssm(values: Values, source: str) -> Changes:
    inner = ssm_values(values)
    refusals = {
        "LayerNorms (rms_norm false), which are not read": values.get("rms_norm", True) is False,
        "MLPs (d_intermediate) beside its mixers, which are not read": bool(values.get("d_intermediate")),
        "layers of attention (attn_layer_idx), which are not read": bool(values.get("attn_layer_idx")),
    }
    others = [name for name, value in inner.items() if name not in {*SSM_NAMES, *SSM_SAID_ELSEWHERE} and value]
    refusals |= {f"ssm_cfg with {name} {shown_value(inner[name])}, which is not read": True for name in others}
    for what, there in refusals.items():
        if there:
            raise CheckpointError(f"{source} says that the model has {what}")
    refuse_limits(inner.get("dt_limit"), "dt_limit", source)
    told = {ours: inner[theirs] for theirs, ours in SSM_NAMES.items() if theirs in inner}
    names = {"d_model": "hidden_size", "n_layer": "num_hidden_layers"}
    told |= {ours: values[theirs] for theirs, ours in names.items() if theirs in values}
    size, multiple = values.get("vocab_size"), values.get("pad_vocab_size_multiple", 8)
    if isinstance(size, int) and isinstance(multiple, int) and multiple > 0:  # the tables have rows for no token
        told["vocab_size"] = math.ceil(size / multiple) * multiple
    return told | ({"norm_before_gate": True} if inner.get("norm_before_gate") else {})
