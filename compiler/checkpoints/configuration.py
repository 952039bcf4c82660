"""The configuration of a checkpoint: config.json, params.json or architecture.json beside it, the metadata of a
nanochat step, or the arguments that a .pt file keeps of its model.

Strategy: one vocabulary, that of Hugging Face's config.json. Meta's names for the same numbers
(params.json, and `model_args` of llama2.c) are translated on reading. Sizes under other names (nanoGPT's, those of the
public challenge) stand as they are, for the frontend that knows them. A JSON file that describes no
model, such as a trainer's settings, is passed over, and that is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import CheckpointError
from ...files.nested_text import parse_json
from ...format.artifact import is_provenance
from .settings_of_code import OF_A_TRAINING, changes_the_model, says_something

FILE_NAMES = ("config.json", "params.json", "architecture.json")
KEYS_OF_A_FILE = (  # of a dictionary that torch.save wrote, or of a JSON file
    "model_args",
    "model_config",
    "config",
    "hparams",
    "hyper_parameters",
    "hyperparameters",
    "args",
    "cfg",
    "arch",
    "architecture",
)
SLIDING, FULL, CONVOLUTION = "sliding_attention", "full_attention", "conv"  # kinds in `layer_types`
NANOCHAT_STEP = re.compile(r"model_(\d+)\.pt")  # has its meta_000123.json beside it
SIZES = {  # of these a description of a model has at least LEAST_SIZES
    *("n_layer", "n_layers", "num_layers", "num_hidden_layers", "depth", "layers", "n_blocks", "num_blocks"),
    *("n_embd", "n_embed", "d_model", "dim", "model_dim", "hidden_size", "emb_dim", "embed_dim", "embedding_dim"),
    *("width", "n_head", "n_heads", "nhead", "num_heads", "num_attention_heads", "heads", "n_kv_head", "n_kv_heads"),
    *("num_kv_heads", "kv_heads", "vocab_size", "block_size", "seq_len", "sequence_len", "context_length"),
    *("context_len", "ctx_len", "max_seq_len", "max_len"),
}
LEAST_SIZES = 2
DEPTH = 4  # of dictionaries in the part of a file that may describe its model
QUANTIZATION_KEYS = ("quantization_config", "quantization")
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
    "head_dim": "head_dim",
}
META_SYNONYMS = {  # what forks of Meta's code call the arguments that they add
    **dict.fromkeys(("rope_base", "rope_freq_base", "rotary_base"), "rope_theta"),
    **dict.fromkeys(
        ("hidden_act", "act", "act_fn", "activation", "activation_fn", "activation_function"), "hidden_act"
    ),
}
META_SIZES_SAID_ELSEWHERE = {"multiple_of", "ffn_dim_multiplier", "use_scaled_rope", "rope_scaling_factor", "seq_len"}
META_SCALED_ROPE = {  # constants of Meta's llama-models
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
META_MARKS = {"dim", "n_layers", "n_heads"}  # every one of them is in each such file


@dataclass(frozen=True, slots=True)
class Configuration:
    """values : hyperparameters under the names of Hugging Face's config.json;  source : who says so, in words

    document : what the file beside the weights holds, as read; None where the configuration comes from within them
    foreign : arguments among Meta's that Meta's code does not have, so that its readers do not read them
    stated : what `values` were translated from; empty where they stand as they are
    """

    values: Mapping[str, object]
    source: str
    document: Mapping[str, object] | None = None
    foreign: Mapping[str, object] = field(default_factory=dict)
    stated: Mapping[str, object] = field(default_factory=dict)


# Of the weights' storage, of who wrote the file, or of how a program is to run: an export says its own.
NOT_OF_THE_MODEL = {
    "dtype",
    "torch_dtype",
    "transformers_version",
    "quantization",
    "quantization_config",
    "use_cache",
}


def says_no_limit(value: object) -> bool:
    """Whether a value is the pair of 0 and infinity, which silence says as well and no artifact could keep; JSON has
    no infinity, and transformers writes one in its own way.
    """
    if not isinstance(value, list | tuple) or len(value) != 2 or value[0] != 0:
        return False
    return value[1] in (math.inf, {"__float__": "Infinity"})


def configuration_names(file: Path) -> tuple[str, ...]:
    """What the configuration of a file of weights may be called, in the order in which they are tried."""
    step = NANOCHAT_STEP.fullmatch(file.name)
    return FILE_NAMES if step is None else (f"meta_{step[1]}.json", *FILE_NAMES)


def configuration_beside(file: Path) -> tuple[Configuration | None, str]:
    """The configuration in the folder of a file of weights, if there is one that describes a model; and what is to be
    said of one that does not. CheckpointError when it is damaged.
    """
    passed = []
    for name in configuration_names(file):
        path = file.parent / name
        if path.is_file():
            content = _read_json(path)
            found = configuration_inside(content, f"{name} beside it")
            if found is not None and isinstance(content, Mapping):
                return replace(found, document=content), ""
            passed.append(name)
    return None, f"{passed[0]} beside it describes no model, and is not used" if passed else ""


def configuration_inside(content: object, source: str = "") -> Configuration | None:
    """What a dictionary says of its model: itself, where it comes from a `source` of its own, or one of its parts."""
    if not isinstance(content, Mapping):
        return None
    whole = as_configuration(content, source) if source else None
    if whole is not None:
        return whole
    where = f"in {source}" if source else "in the file"
    found = (as_configuration(content.get(key), f"{key!r} {where}") for key in KEYS_OF_A_FILE)
    first = next((configuration for configuration in found if configuration is not None), None)
    return first or _deeper(content, where)


def _deeper(content: Mapping[object, object], where: str) -> Configuration | None:
    """What describes a model within one of the parts of a dictionary, or plainly beside them; None for nothing, and
    where several within one part do, of which nobody says the right one.
    """
    for key in KEYS_OF_A_FILE:
        found = [*_inside(content.get(key), str(key), where, DEPTH)]
        if found:
            return found[0] if len(found) == 1 else None
    plain = {name: value for name, value in content.items() if isinstance(value, bool | int | float | str)}
    return as_configuration(plain, f"what stands beside the weights {where}")


def _inside(part: object, path: str, where: str, depth: int) -> Iterator[Configuration]:
    part = getattr(part, "values", part) if not isinstance(part, Mapping) else part
    for name, value in part.items() if depth and isinstance(part, Mapping) else ():
        inner = f"{path}.{name}"
        found = as_configuration(value, f"{inner!r} {where}")
        if found is None:
            yield from _inside(value, inner, where, depth - 1)
        else:
            yield found


def as_configuration(content: object, source: str) -> Configuration | None:
    """`content` in the one vocabulary; None when it describes no model. Attributes of an object that was not loaded
    count as its content.
    """
    content = getattr(content, "values", content) if not isinstance(content, Mapping) else content
    if not isinstance(content, Mapping):
        return None
    if "model_type" in content or "architectures" in content:
        return Configuration(dict(content), source)
    if META_MARKS <= content.keys():
        return Configuration(_from_meta(content), source, None, _foreign_to_meta(content), dict(content))
    names = {str(name).lower() for name in content}  # settings may be those of environment variables
    if len(SIZES & names) >= LEAST_SIZES:
        return Configuration(dict(content), source)
    return None


def without_quantization(configuration: Configuration | None) -> Configuration | None:
    """The configuration of the weights after they were decoded."""
    if configuration is None:
        return None
    values = {name: value for name, value in configuration.values.items() if name not in QUANTIZATION_KEYS}
    return replace(configuration, values=values)


def _from_meta(content: Mapping[str, object]) -> dict[str, object]:
    values = {META_NAMES[name]: value for name, value in content.items() if name in META_NAMES}
    if values.get("vocab_size") == -1:  # Llama 2: as many as the tokenizer has
        del values["vocab_size"]
    if content.get("use_scaled_rope"):
        factor = content.get("rope_scaling_factor")  # 8 for Llama 3.1 and 32 for 3.2, where the file does not say it
        values["rope_scaling"] = META_SCALED_ROPE | ({} if factor is None else {"factor": factor})
    said = {META_SYNONYMS[name]: value for name, value in content.items() if name in META_SYNONYMS and value}
    return {"model_type": META_MODEL_TYPE, **said, **values}


def _foreign_to_meta(content: Mapping[str, object]) -> dict[str, object]:
    """What Meta's arguments say beside what Meta's code has; empty values change nothing."""
    own = {*META_NAMES, *META_SIZES_SAID_ELSEWHERE, *META_SYNONYMS}
    counts = changes_the_model if content.keys() & OF_A_TRAINING else says_something
    return {str(name): value for name, value in content.items() if name not in own and counts(str(name), value)}


def _read_json(path: Path) -> object:
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}; copy it again") from error


def model_configuration(configuration: Configuration | None) -> dict[str, object]:
    """What a Hugging Face config.json says of the model itself; empty when there is none.

    Raises CheckpointError for a value that an artifact's provenance cannot hold.
    """
    if configuration is None or "model_type" not in configuration.values:
        return {}
    kept = {  # null is kept: it can mean none where silence means a default
        name: value
        for name, value in configuration.values.items()
        if not name.startswith("_") and name not in NOT_OF_THE_MODEL and not says_no_limit(value)
    }
    wrong = [name for name, value in kept.items() if not is_provenance({"configuration": {name: value}})]
    if wrong:
        raise CheckpointError(
            f"{configuration.source}: the value of {wrong[0]!r} is not finite, not text or nested too deeply, and no "
            "artifact could keep it; correct it or leave it out"
        )
    return kept
