"""GGUF files: every type, Hugging Face's names and layouts given back, the model they make; hostile ones refused."""

from __future__ import annotations

import struct

import gguf
import numpy as np
import pytest
from gguf_files import LLAMA, Kind, one_after_the_other, under_ggufs_names, write_gguf
from naive_llama import Llama

from bytecap.compiler.checkpoints import gguf_tensors
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.gguf_configuration import gguf_configuration
from bytecap.compiler.checkpoints.gguf_names import ARCHITECTURES
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError
from bytecap.runtime.interpreter import Interpreter

NAIVE = Llama(width=32, hidden=32, heads=4, head=8, vocabulary=32)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_every_type_under_the_names_of_hugging_face(tmp_path, kind):
    state, kind = NAIVE.state(0), Kind[kind]
    stored = under_ggufs_names(state)
    kinds = {name: kind for name, values in stored.items() if values.ndim == 2}
    path = write_gguf(tmp_path / "m.gguf", "llama", LLAMA, stored, kinds)
    read = read_checkpoint(path)
    assert read.tensors.keys() == state.keys()
    error = {"F32": 0, "F16": 1e-3, "BF16": 1e-2, "Q8_0": 1e-2, "Q5_0": 0.1, "Q5_1": 0.1, "Q4_0": 0.2, "Q4_1": 0.2}
    for name, values in state.items():
        assert read.tensors[name].dtype == np.float32 and read.tensors[name].flags.c_contiguous
        assert np.abs(read.tensors[name] - values).max() <= error[kind.name] * np.abs(values).max(), name
        types = {"F16": "float16", "BF16": "bfloat16"} if values.ndim == 2 else {}
        assert read.dtypes[name] == types.get(kind.name, "float32")
    decoded = (
        () if kind.name in ("F32", "F16", "BF16") else (f"{len(kinds)} tensors of {kind.name} decoded to float32",)
    )
    assert read.notes == decoded
    model = build_model(read)
    tokens = np.arange(11)
    logits = Interpreter(model.program, [t.values for t in model.tensors]).logits(tokens[None])[0]
    np.testing.assert_allclose(logits, NAIVE.logits(read.tensors, tokens), rtol=1e-4, atol=1e-4)
    assert model.program.sequence_length == 48 and model.assumed == {} and "its GGUF metadata" in model.told.values()


