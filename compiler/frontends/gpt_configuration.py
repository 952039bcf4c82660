"""What a configuration says of a GPT: keys of every family's config.json, nanoGPT's model_args, in one vocabulary.

Strategy: one table of other names for the same hyperparameter, since no two families use one name for two things; of
them a family's code reads its own (`Family.keys`), and the others are passed over, as they are there. What needs more
than a name (activations, kinds of attention by layer, rotations) follows. Whatever would change the function and has
no instruction is refused here by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.configuration import Configuration
from ..checkpoints.settings_of_code import OF_A_TRAINING, changes_the_model, says_something, unread
from .agreement import refuse_foreign, refuse_zeros
from .gpt_families import FAMILIES, MARK_OF_NANOGPT, MODEL_TYPES, NORMS_OF_HEADS
from .gpt_own_words import in_one_vocabulary, is_known, meanings

ALIASES = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "num_layers": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "num_heads": "num_attention_heads",
    "n_inner": "intermediate_size",
    "ffn_dim": "intermediate_size",
    "ffn_hidden_size": "intermediate_size",
    "activation": "hidden_act",
    "activation_function": "hidden_act",
    "afn": "hidden_act",
    "layer_norm_epsilon": "layer_norm_eps",
    "norm_epsilon": "layer_norm_eps",
    "rotary_dim": "rotary_dims",
    "rotary_pct": "rotary_share",
    "rope_pct": "rotary_share",
    "partial_rotary_factor": "rotary_share",
    "rotary_emb_base": "rope_theta",
    "use_parallel_residual": "parallel_residual",
    "parallel_attn": "parallel_residual",
    "do_layer_norm_before": "norm_first",
    "scale_attn_weights": "scale_attention",
    "scale_attn_by_inverse_layer_idx": "scale_by_layer",
    "window_size": "sliding_window",
    "n_positions": "positions",
    "n_ctx": "positions",
    "block_size": "positions",
    "max_position_embeddings": "positions",
}
SAME_NAME = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "rope_theta",
    "tie_word_embeddings",
    "head_dim",
)
OF_ROTATIONS = ("rope_theta", "partial_rotary_factor")  # in `rope_parameters`, whatever a family calls them outside
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu_squared",
    "silu": "silu",
    "swish": "silu",
}
OF_NO_FUNCTION = ("bos_token_id", "eos_token_id", "pad_token_id", "model_type", "frontend", "family", "multiple_of")
SIZES_OF_NANOGPT = {"n_layer", "n_head", "n_embd"}


def family_told(configuration: Configuration | None) -> str | None:
    """The family that a configuration names; None when it names none."""
    if configuration is None:
        return None
    values = configuration.values
    named = MODEL_TYPES.get(str(values.get("model_type")))
    if named is None and SIZES_OF_NANOGPT | {MARK_OF_NANOGPT} <= values.keys():
        return "nanogpt"
    return named


def refuse_foreign_arguments(configuration: Configuration | None, family: str) -> None:
    """Raises CheckpointError for arguments of a model in nanoGPT's manner that the family's code does not have, such as
    use_rope: those who change the code add them, and the tensors may be the same. Empty ones of unknown meaning change
    nothing.
    """
    values: Mapping[str, object] = {} if configuration is None else configuration.values
    if configuration is not None and FAMILIES[family].is_found:
        known = {*ALIASES, *ALIASES.values(), *SAME_NAME}
        said = {name: value for name, value in {**values, **configuration.stated}.items() if name not in known}
        own = {n: value for n, value in said.items() if changes_the_model(n, value) and not is_known(n)}
        return refuse_foreign(configuration.source, own, family)
    if configuration is None or not SIZES_OF_NANOGPT <= values.keys() or "model_type" in values:
        return
    counts = changes_the_model if OF_A_TRAINING & values.keys() else says_something
    fixed, foreign = FAMILIES[family].fixed, {}
    for name, value in values.items():
        meant = ALIASES.get(name, name)
        is_read = name in ALIASES or name in {*ALIASES.values(), *SAME_NAME, MARK_OF_NANOGPT}
        differs = value is not None and fixed[meant] != value if meant in fixed else not is_read and counts(name, value)
        if differs:
            foreign[name] = value
    refuse_foreign(configuration.source, foreign, family)


def unread_settings(configuration: Configuration | None) -> tuple[str, ...]:
    """What is said of settings in a configuration of somebody's own code that mean nothing here."""
    if configuration is None:
        return ()
    known = {*ALIASES, *ALIASES.values(), *SAME_NAME, *meanings(), *OF_NO_FUNCTION}
    return unread(
        {**configuration.values, **configuration.stated},
        lambda name: name in known or is_known(name),
        configuration.source,
    )


