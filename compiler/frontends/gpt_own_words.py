"""What people call the hyperparameters of a GPT or Llama that they wrote themselves, in their configurations.

Strategy: one table of names for what is a number or a truth as it is, and one for what is said in words of its own:
kinds of norms, activations, places of norms. A word that is not known is left as it is, and refused or asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

NAMES = {
    **dict.fromkeys(
        ("d_model", "dim", "emb_dim", "embed_dim", "embedding_dim", "n_embed", "emb_size", "embed_size"), "hidden_size"
    ),
    **dict.fromkeys(("model_dim", "embedding_size", "dim_model", "width"), "hidden_size"),
    **dict.fromkeys(("n_layers", "depth", "n_blocks", "num_blocks", "n_block"), "num_hidden_layers"),
    **dict.fromkeys(("n_heads", "nhead", "heads", "num_q_heads", "n_q_heads", "q_heads"), "num_attention_heads"),
    **dict.fromkeys(
        ("n_kv_heads", "n_kv_head", "num_kv_heads", "n_kv_groups", "n_query_groups", "kv_heads", "n_kv"),
        "num_key_value_heads",
    ),
    **dict.fromkeys(("d_ff", "ff_dim", "dim_feedforward", "ffn_hidden", "d_hidden", "mlp_dim"), "intermediate_size"),
    **dict.fromkeys(("d_head", "head_size", "dim_head", "d_k", "head_width"), "head_dim"),
    **dict.fromkeys(("norm_eps", "rms_norm_eps", "rms_eps", "ln_eps", "layernorm_eps"), "layer_norm_eps"),
    **dict.fromkeys(("rope_base", "theta", "rope_freq_base", "rotary_base"), "rope_theta"),
    **dict.fromkeys(("rope_dim", "rope_dims"), "rotary_dims"),
    **dict.fromkeys(("context_length", "max_len", "max_seq_len", "ctx_len", "context_len"), "positions"),
    **dict.fromkeys(("context_size", "max_seq_length", "max_length", "n_positions", "max_context"), "positions"),
    **dict.fromkeys(("seq_len", "sequence_len", "sequence_length", "seq_length"), "seq_len"),
    **dict.fromkeys(("tie_weights", "weight_tying", "tie_embeddings", "tied_embeddings"), "tie_word_embeddings"),
    **dict.fromkeys(("act", "act_fn", "activation_fn", "nonlinearity", "mlp_act"), "hidden_act"),
    **dict.fromkeys(("pre_norm", "prenorm"), "norm_first"),
    **dict.fromkeys(("scale_emb", "scale_embeddings", "embed_scale"), "scale_embedding"),
    **dict.fromkeys(("norm", "norm_type", "norm_layer", "norm_kind", "normalization"), "norm"),
    **dict.fromkeys(("qk_norm", "use_qk_norm", "qknorm", "use_qknorm"), "query_key_norm"),
    **{name: name for name in ("rope_interleaved", "gate_first", "fused_by_head", "query_key_norm_first")},
    **dict.fromkeys(("softcap", "logit_cap", "logits_softcap", "logits_soft_cap", "logit_soft_cap"), "logit_softcap"),
    **dict.fromkeys(("final_logit_softcapping", "final_softcap"), "logit_softcap"),
    **{name: name for name in ("scale_embedding", "logit_softcap", "query_key_norm", "gains_less_one")},
    **dict.fromkeys(("embedding_norm", "embed_norm", "emb_norm", "norm_emb", "norm_embedding"), "embedding_norm"),
    **dict.fromkeys(("unit_offset", "add_unit_offset", "zero_centered_gamma"), "gains_less_one"),
    **dict.fromkeys(("layernorm_zero_centered_gamma", "zero_centered_gains"), "gains_less_one"),
}
TRUTHS = {  # names that say one of two things: if true, if false
    **dict.fromkeys(("use_rmsnorm", "use_rms_norm", "rmsnorm", "rms_norm"), ("norm", "rms_norm", "layer_norm")),
    **dict.fromkeys(("qk_layernorm", "qk_layer_norm", "use_qk_layernorm"), ("query_key_norm", "layer_norm", "none")),
}
NORMS = {**dict.fromkeys(("rms", "rmsnorm"), "rms_norm"), **dict.fromkeys(("layer", "layernorm", "ln"), "layer_norm")}
ACTIVATIONS = {
    **dict.fromkeys(("swiglu", "silu", "swish"), "silu"),
    **dict.fromkeys(("relu2", "relusquared", "squaredrelu", "sqrelu", "reglu2"), "relu2"),
    **dict.fromkeys(("gelu", "geglu"), "gelu"),
    **dict.fromkeys(("gelutanh", "geluapprox", "gelunew"), "gelu_new"),
    **dict.fromkeys(("relu", "reglu"), "relu"),
}
UNTOLD = "some"  # a norm of queries and keys of which nobody says what it is


def is_known(name: str) -> bool:
    """Whether a name means a hyperparameter."""
    return name in NAMES or name in TRUTHS


def in_one_vocabulary(values: Mapping[str, object]) -> dict[str, object]:
    """The values under the names of `gpt_hyperparameters` where theirs are known; the first of two of one meaning.

    Others stay as they are. `query_key_norm` is UNTOLD where it is only said to be there.
    """
    found: dict[str, object] = {}
    for name, value in values.items():
        if name in TRUTHS and isinstance(value, bool):
            meant, yes, no = TRUTHS[name]
            found.setdefault(meant, yes if value else no)
        else:
            meant = NAMES.get(name, name)
            found.setdefault(meant, _meant(meant, value))
    return found


def _meant(name: str, value: object) -> object:
    plain = re.sub(r"[^a-z0-9]", "", value.lower().replace("^2", "2")) if isinstance(value, str) else None
    if name == "query_key_norm" and isinstance(value, bool):
        return UNTOLD if value else "none"
    if plain is None:
        return value
    if name in ("norm", "query_key_norm"):
        return NORMS.get(plain, value)
    return ACTIVATIONS.get(plain, value) if name in ("hidden_act", "activation", "activation_function") else value


def meanings() -> Iterable[str]:
    """The hyperparameters that names mean."""
    return {*NAMES.values(), *(meant for meant, _, _ in TRUTHS.values())}
