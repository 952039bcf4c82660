"""The configuration of a checkpoint: config.json or params.json beside it, or the arguments that a .pt
file keeps of its model.

Strategy: one vocabulary, that of Hugging Face's config.json. Meta's names for the same numbers
(params.json, and `model_args` of llama2.c) are translated on reading. A JSON file that describes no
model, such as a trainer's settings, is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import CheckpointError

FILE_NAMES = ("config.json", "params.json")
KEYS_OF_A_FILE = ("model_args", "config")  # of a dictionary that torch.save wrote
META_MODEL_TYPE = "llama2.c"  # Meta's and llama2.c's own code, whose constants differ from those of Hugging Face
META_NAMES = {
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "norm_eps": "rms_norm_eps",
    "rope_theta": "rope_theta",
    "max_seq_len": "max_position_embeddings",
    "vocab_size": "vocab_size",
}
META_MARKS = {"dim", "n_layers", "n_heads"}  # every one of them is in each such file
GPT_MARKS = {"n_layer", "n_head", "n_embd"}  # of nanoGPT's and minGPT's own settings, which name no model type
TRAINER_MARKS = {
    "model_dim",
    "num_layers",
    "num_heads",
}  # of the Parameter Golf trainers' settings, which do not, either


@dataclass(frozen=True, slots=True)
class Configuration:
    """values : hyperparameters under the names of Hugging Face's config.json;  source : who says so, in words"""

    values: Mapping[str, object]
    source: str


# Of the weights' storage, of who wrote the file, or of how a program is to run: an export says its own.
NOT_OF_THE_MODEL = {
    "dtype",
    "torch_dtype",
    "transformers_version",
    "quantization",
    "quantization_config",
    "use_cache",
}


def configuration_beside(folder: Path) -> Configuration | None:
    """The configuration file of a folder, if it has one that describes a model. CheckpointError when it is damaged."""
    for name in FILE_NAMES:
        path = folder / name
        if path.is_file():
            found = as_configuration(_read_json(path), f"{name} beside it")
            if found is not None:
                return found
    return None


def configuration_inside(content: object) -> Configuration | None:
    """What a dictionary that torch.save wrote says of its model."""
    if not isinstance(content, Mapping):
        return None
    found = (as_configuration(content.get(key), f"{key!r} in the file") for key in KEYS_OF_A_FILE)
    return next((configuration for configuration in found if configuration is not None), None)


def as_configuration(content: object, source: str) -> Configuration | None:
    """`content` in the one vocabulary; None when it describes no model."""
    if not isinstance(content, Mapping):
        return None
    names = {str(name).lower() for name in content}  # settings may be those of environment variables
    if "model_type" in content or "architectures" in content or GPT_MARKS <= content.keys() or TRAINER_MARKS <= names:
        return Configuration(dict(content), source)
    if META_MARKS <= content.keys():
        return Configuration(_from_meta(content), source)
    return None


def _from_meta(content: Mapping[str, object]) -> dict[str, object]:
    values = {META_NAMES[name]: value for name, value in content.items() if name in META_NAMES}
    if values.get("vocab_size") == -1:  # Llama 2: as many as the tokenizer has
        del values["vocab_size"]
    if content.get("use_scaled_rope"):
        values["rope_scaling"] = {"rope_type": "llama3"}
    return {"model_type": META_MODEL_TYPE, "hidden_act": "silu", **values}


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}; copy it again") from error


def model_configuration(configuration: Configuration | None) -> dict[str, object]:
    """What a Hugging Face config.json says of the model itself; empty when there is none."""
    if configuration is None or "model_type" not in configuration.values:
        return {}
    return {  # null is kept: it can mean none where silence means a default
        name: value
        for name, value in configuration.values.items()
        if not name.startswith("_") and name not in NOT_OF_THE_MODEL
    }