def read_configuration(configuration: Configuration, family: str, layers: int) -> dict[str, object]:
    """The hyperparameters that a configuration tells, for a model of so many layers, but for those that the family's
    code fixes. `rotary_share` and `positions` are among them, which are none of `gpt_hyperparameters`.

    Raises CheckpointError for what no instruction computes: other activations, scaled rotations, packed weights.
    """
    values = {name: value for name, value in configuration.values.items() if value is not None}
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    rope = rope if isinstance(rope, Mapping) else {}
    read = FAMILIES[family].is_found or NORMS_OF_HEADS in FAMILIES[family].keys
    _refuse(values, rope, configuration.source, read)
    keys, fixed = FAMILIES[family].keys, FAMILIES[family].fixed
    if FAMILIES[family].is_found:
        stated = {name: value for name, value in configuration.stated.items() if value is not None}
        values = in_one_vocabulary({**stated, **values})
        keys = {*ALIASES, *ALIASES.values(), *SAME_NAME, *meanings()}
    told = _named(values, rope, keys)
    if NORMS_OF_HEADS in FAMILIES[family].keys and NORMS_OF_HEADS in told:
        told["query_key_norm"] = "layer_norm" if told.pop(NORMS_OF_HEADS) else "none"
    if "hidden_act" in told:
        found = "gelu_new" if family == "openai-gpt" and told["hidden_act"] == "gelu" else told["hidden_act"]
        told["hidden_act"] = _activation(found, configuration.source)
    if "sliding_window" in told and "sliding_window" not in fixed:
        refuse_zeros(values, ("sliding_window", "window_size"), configuration.source)
    if configuration.values.get("sliding_window", 0) is None and (not keys or "sliding_window" in keys):
        told["sliding_window"] = 0
    if family == "gpt_neo":
        told["sliding_layers"] = _local_layers(values, layers)
    if values.get("_remove_final_layer_norm"):
        told["final_norm"] = False
    unread = {*fixed, "rotary_share"} if "rotary_dims" in fixed else fixed
    return {name: value for name, value in told.items() if name not in unread}


def _named(values: Mapping[str, object], rope: Mapping[str, object], keys: Collection[str]) -> dict[str, object]:
    """The hyperparameters under the names of `gpt_hyperparameters`, of those `keys` that the family's code reads (none:
    of all that are known); of the rotations' own dictionary first, as there.
    """
    read = keys or {*ALIASES, *ALIASES.values(), *SAME_NAME}
    meant = {ALIASES.get(name, name) for name in read}
    found = [(name, rope[name]) for name in OF_ROTATIONS if name in rope and ALIASES.get(name, name) in meant]
    told: dict[str, object] = {}
    for name, value in (*found, *((name, value) for name, value in values.items() if name in read)):
        told.setdefault(ALIASES.get(name, name), value)
    return told


def _refuse(values: Mapping[str, object], rope: Mapping[str, object], source: str, norms_are_read: bool) -> None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default" and not (kind == "linear" and rope.get("factor") == 1):
        raise CheckpointError(f"{source} scales the rotations ({kind!r} rope scaling), which no GPT family here does")
    if values.get(NORMS_OF_HEADS) and not norms_are_read:
        raise CheckpointError(
            f"{source} says {NORMS_OF_HEADS}: a LayerNorm of each head, which is read of people's own code alone; "
            'where all heads share one, say frontend = "gpt" and family = "handwritten" in an --architecture file'
        )
    if values.get("alibi"):
        raise CheckpointError(f"{source} says alibi: its attention adds ALiBi biases, which no instruction computes")
    if "quantization_config" in values:
        raise CheckpointError(f"{source} says that the weights are quantized; give the model before that")


def _activation(found: object, source: str) -> str:
    if str(found) not in ACTIVATIONS:
        known = ", ".join(sorted(ACTIVATIONS))
        raise CheckpointError(f"{source} has the activation {found!r}, which is no instruction; there are {known}")
    return ACTIVATIONS[str(found)]


def _local_layers(values: Mapping[str, object], layers: int) -> list[int]:
    """GPT-Neo's layers with a window: `attention_layers`, or the periods of `attention_types`, or every other."""
    kinds = values.get("attention_layers")
    if not isinstance(kinds, list):
        kinds = _in_periods(values.get("attention_types", [[["global", "local"], layers]]), layers)
    return [layer for layer, kind in enumerate(kinds[:layers]) if kind == "local"]


def _in_periods(types: object, layers: int) -> list[object]:
    """`attention_types`, a list of [kinds of a period, times], as a kind for each layer."""
    kinds: list[object] = []
    for entry in types if isinstance(types, list) else [None]:
        match entry:
            case [[*period], int() as times] if times >= 0:
                kinds += (period * min(times, layers))[:layers]
            case _:
                raise CheckpointError(
                    f"attention_types is {shown_value(types)}; it must be a list of [kinds of a period, times]"
                )
    return kinds