@pytest.mark.parametrize("kind", sorted(gguf.quants._type_traits, key=lambda kind: kind.value), ids=lambda k: k.name)
def test_every_type_that_the_package_decodes_keeps_its_place(tmp_path, kind):
    """Two matrices of random blocks, one behind the other."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    random = np.random.default_rng(1)
    tensors = []
    for rows in (3, 2):  # little-endian halves below 2 whatever the field they fall in
        data = random.integers(0, 128, (rows, size * 2), np.uint8)
        data[:, 1::2] &= 0x3F
        tensors.append(data)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for name, data in zip(("token_embd.weight", "output.weight"), tensors, strict=True):
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = gguf_tensors.read_gguf_tensors([tmp_path / "m.gguf"])
    for name, data in zip(("model.embed_tokens.weight", "lm_head.weight"), tensors, strict=True):
        assert content.tensors[name].shape == (len(data), 2 * block)
        np.testing.assert_array_equal(content.tensors[name], gguf.quants.dequantize(data, kind))


def test_the_names_of_every_architecture_are_told_apart():
    for name, architecture in ARCHITECTURES.items():
        parts = {f"blk.3.{part}.weight" for part in architecture.parts} | {f"{o}.weight" for o in architecture.outer}
        theirs = {part: architecture.hugging_face_name(part) for part in parts}
        assert len(set(theirs.values())) == len(parts), name
        assert {part: architecture.gguf_name(each) for part, each in theirs.items()} == {part: part for part in parts}
        assert architecture.hugging_face_name("blk.0.ffn_gate_exps.weight") is None
        assert architecture.gguf_name("visual.proj") is None


def read_with(tmp_path, architecture, metadata, tensors):
    write_gguf(tmp_path / "m.gguf", architecture, metadata, tensors)
    return read_checkpoint(tmp_path / "m.gguf")


def test_layouts_of_other_families_are_given_back(tmp_path):
    random = np.random.default_rng(2)
    gains, matrix = random.standard_normal(8).astype(np.float32), random.standard_normal((24, 8)).astype(np.float32)
    gemma = read_with(tmp_path, "gemma2", {"attention.head_count": 2}, {"output_norm.weight": gains + 1})
    np.testing.assert_allclose(gemma.tensors["model.norm.weight"], gains, atol=1e-6)
    gpt2 = read_with(tmp_path, "gpt2", {}, {"blk.0.attn_qkv.weight": matrix, "blk.0.attn_qkv.bias": matrix[:, 0]})
    np.testing.assert_array_equal(gpt2.tensors["transformer.h.0.attn.c_attn.weight"], matrix.T)
    np.testing.assert_array_equal(gpt2.tensors["transformer.h.0.attn.c_attn.bias"], matrix[:, 0])
    fused = {
        f"blk.1.attn_qkv.{kind}": one_after_the_other(values, 2)
        for kind, values in (("weight", matrix), ("bias", matrix[:, 0]))
    }
    neox = read_with(tmp_path, "gptneox", {"attention.head_count": 2}, fused)
    np.testing.assert_array_equal(neox.tensors["gpt_neox.layers.1.attention.query_key_value.weight"], matrix)
    np.testing.assert_array_equal(neox.tensors["gpt_neox.layers.1.attention.query_key_value.bias"], matrix[:, 0])


TABLE = {"token_embd.weight": np.ones((2, 32), np.float32)}
CONFIGURATIONS = [
    ("llama", {"rope.dimension_count": 8, "attention.head_count": 4}, {}),
    ("llama", {"rope.dimension_count": 4, "attention.head_count": 4}, {"partial_rotary_factor": 0.5}),
    (
        "llama",
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    ),
    ("llama", {"attention.head_count_kv": [2, 2]}, {"num_key_value_heads": 2}),
    ("gemma", {}, {"hidden_activation": "gelu_pytorch_tanh"}),
    (
        "gemma3",
        {"block_count": 7, "attention.key_length": 16, "attention.sliding_window": 512},
        {
            "model_type": "gemma3_text",
            "layer_types": [*["sliding_attention"] * 5, "full_attention", "sliding_attention"],
            "rope_local_base_freq": 10_000.0,
            "query_pre_attn_scalar": 16,
            "sliding_window": 512,
        },
    ),
    ("smollm3", {"block_count": 4}, {"no_rope_layers": [1, 1, 1, 0]}),
    ("gpt2", {"block_count": 3, "context_length": 9}, {"n_layer": 3, "n_positions": 9}),
    (
        "lfm2",
        {"block_count": 3, "attention.head_count_kv": [0, 2, 0], "shortconv.l_cache": 4},
        {
            **{"layer_types": ["conv", "full_attention", "conv"], "num_key_value_heads": 2, "conv_L_cache": 4},
            "block_auto_adjust_ff_dim": False,
        },
    ),
    ("granite", {"logit_scale": 4.0, "attention.scale": 0.5}, {"logits_scaling": 4.0, "attention_multiplier": 0.5}),
    ("olmo", {"attention.clamp_kqv": 8.0}, {"clip_qkv": 8.0}),
    ("exaone4", {"block_count": 2, "attention.sliding_window": 8}, {"sliding_window": None}),
    ("arcee", {}, {"hidden_act": "relu2"}),
]


@pytest.mark.parametrize(("architecture", "metadata", "expected"), CONFIGURATIONS)
def test_metadata_become_a_configuration(tmp_path, architecture, metadata, expected):
    found = read_with(tmp_path, architecture, {"embedding_length": 32, **metadata}, TABLE).configuration
    assert found.source == "its GGUF metadata"
    assert expected.items() <= found.values.items() and found.values["tie_word_embeddings"] is True
    if not expected:
        assert "partial_rotary_factor" not in found.values and "rope_scaling" not in found.values


def test_factors_of_the_frequencies_become_data_of_the_configuration(tmp_path):
    factors = np.array([1, 1, 3.5, 8], np.float32)
    read = read_with(tmp_path, "llama", LLAMA, {**under_ggufs_names(NAIVE.state(0)), "rope_freqs.weight": factors})
    both = [1.0, 1.0, 3.5, 8.0]
    assert read.configuration.values["rope_scaling"] == {
        "rope_type": "longrope",
        "short_factor": both,
        "long_factor": both,
        "attention_factor": 1.0,
    }
    assert "rope_freqs.weight" not in read.tensors


def test_a_file_in_parts_is_read_whole(tmp_path):
    stored = under_ggufs_names(NAIVE.state(3))
    names = list(stored)
    write_gguf(tmp_path / "m-00001-of-00002.gguf", "llama", LLAMA, {name: stored[name] for name in names[:5]})
    write_gguf(tmp_path / "m-00002-of-00002.gguf", "llama", {}, {name: stored[name] for name in names[5:]})
    for path in (tmp_path, tmp_path / "m-00002-of-00002.gguf"):
        read = read_checkpoint(path)
        assert all(np.array_equal(read.tensors[name], values) for name, values in NAIVE.state(3).items())


WRONG = [
    ("mamba", {}, TABLE, "is a GGUF of the architecture 'mamba', which no frontend knows; known are llama, "),
    ("minicpm", {"embedding_length": 8}, TABLE, "lacks embedding_scale, residual_scale, logit_scale, which a minicpm"),
    ("granite", {"rope.scaling.finetuned": False}, TABLE, "is a granite without rotations"),
    ("lfm2", {"attention.head_count_kv": ["a", "b"]}, TABLE, "lists what are no numbers of heads"),
    ("lfm2", {"attention.head_count_kv": [1.5, 2.0]}, TABLE, "lists what are no numbers of heads"),
    ("lfm2", {"attention.head_count_kv": [0, 2, 4]}, TABLE, "has another attention.head_count_kv in every layer"),
    ("arcee", {}, {"blk.0.attn_q.bias": np.ones(8, np.float32)}, "has not: blk.0.attn_q.bias"),
    ("llama", {"expert_count": 8}, TABLE, "is a mixture of 8 experts"),
    ("llama", {}, {}, "without tensors, such as one of a vocabulary alone"),
    ("llama", {"attention.head_count": [2, 4]}, TABLE, "has another attention.head_count in every layer"),
    ("llama", {}, {"blk.0.ffn_gate_exps.weight": TABLE["token_embd.weight"]}, "has not: blk.0.ffn_gate_exps.weight"),
    ("llama", {"attention.head_count": 3}, {"blk.0.attn_q.weight": np.ones((8, 4))}, "do not belong to 3 heads"),
]


@pytest.mark.parametrize(("architecture", "metadata", "tensors", "message"), WRONG, ids=[w[3][:30] for w in WRONG])
def test_what_is_not_known_is_one_sentence(tmp_path, architecture, metadata, tensors, message):
    with pytest.raises(CheckpointError) as caught:
        read_with(tmp_path, architecture, metadata, tensors)
    assert message in str(caught.value) and str(tmp_path / "m.gguf") in str(caught.value)


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def head(tensors=0, pairs=0, version=3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def entry(*, kind=0, shape=(4, 2), offset=0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(b"token_embd.weight") + dimensions + struct.pack("<IQ", kind, offset)


LLAMA_PAIR = string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama")
HOSTILE = [
    (head()[:20], "ends early"),
    (head(version=1), "of version 1; known are 2 and 3"),
    (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "of version 3 in big-endian order"),
    (head(tensors=1 << 60), "counts 1,152,921,504,606,846,976 tensors"),
    (head(pairs=1 << 60), "counts 1,152,921,504,606,846,976 metadata"),
    (head(pairs=1) + struct.pack("<Q", 1 << 62) + bytes(99), "bytes of a text"),
    (head(pairs=1) + string(b"x") + struct.pack("<I", 77) + bytes(99), "unknown kind 77"),
    (head(pairs=1) + string(b"x") + struct.pack("<IIQ", 9, 4, 1 << 61) + bytes(99), "numbers, more than"),
    (head(pairs=1) + string(b"x") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 6 + bytes(99), "unknown kind 9"),
    (head(tensors=1) + entry(shape=(1,) * 9) + bytes(99), "has 9 dimensions"),
    (head(tensors=2) + entry() * 2 + bytes(99), "two of its tensors have the same name"),
    (head(1, 1) + LLAMA_PAIR + entry() + bytes(20), "'token_embd.weight' ends beyond it"),
    (head(1, 1) + LLAMA_PAIR + entry(offset=1 << 63) + bytes(99), "'token_embd.weight' ends beyond it"),
    (head(1, 1) + LLAMA_PAIR + entry(shape=(1 << 30, 1 << 30)) + bytes(99), "weights; at most"),
    (head(1, 1) + LLAMA_PAIR + entry(kind=2) + bytes(99), "are not whole blocks of 32"),
    (head(1, 1) + LLAMA_PAIR + entry(kind=26) + bytes(99), "is of ggml's type I32, which is not decoded here"),
    (head(1, 1) + LLAMA_PAIR + entry(kind=999) + bytes(99), "is of ggml's type number 999"),
]


@pytest.mark.parametrize(("data", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_damaged_and_hostile_files_are_refused(tmp_path, data, message):
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "m.gguf")
    assert message in str(caught.value) and str(tmp_path / "m.gguf") in str(caught.value)


def test_what_has_no_numbers_and_heads_that_are_none_are_refused_in_words(tmp_path):
    stored = under_ggufs_names(NAIVE.state(0))
    path = write_gguf(tmp_path / "m.gguf", "llama", LLAMA | {"attention.head_count": True}, stored)
    with pytest.raises(CheckpointError, match=r"m\.gguf: .*heads"):
        read_checkpoint(path)
    for kind in (0, 1, 2):
        (tmp_path / "m.gguf").write_bytes(head(1, 1) + LLAMA_PAIR + entry(kind=kind, shape=(0, 2)) + bytes(99))
        assert read_checkpoint(tmp_path / "m.gguf").tensors["model.embed_tokens.weight"].size == 0


@pytest.mark.parametrize("key", ["rope.scaling.type", "rope.scaling.factor", "expert_count", "block_count"])
def test_lists_where_one_value_stands_are_refused_in_words(tmp_path, key):
    for wrong in ([1, 2], ["linear", "linear"]):
        with pytest.raises(CheckpointError, match=rf"m\.gguf.*{key}"):
            read_with(tmp_path, "llama", LLAMA | {key: wrong}, under_ggufs_names(NAIVE.state(0)))


@pytest.mark.parametrize("architecture", ["gemma3", "gemma2", "smollm3"])
def test_a_number_of_layers_beyond_sense_makes_no_lists(architecture):
    metadata = {"general.architecture": architecture, f"{architecture}.block_count": (1 << 31) - 1}
    values = gguf_configuration(metadata, ("output.weight",), {}, "m.gguf").values
    assert max(len(value) for value in values.values() if isinstance(value, list)) == 0


def test_every_cut_of_a_file_is_refused(tmp_path):
    whole = write_gguf(tmp_path / "whole.gguf", "llama", LLAMA, under_ggufs_names(NAIVE.state(0))).read_bytes()
    for length in [*range(4, 400, 7), len(whole) // 2, len(whole) - 32]:
        (tmp_path / "m.gguf").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"m\.gguf"):
            read_checkpoint(tmp_path / "m.gguf")
