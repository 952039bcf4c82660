"""GGUF files that are written say what was read: metadata, layouts and tokenizers, both ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_logits import assert_computes, drawn_tokens, golden_logits
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.gguf_configuration import gguf_configuration
from bytecap.compiler.checkpoints.gguf_names import ARCHITECTURES
from bytecap.compiler.checkpoints.gguf_tensors import read_gguf_tensors
from bytecap.compiler.exports.gguf_file import gguf_tensors, tensor_kinds, write_gguf
from bytecap.compiler.exports.gguf_metadata import gguf_metadata, llama3_factors
from bytecap.compiler.exports.gguf_tokenizer import PREFIX, gguf_tokenizer
from bytecap.compiler.exports.granite_hybrid import as_granite
from bytecap.compiler.frontends import build_model
from bytecap.compiler.model.model import ModelTensor
from bytecap.errors import CheckpointError, OutputError
from bytecap.runtime.gguf_file import read_gguf

SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "vocab_size": 20,
    "rms_norm_eps": 1e-6,
    "rope_theta": 5000.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
GEMMA2 = {"model_type": "gemma2", **SIZES, "query_pre_attn_scalar": 4, "sliding_window": 4}
GEMMA3 = {
    **{name: value for name, value in SIZES.items() if name != "rope_theta"},
    **{"model_type": "gemma3_text", "query_pre_attn_scalar": 4, "sliding_window": 4},
}
LFM2 = {"layer_types": ["full_attention"], "conv_L_cache": 3, "block_auto_adjust_ff_dim": False}
SCALES = {"embedding_multiplier": 3.0, "attention_multiplier": 0.5, "residual_multiplier": 0.25, "logits_scaling": 4.0}
MINICPM = {"scale_emb": 12.0, "scale_depth": 1.5, "dim_model_base": 4.0}
OWN = {"granite": SCALES, "minicpm": MINICPM, "olmo": {"clip_qkv": 8.0}, "exaone4": {"sliding_window": None}}
GPT2 = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 20}


def configuration_of(name):
    architecture = ARCHITECTURES[name]
    more = {"num_key_value_heads": 2} if architecture.fused_by_head else {}
    more |= {"query_pre_attn_scalar": 4} if name in ("gemma2", "gemma3") else {}
    if name == "gptneox":
        more |= {"rotary_emb_base": SIZES["rope_theta"]}
    own = {"lfm2": {"norm_eps": 1e-6, **LFM2}, "nemotron": {"norm_eps": 1e-6, "partial_rotary_factor": 0.5}}
    sizes = {key: value for key, value in SIZES.items() if name not in own or key != "rms_norm_eps"}
    if name == "gpt2":
        return GPT2
    return {"model_type": architecture.model_type, **sizes, **more, **own.get(name, {}), **OWN.get(name, {})}


def tensors_of(name):
    """Random tensors under all names of an architecture: vectors for norms, matrices of 24 rows else."""
    architecture, random = ARCHITECTURES[name], np.random.default_rng(0)
    stems = [*architecture.outer.values(), *(f"{architecture.layers}0.{part}" for part in architecture.parts.values())]
    shapes = {stem: (8,) if "norm" in stem or ".ln_" in stem else (24, 8) for stem in stems}
    shapes |= {stem: (8, 1, 3) for stem in stems if stem.endswith("conv.conv")}
    return [
        ModelTensor(f"{stem}.weight", random.normal(size=shape).astype(np.float32), "float32")
        for stem, shape in shapes.items()
    ]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_reading_undoes_writing(name, tmp_path):
    configuration, tensors = configuration_of(name), tensors_of(name)
    laid_out = gguf_tensors(configuration, tensors)
    write_gguf(tmp_path / "m.gguf", configuration, {}, laid_out, tensor_kinds(laid_out, "float32"))
    content = read_gguf_tensors([tmp_path / "m.gguf"])
    assert set(content.tensors) == {tensor.name for tensor in tensors}
    for tensor in tensors:
        assert np.allclose(content.tensors[tensor.name], tensor.values, rtol=0, atol=2.0**-22), tensor.name
    told = content.configuration.values
    assert {key: told.get(key, value) for key, value in configuration.items()} == configuration


def test_layouts_are_changed_where_llama_cpp_has_others():
    changed = {
        name
        for name in ARCHITECTURES
        for (theirs, values), tensor in zip(
            gguf_tensors(configuration_of(name), tensors_of(name)).items(), tensors_of(name), strict=True
        )
        if not np.array_equal(values, tensor.values)
    }
    permuted, shifted = (
        {"llama", "smollm3", "granite", "olmo", "arcee", "minicpm"},
        {"gemma", "gemma2", "gemma3", "nemotron"},
    )
    assert changed == permuted | shifted | {"gpt2", "gptneox", "lfm2"}


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        ({"model_type": "mamba"}, "a GGUF file of a 'mamba' cannot be written; known are arcee"),
        ({"model_type": "exaone4", **SIZES, "sliding_window": 8}, r"sliding_layers \[\] .* this model has \[0\]"),
        ({"model_type": "exaone4", **SIZES, "num_hidden_layers": 64}, "has windows in an exaone4 of 64 layers"),
        ({"model_type": "nemotron", **SIZES, "head_dim": 8}, "nemotron has heads of 4 in a stream of 8 alone"),
        ({"model_type": "llama"}, "does not say hidden_size, num_hidden_layers, num_attention_heads"),
        ({"model_type": "mistral", **SIZES, "sliding_window": 8}, "no sliding window of 8"),
        ({"model_type": "gemma2", **SIZES, "query_pre_attn_scalar": 9}, "by the width 4 alone"),
        ({"model_type": "gemma3_text", **SIZES, "layer_types": ["full_attention"]}, "windows in five of six layers"),
        ({"model_type": "llama", **SIZES, "rope_scaling": {"rope_type": "longrope"}}, "'longrope' cannot be written"),
        ({**GPT2, "activation_function": "gelu"}, "llama.cpp computes gelu_new in gpt2, not gelu"),
        ({**GPT2, "scale_attn_by_inverse_layer_idx": True}, "scales all scores of gpt2 by their width alone"),
        (
            {"model_type": "llama", **SIZES, "hidden_act": "relu"},
            "llama has hidden_act 'silu' and .* this model has 'relu'",
        ),
        ({"model_type": "phi3", **SIZES, "sliding_window": 8}, "no sliding window of 8 for phi3"),
        ({**GEMMA2, "query_pre_attn_scalar": None}, "query_pre_attn_scalar 4 .* this model has 256.0"),
        ({**GEMMA2, "attn_logit_softcapping": None}, "attn_logit_softcapping 50.0 .* this model has 0.0"),
        ({**GEMMA2, "layer_types": ["full_attention"]}, r"sliding_layers \[0\] .* this model has \[\]"),
        ({**GEMMA2, "hidden_activation": "gelu"}, "hidden_act 'gelu_pytorch_tanh' .* this model has 'gelu'"),
        ({**GEMMA3, "rope_parameters": {"sliding_attention": {"rope_theta": 9.0}}}, "with rotations of base 10,000"),
        ({"model_type": "smollm3", **SIZES, "no_rope_layers": [0]}, r"unrotated_layers \[\] .* this model has \[0\]"),
        (
            {"model_type": "qwen3", **SIZES, "rope_scaling": YARN | {"attention_factor": 1.5}},
            "rotations with the factor 1.1386.* this model has 1.5",
        ),
        (
            {"model_type": "qwen3", **SIZES, "rope_scaling": YARN | {"beta_fast": 1.5}},
            "rotations of frequencies .* this model has",
        ),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(configuration, sentence):
    with pytest.raises(OutputError, match=sentence):
        gguf_metadata(configuration)


@pytest.mark.parametrize(("base", "layers"), [(GEMMA2, 46), (GEMMA3, 62)])
def test_the_largest_gemma_scales_its_scores_by_the_width_over_its_heads(base, layers):
    sizes = {**base, "num_hidden_layers": layers, "num_attention_heads": 1}
    name, metadata, _ = gguf_metadata({**sizes, "query_pre_attn_scalar": 8})
    read = gguf_configuration({"general.architecture": name, **metadata}, (), {}, Path("m.gguf"))
    assert read.values["query_pre_attn_scalar"] == 8
    with pytest.raises(OutputError, match="by the width 8 alone"):
        gguf_metadata({**sizes, "query_pre_attn_scalar": 4})


@pytest.mark.parametrize("name", ["attention.sliding_window", "attn_logit_softcapping", "final_logit_softcapping"])
def test_a_zero_of_a_gguf_file_is_none(name):
    metadata = {"general.architecture": "phi3", f"phi3.{name}": 0}
    read = gguf_configuration(metadata, (), {}, Path("m.gguf"))
    assert read.values[name.removeprefix("attention.")] is None


LINEAR_BY_4 = {"rope_type": "linear", "factor": 4.0}
YARN_BY_4 = {"rope_type": "yarn", "factor": 4.0}
BOTH = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}


@pytest.mark.parametrize(
    ("metadata", "meant"),
    [
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, LINEAR_BY_4),
        ({"rope.scaling.factor": 4.0}, LINEAR_BY_4),
        ({"rope.scale_linear": 4.0}, LINEAR_BY_4),
        ({"rope.scaling.factor": 4.0, "rope.scale_linear": 2.0}, LINEAR_BY_4),
        ({"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, None),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 0.0}, None),
        ({"rope.scaling.type": "yarn"}, None),
        (BOTH, YARN_BY_4),
        (BOTH | {"rope.scaling.yarn_beta_fast": 8.0}, YARN_BY_4 | {"beta_fast": 8.0}),
        (BOTH | {"rope.scaling.attn_factor": 2.0}, YARN_BY_4 | {"attention_factor": 2.2772588722239782}),
    ],
)
def test_scaled_rotations_are_read_as_llama_cpp_reads_them(metadata, meant):
    told = {f"llama.{name}": value for name, value in metadata.items()}
    read = gguf_configuration({"general.architecture": "llama", **told}, (), {}, Path("m.gguf"))
    assert read.values.get("rope_scaling") == meant


@pytest.mark.parametrize(
    ("metadata", "factors", "sentence"),
    [
        ({"rope.scaling.factor": 4.0}, {"all": np.ones(2, np.float32)}, "and scales them by 4.0 besides"),
        ({"rope.scaling.attn_factor": 2.0}, {}, "attn_factor of 2.0 without YaRN"),
        ({"attention.causal": False}, {}, "attention looks ahead"),
    ],
)
def test_what_no_frontend_computes_of_a_gguf_file_is_refused(metadata, factors, sentence):
    told = {f"llama.{name}": value for name, value in metadata.items()}
    with pytest.raises(CheckpointError, match=sentence):
        gguf_configuration({"general.architecture": "llama", **told}, (), factors, Path("m.gguf"))


def test_keys_have_as_many_heads_as_queries_where_a_gguf_file_does_not_say():
    metadata = {"general.architecture": "llama", "llama.attention.head_count": 4}
    assert gguf_configuration(metadata, (), {}, Path("m.gguf")).values["num_key_value_heads"] == 4


def test_the_trained_length_of_a_gguf_file_stands_where_phi_3_is_asked_for_it():
    metadata = {"general.architecture": "phi3", "phi3.rope.scaling.original_context_length": 16}
    read = gguf_configuration(metadata, (), {"all": np.ones(2, np.float32)}, Path("m.gguf"))
    assert read.values["original_max_position_embeddings"] == 16
    assert "original_max_position_embeddings" not in read.values["rope_scaling"]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_rotations_of_neox_are_told_though_the_whole_head_turns(share, tmp_path):
    sizes = {name: value for name, value in SIZES.items() if name not in ("rope_theta", "num_key_value_heads")}
    configuration = {"model_type": "gpt_neox", **sizes, "rotary_pct": share, "rotary_emb_base": 500}
    laid_out = gguf_tensors(configuration, tensors_of("gptneox"))
    write_gguf(tmp_path / "m.gguf", configuration, {}, laid_out, tensor_kinds(laid_out, "float32"))
    told = read_gguf_tensors([tmp_path / "m.gguf"]).configuration.values
    assert (told["rotary_pct"], told["rotary_emb_base"], told["use_parallel_residual"]) == (share, 500, True)


NESTED = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 3e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
SAID = [
    ({**GEMMA3, "rope_parameters": NESTED}, {"freq_base": 3e6, "scaling.type": "linear", "scaling.factor": 8.0}),
    ({**GEMMA3, "rope_theta": None}, {"freq_base": 1e6}),
    ({"model_type": "smollm3", **SIZES, "rope_theta": None}, {"freq_base": 2e6}),
]


@pytest.mark.parametrize(("configuration", "rotations"), SAID)
def test_rotations_are_told_wherever_a_configuration_has_them(configuration, rotations):
    given = {name: value for name, value in configuration.items() if value is not None}
    name, metadata, _ = gguf_metadata(given)
    assert {key: metadata[f"{name}.rope.{key}"] for key in rotations} == rotations


def test_an_epsilon_that_nobody_tells_is_that_of_the_model_type():
    silent = {name: value for name, value in SIZES.items() if name != "rms_norm_eps"}
    for model_type, expected in (("llama", 1e-6), ("olmo2", 1e-5), ("phi3", 1e-5)):
        name, metadata, _ = gguf_metadata({"model_type": model_type, **silent})
        assert metadata[f"{name}.attention.layer_norm_rms_epsilon"] == expected


def test_a_granite_4_without_state_is_written_as_a_granite(tmp_path):
    golden = golden_logits("granite-without-state")
    state = [ModelTensor(name, values, "float32") for name, values in golden.state().items()]
    configuration, tensors = as_granite(golden.config, state)
    laid_out = gguf_tensors(configuration, tensors)
    write_gguf(tmp_path / "m.gguf", configuration, {}, laid_out, tensor_kinds(laid_out, "float32"))
    model = build_model(read_checkpoint(tmp_path / "m.gguf"))
    assert model.architecture["family"] == "granite"
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert as_granite({"model_type": "llama"}, state) == ({"model_type": "llama"}, state)
    with pytest.raises(OutputError, match=r"of a Granite 4\.0 without rotations cannot be written"):
        as_granite(golden.config | {"position_embedding_type": None}, state)
    carrying = [ModelTensor("model.layers.0.mamba.D", np.ones(4, np.float32), "float32")]
    with pytest.raises(OutputError, match=r"of a Granite 4\.0 that carries a state cannot be written"):
        as_granite(golden.config, carrying)


def test_factors_of_llama_3():
    """Short wavelengths keep their frequency, long ones are divided by the factor, and between them it rises."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 8192
    factors = llama3_factors(
        {"model_type": "llama", **SIZES, "head_dim": 128, "rope_theta": 500_000.0, "rope_scaling": scaling}
    )
    assert (factors[0], factors[-1]) == (1.0, 8.0) and (np.diff(factors) >= 0).all() and len(set(factors.tolist())) > 5
    assert llama3_factors({"model_type": "llama", **SIZES}) is None


