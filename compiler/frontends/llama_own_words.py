"""A configuration of somebody's own code beside the tensors of a Llama: names no model type, and has names of its own.

Strategy: what it says is translated, and what the code of the family has not is refused; what it leaves unsaid is asked
for, since the constants that a family's code takes are those of a configuration that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..checkpoints.configuration import Configuration
from ..checkpoints.settings_of_code import changes_the_model
from .agreement import refuse_foreign
from .gpt_configuration import ALIASES
from .gpt_own_words import in_one_vocabulary, is_known

NAMES = {"layer_norm_eps": "rms_norm_eps", "positions": "max_position_embeddings"}
OF_CONSTANTS = ("rope_theta", "rms_norm_eps", "hidden_act")
NEUTRAL: Mapping[str, object] = {  # what every Llama does
    **{"norm_first": True, "norm": "rms_norm", "gate_first": True, "parallel_residual": False},
    **{"query_key_norm": "none", "scale_embedding": False, "logit_softcap": 0, "sliding_window": 0},
    **{"embedding_norm": False, "gains_less_one": False, "keys_in_turn": False},
}


def is_ones_own(configuration: Configuration | None) -> bool:
    """Whether a configuration names no model type, nor stands where Hugging Face's classes are named."""
    return configuration is not None and not {"model_type", "architectures"} & configuration.values.keys()


def translated(configuration: Configuration, family: str) -> Configuration:
    """The configuration under the names of Hugging Face's. Raises CheckpointError for what a Llama's code has not."""
    own = in_one_vocabulary({name: value for name, value in configuration.values.items() if value is not None})
    named = {ALIASES.get(name, name): value for name, value in own.items()}
    differs = {name: value for name, value in named.items() if name in NEUTRAL and value != NEUTRAL[name]}
    unknown = {
        name: value
        for name, value in configuration.values.items()
        if changes_the_model(name, value) and not is_known(name) and ALIASES.get(name, name) == name
    }
    read = ("rope_theta", "rms_norm_eps", "layer_norm_eps", "rope_scaling", "rope_parameters", *NEUTRAL)
    foreign = {**{name: value for name, value in unknown.items() if name not in read}, **differs}
    refuse_foreign(configuration.source, foreign, family)
    return replace(configuration, values={NAMES.get(name, name): value for name, value in named.items()})
