"""The GPT families: what the code of each does that its tensors do not show, and what it assumes.

Strategy: a family is data. `fixed` is what its code always does, `assumed` what its code takes where a configuration
is silent; both are values of `gpt_hyperparameters`.
Sources: the configuration classes and models of transformers, and the model.py of nanoGPT and minGPT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from . import gpt_names as names
from .biases import Rule
from .gpt_found_names import FoundNaming
from .gpt_names import FUSED, MAPS, NORMS, SPLIT, Naming

STACKED, BY_HEAD = "stacked", "by_head"  # rows of a fused map: all queries first, or head by head if as many as keys
IN_FOUR, GROUPED = "in_four", "grouped"  # or four blocks of queries, values and keys; or by head of keys
MARK_OF_NANOGPT = "bias"  # a key that nanoGPT's model_args have and minGPT's configuration has not
PLAIN: Mapping[str, object] = {  # what most of the families do
    "rotary_dims": 0,
    "rope_theta": 10_000.0,
    "parallel_residual": False,
    "norm_first": True,
    "final_norm": True,
    "scale_attention": True,
    "scale_by_width": False,
    "scale_by_layer": False,
    "sliding_window": 0,
    "sliding_layers": [],
}
ROTATING: Mapping[str, object] = {
    name: value for name, value in PLAIN.items() if name not in ("rotary_dims", "rope_theta", "parallel_residual")
}

OF_ONES_OWN: Mapping[str, object] = {  # what most people's code does and their tensors do not show
    **{name: value for name, value in PLAIN.items() if name.startswith(("scale_", "sliding_", "parallel_"))},
    "scale_embedding": False,
    "query_key_norm": "none",
    "logit_softcap": 0.0,
    "gains_less_one": False,
    "embedding_norm": False,
}
ROTATED: Mapping[str, object] = {"norm": "rms_norm", "norm_first": True, "gate_first": True, "hidden_act": "silu"}


NONE_EXCLUDED: Mapping[str, Rule] = MappingProxyType({})
WITHOUT_HEAD: Mapping[str, Rule] = MappingProxyType({"head": False})


@dataclass(frozen=True, slots=True)
class Family:
    """naming : what the tensors are called
    fixed : what every model of the family has;  assumed : what its code takes where the configuration is silent
    fused : order of the rows of a fused map;  turned : maps are stored as [inputs, outputs]
    interleaved : rotated pairs are neighbours;  windowed_throughout : in all layers, not every other
    position_offset : row of the position table for the first token
    named_by_its_tensors : no other family has these names, so that what its code assumes holds without a configuration
    boundary_token : what begins a document where the configuration does not say and the vocabulary has it
    keys : what its code reads of a configuration, where several names mean one hyperparameter; empty: whatever is known
    biases : which parts have a bias where not all have one; "head" is the map that makes the logits
    other_naming : what the tensors of some of its models are called
    marks : of a family whose names are found, ends of names that together tell it from the others
    """

    naming: Naming | FoundNaming
    fixed: Mapping[str, object]
    assumed: Mapping[str, object] = field(default_factory=dict)
    fused: str = STACKED
    turned: bool = False
    interleaved: bool = False
    windowed_throughout: bool = False
    position_offset: int = 0
    named_by_its_tensors: bool = False
    boundary_token: int = 0
    keys: frozenset[str] = frozenset()
    biases: Mapping[str, Rule] = field(default_factory=lambda: WITHOUT_HEAD)
    marks: tuple[str, ...] = ()
    other_naming: Naming | None = None

    @property
    def is_found(self) -> bool:
        """Whether names and layouts are read off the tensors, and what these do not tell is asked for."""
        return isinstance(self.naming, FoundNaming)


NORMS_OF_HEADS = "qk_layernorm"
SIZES = "vocab_size hidden_size num_hidden_layers num_attention_heads tie_word_embeddings max_position_embeddings"
OPENAI = f"{SIZES} n_embd n_layer n_head n_positions n_inner activation_function layer_norm_epsilon"
GROUPED = f"{SIZES} num_key_value_heads intermediate_size hidden_act rope_theta"


def _keys(*names: str) -> frozenset[str]:
    return frozenset(" ".join(names).split())


def _without(values: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


def _found(marks: tuple[str, ...], assumed: Mapping[str, object], asked: tuple[str, ...] = ()) -> Family:
    """A family whose names are found, those with an end for each of the marks; see `is_found`."""
    assumed = {**_without(OF_ONES_OWN, *asked), **assumed}
    return Family(FoundNaming(), {}, assumed, named_by_its_tensors=True, biases=NONE_EXCLUDED, marks=marks)


FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        naming=names.GPT2,
        turned=True,
        fixed=_without(PLAIN, "scale_attention", "scale_by_layer"),
        assumed={
            "hidden_act": "gelu_tanh",
            "scale_attention": True,
            "scale_by_layer": False,
            "tie_word_embeddings": True,
        },
        boundary_token=50_256,
        keys=_keys(OPENAI, "scale_attn_weights scale_attn_by_inverse_layer_idx"),
    ),
    "nanogpt": Family(
        naming=names.GPT2,
        fixed=PLAIN,
        assumed={"hidden_act": "gelu", "tie_word_embeddings": True},
        boundary_token=50_256,
        biases={**dict.fromkeys((*MAPS, *NORMS, "norm"), (MARK_OF_NANOGPT, True)), "head": False},
    ),
    "mingpt": Family(
        naming=names.GPT2,
        fixed=PLAIN,
        assumed={"hidden_act": "gelu_tanh", "tie_word_embeddings": False},
        boundary_token=50_256,
    ),
    "first-mingpt": Family(
        naming=names.FIRST_MINGPT,
        fixed=PLAIN,
        assumed={"hidden_act": "gelu", "tie_word_embeddings": False},
        boundary_token=50_256,
    ),
    "classroom-gpt": Family(naming=names.CLASSROOM, fixed=PLAIN, biases=NONE_EXCLUDED),
    "lecture-gpt": Family(  # its first code scales by the width of the model, its later code by that of a head
        naming=names.LECTURE,
        fixed=_without(PLAIN, "scale_by_width"),
        assumed={"hidden_act": "relu", "tie_word_embeddings": False},
        named_by_its_tensors=True,
        biases=NONE_EXCLUDED,
    ),
    "gpt_neo": Family(
        naming=names.GPT_NEO,
        fixed=_without(PLAIN, "scale_attention", "sliding_window", "sliding_layers") | {"scale_attention": False},
        assumed={
            "hidden_act": "gelu_tanh",
            "sliding_window": 256,
            "tie_word_embeddings": True,
        },
        boundary_token=50_256,
        keys=_keys(SIZES, "num_layers num_heads intermediate_size activation_function layer_norm_epsilon window_size"),
        biases={**dict.fromkeys(SPLIT, False), "head": False},
    ),
    "gptj": Family(
        naming=names.GPT_J,
        interleaved=True,
        fixed=ROTATING | {"parallel_residual": True, "rope_theta": 10_000.0},
        assumed={
            "hidden_act": "gelu_tanh",
            "rotary_dims": 64,
            "tie_word_embeddings": False,
        },
        boundary_token=50_256,
        keys=_keys(OPENAI, "rotary_dim"),
        biases=dict.fromkeys((*SPLIT, "output"), False),
    ),
    "codegen": Family(
        naming=names.CODEGEN,
        interleaved=True,
        fused=IN_FOUR,
        fixed=ROTATING | {"parallel_residual": True, "rope_theta": 10_000.0},
        assumed={"hidden_act": "gelu_tanh", "rotary_dims": 64, "tie_word_embeddings": False},
        boundary_token=50_256,
        keys=_keys(OPENAI, "rotary_dim"),
        biases=dict.fromkeys((FUSED, "output"), False),
    ),
    "openai-gpt": Family(
        naming=names.GPT1,
        turned=True,
        fixed=_without(PLAIN, "norm_first", "final_norm") | {"norm_first": False, "final_norm": False},
        assumed={"hidden_act": "gelu_tanh", "tie_word_embeddings": True},
        keys=_keys(OPENAI.replace("activation_function", "afn").replace("n_inner", "")),
    ),
    "gpt_neox": Family(
        naming=names.GPT_NEOX,
        fused=BY_HEAD,
        fixed=ROTATING,
        assumed={
            "hidden_act": "gelu",
            "rotary_share": 0.25,
            "rope_theta": 10_000.0,
            "parallel_residual": True,
            "tie_word_embeddings": False,
        },
        keys=_keys(
            SIZES,
            "intermediate_size hidden_act layer_norm_eps rotary_pct rotary_emb_base use_parallel_residual head_dim",
        ),
        biases={**dict.fromkeys((FUSED, "output"), ("attention_bias", True)), "head": False},
    ),
    "phi": Family(
        naming=names.PHI,
        fixed=ROTATING | {"parallel_residual": True, "query_key_norm_first": True},
        assumed={
            "hidden_act": "gelu_tanh",
            "rotary_share": 0.5,
            "rope_theta": 10_000.0,
            "query_key_norm": "none",
            "tie_word_embeddings": False,
        },
        keys=_keys(GROUPED, f"layer_norm_eps partial_rotary_factor {NORMS_OF_HEADS}"),
        biases=NONE_EXCLUDED,
    ),
    "persimmon": Family(
        naming=names.PERSIMMON,
        fused=BY_HEAD,
        fixed=ROTATING | {"parallel_residual": False, "query_key_norm_first": True},
        assumed={
            "hidden_act": "relu_squared",
            "rotary_share": 0.5,
            "rope_theta": 10_000.0,
            "query_key_norm": "layer_norm",
            "tie_word_embeddings": False,
        },
        boundary_token=1,
        keys=_keys(
            SIZES, f"intermediate_size hidden_act rope_theta layer_norm_eps partial_rotary_factor {NORMS_OF_HEADS}"
        ),
    ),
    "stablelm": Family(
        naming=names.STABLELM,
        fixed=ROTATING,
        assumed={
            "hidden_act": "silu",
            "rotary_share": 0.25,
            "rope_theta": 10_000.0,
            "parallel_residual": False,
            "tie_word_embeddings": False,
        },
        keys=_keys(GROUPED, "layer_norm_eps partial_rotary_factor use_parallel_residual"),
        biases={**dict.fromkeys(MAPS, False), **dict.fromkeys(SPLIT, ("use_qkv_bias", False)), "head": False},
    ),
    "starcoder2": Family(
        naming=names.STARCODER2,
        windowed_throughout=True,
        fixed=_without(ROTATING, "sliding_window", "sliding_layers") | {"parallel_residual": False},
        assumed={
            "hidden_act": "gelu_tanh",
            "rotary_share": 1.0,
            "rope_theta": 10_000.0,
            "sliding_window": 0,
            "tie_word_embeddings": True,
        },
        boundary_token=50_256,
        keys=_keys(GROUPED, "norm_epsilon sliding_window"),
        biases={**dict.fromkeys(MAPS, ("use_bias", True)), "head": False},
    ),
    "gpt_bigcode": Family(
        naming=names.GPT2,
        fused=BY_HEAD,
        fixed=_without(PLAIN, "scale_attention"),
        assumed={"hidden_act": "gelu_tanh", "scale_attention": True, "tie_word_embeddings": True},
        boundary_token=50_256,
        keys=_keys(OPENAI, "scale_attn_weights"),
    ),
    "opt": Family(
        naming=names.OPT,
        position_offset=2,
        fixed=_without(PLAIN, "norm_first", "final_norm"),
        assumed={
            "hidden_act": "relu",
            "norm_first": True,
            "tie_word_embeddings": True,
        },
        boundary_token=2,
        keys=_keys(SIZES, "ffn_dim activation_function do_layer_norm_before"),
        biases={
            **dict.fromkeys(MAPS, ("enable_bias", True)),
            **dict.fromkeys((*NORMS, "norm"), ("layer_norm_elementwise_affine", True)),
            "head": False,
        },
    ),
    "falcon": Family(
        naming=names.FALCON,
        other_naming=names.LATER_FALCON,
        fused=GROUPED,
        fixed=ROTATING,
        assumed={
            "hidden_act": "gelu",
            "rotary_share": 1.0,
            "rope_theta": 10_000.0,
            "parallel_residual": True,
            "tie_word_embeddings": True,
        },
        boundary_token=11,
        keys=_keys(SIZES, "ffn_hidden_size activation layer_norm_epsilon rope_theta parallel_attn"),
        biases={**dict.fromkeys((FUSED, "output", "up", "down"), ("bias", False)), "head": False},
    ),
    "biogpt": Family(
        naming=names.BIOGPT,
        position_offset=2,
        fixed=PLAIN,
        assumed={"hidden_act": "gelu", "scale_embedding": True, "tie_word_embeddings": True},
        boundary_token=2,
        keys=_keys(SIZES, "intermediate_size hidden_act scale_embedding"),
    ),
    "handwritten": _found((), {}),
    "raschka-gpt": _found(  # the book's own gelu is that of GPT-2
        (".att.W_query.weight", ".ff.layers.0.weight", ".norm1.shift"), {"hidden_act": "gelu_tanh", "norm_first": True}
    ),
    "raschka-llama": _found(
        (".att.W_query.weight", ".ff.fc3.weight", ".norm1.weight"),
        {**ROTATED, "rotary_share": 1.0, "rope_interleaved": False, "layer_norm_eps": 1e-5},
    ),
    "lit-llama": _found(
        (".attn.c_attn.weight", ".mlp.c_fc1.weight", ".rms_1.scale"),
        {**ROTATED, "rotary_share": 1.0, "rope_theta": 10_000.0, "rope_interleaved": True, "layer_norm_eps": 1e-5},
    ),
    "litgpt": _found(
        (".attn.qkv.weight", ".norm_1.weight", ".mlp.proj.weight"),
        {"norm_first": True, "gate_first": True, "rope_interleaved": False, "fused_by_head": False},
        asked=("parallel_residual",),
    ),
}
# The model types of configuration files, by family: minGPT calls its sizes so.
SIZES_OF_MINGPT = ("gpt2-medium", "gpt2-large", "gpt2-xl", "gopher-44m", "gpt-mini", "gpt-micro", "gpt-nano")
MODEL_TYPES: dict[str, str] = {name: name for name, family in FAMILIES.items() if not family.is_found} | dict.fromkeys(
    SIZES_OF_MINGPT, "mingpt"
)
MODEL_TYPES["gpt-sw3"] = "gpt2"