def trained(path, pre_tokenizer):
    """A byte-level BPE tokenizer.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=270,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a tokenizer of few words, of few pieces"], trainer)
    tokenizer.save(str(path))
    return tokenizer


def test_a_tokenizer_json_becomes_fields_and_is_padded(tmp_path):
    tokenizer = trained(tmp_path / "tokenizer.json", pre_tokenizers.ByteLevel(add_prefix_space=False))
    size = tokenizer.get_vocab_size()
    fields = gguf_tokenizer(tmp_path, size + 3, {"bos_token_id": 0})
    assert fields[f"{PREFIX}model"] == "gpt2" and fields[f"{PREFIX}pre"] == "gpt-2"
    assert [tokenizer.token_to_id(piece) for piece in fields[f"{PREFIX}tokens"][:size]] == list(range(size))
    assert fields[f"{PREFIX}tokens"][size:] == [f"[PAD{size + n}]" for n in range(3)]
    assert fields[f"{PREFIX}token_type"][0] == 3 and set(fields[f"{PREFIX}token_type"][size:]) == {5}
    assert fields[f"{PREFIX}bos_token_id"] == 0
    merges = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["merges"]
    assert [line.split(" ") for line in fields[f"{PREFIX}merges"]] == [list(pair) for pair in merges]


def test_fields_of_a_gguf_file_are_taken_as_they_stand(tmp_path):
    trained(tmp_path / "tokenizer.json", pre_tokenizers.ByteLevel(add_prefix_space=False))
    fields = gguf_tokenizer(tmp_path, 280, {"bos_token_id": 0})
    configuration, tensors = configuration_of("llama"), tensors_of("llama")
    laid_out = gguf_tensors(configuration, tensors)
    write_gguf(tmp_path / "m.gguf", configuration, fields, laid_out, tensor_kinds(laid_out, "q8_0"))
    again = gguf_tokenizer(tmp_path / "m.gguf", 280, {})
    assert {name: list(v) if not isinstance(v, (str, int)) else v for name, v in again.items()} == fields
    assert {t.kind for t in read_gguf(tmp_path / "m.gguf").tensors} == {0}  # rows of 8 are no blocks of 32


def test_tokenizers_that_gguf_cannot_hold_are_refused(tmp_path):
    trained(tmp_path / "tokenizer.json", pre_tokenizers.Whitespace())
    with pytest.raises(OutputError, match=r"pre-tokenizer \(Whitespace\) is not known; give a GGUF file"):
        gguf_tokenizer(tmp_path / "tokenizer.json", 300, {})
    trained(tmp_path / "tokenizer.json", pre_tokenizers.ByteLevel())
    with pytest.raises(OutputError, match=r"pieces, and the model 12 tokens"):
        gguf_tokenizer(tmp_path / "tokenizer.json", 12, {})
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(OutputError, match=r"other.json is not a tokenizer.json of byte-level BPE"):
        gguf_tokenizer(tmp_path / "other.json", 300, {})
    (tmp_path / "other.model").write_text("nothing")
    with pytest.raises(OutputError, match=r"neither a GGUF file nor a tokenizer.json nor a sentencepiece model"):
        gguf_tokenizer(tmp_path / "other.model", 300, {})
    assert gguf_tokenizer(None, 300, {}) == {f"{PREFIX}model": "no_vocab"}
