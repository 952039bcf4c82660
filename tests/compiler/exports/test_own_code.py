"""An artifact tells the hyperparameters of somebody's own code, so that its exports are read without questions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors
from golden_logits import checkpoint_of, golden_logits
from handwritten_cases import MODELS
from handwritten_heads import NORMS, SAID, WIDTHS, HeadsOfTheirOwn, WithoutGains
from handwritten_lists import LISTS
from handwritten_states import state_of
from handwritten_variants import SAID as OF_ANY
from handwritten_variants import VARIANTS
from naive_llama import Llama
from naive_nanochat import NaiveNanochat

import bytecap
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.format.assembly import assemble_artifact
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues

OF_HEADS = {
    name: (lambda sizes=sizes: HeadsOfTheirOwn(*sizes), {**SAID, **said, "rotary_dims": sizes[2]}, "handwritten")
    for name, (sizes, said) in {**WIDTHS, **NORMS}.items()
}
WITHOUT_GAINS = {**SAID, "query_key_norm": "rms_norm", "query_key_norm_first": False, "rotary_dims": 8}
OF_HEADS["without-gains"] = (
    lambda: WithoutGains(3, 3, 8, "", False, False, False),
    {**WITHOUT_GAINS, "num_attention_heads": 3},
    "handwritten",
)
LLAMA, LLAMAS, _ = MODELS["tutorial-llama"]
OTHERS = {
    "windowed": (LLAMA, {**LLAMAS, "sliding_window": 8, "sliding_layers": [1]}, ""),
    "capped": (LLAMA, {**LLAMAS, "logit_softcap": 15.0}, ""),
    "scaled": (LLAMA, {**LLAMAS, "scale_by_layer": True, "scale_by_width": True}, ""),
}


LISTED = {name: LISTS[name] for name in ("outside-named-plain-True", "inside-bare-gated-True")}
VARIANT = {name: (make, {**OF_ANY, **said}, "") for name, (make, said) in VARIANTS.items()}


@pytest.mark.parametrize("name", [*MODELS, *OF_HEADS, *OTHERS, *VARIANT, *LISTED])
def test_an_export_asks_for_nothing_and_assumes_nothing(name, tmp_path):
    make, said, _ = {**MODELS, **OF_HEADS, **OTHERS, **VARIANT, **LISTED}[name]
    model = build_model(checkpoint_of(state_of(make()), None), said)
    artifact = written(model, tmp_path)
    instructions = bytecap.load(artifact).program.instructions
    for suffix in (".safetensors", ".pt") if name in MODELS else (".safetensors",):
        output = tmp_path / f"model{suffix}"
        bytecap.export(artifact, output)
        again = bytecap.load(output)
        assert again.program.instructions == instructions
        read = build_model(read_checkpoint(output))  # a gate and what it multiplies, too, are in their places
        assert [tensor.name for tensor in read.tensors] == [tensor.name for tensor in model.tensors]
        pairs = zip(read.tensors, model.tensors, strict=True)
        assert all(np.allclose(one.values, other.values, rtol=0, atol=2**-23) for one, other in pairs)
        assert not again.assumed and {*again.told.values()} == {"'config' in the file"}


def written(model, folder):
    """The artifact of a model that stores its tensors as they are."""
    sources = [TensorSource(t.name, t.values.shape, t.dtype, (RawValues(t.values, t.dtype),)) for t in model.tensors]
    artifact = folder / "model.bcap"
    artifact.write_bytes(assemble_artifact(model.program, sources, {}))
    return artifact


def test_what_a_caller_says_comes_before_what_an_export_says(tmp_path):
    make, said, _ = MODELS["tutorial-gpt-separate"]
    model = build_model(checkpoint_of(state_of(make()), None), said)
    output = tmp_path / "model.safetensors"
    bytecap.export(written(model, tmp_path), output)
    with safetensors.safe_open(output, "numpy") as file:
        assert json.loads(file.metadata()["config"])["hidden_act"] == "relu"
    own = tmp_path / "own.toml"
    own.write_text('hidden_act = "gelu"\n')
    again = bytecap.load(output, architecture=own)
    assert again.told["hidden_act"] == "architecture" and again.told["norm_first"] == "'config' in the file"


NANOCHATS = {
    "newest": (NaiveNanochat(), {}),
    "older": (
        NaiveNanochat(newest=False, base=10_000.0, factor=1.0, pattern="L"),
        {"rope_theta": 10_000.0, "query_key_factor": 1.0},
    ),
}
FORK = {"rope_backward": False, "logit_softcap": 0.0, "embedding_norm": False}


@pytest.mark.parametrize("more", [{}, FORK])
@pytest.mark.parametrize("name", NANOCHATS)
def test_an_export_of_a_nanochat_is_the_same_program(name, more, tmp_path):
    naive, said = NANOCHATS[name]
    model = build_model(checkpoint_of(naive.state(), naive.config()), {**said, **more})
    assert_comes_back(model, tmp_path)


def test_an_export_of_a_llama_without_a_configuration_is_the_same_program(tmp_path):
    naive = Llama()
    said = {"family": "llama", "num_attention_heads": naive.heads, "rope_theta": 123.0, "rms_norm_eps": 1e-5}
    model = build_model(checkpoint_of(naive.state(0), None), {**said, "hidden_act": "silu"})
    assert_comes_back(model, tmp_path)


@pytest.mark.parametrize("name", ["mamba", "mamba2-all-biases"])
@pytest.mark.parametrize("before", [False, True])
def test_an_export_of_a_mamba_without_a_configuration_is_the_same_program(name, before, tmp_path):
    golden = golden_logits(name)
    said = {"layer_norm_epsilon": 1e-3, "hidden_act": "gelu", "n_groups": 1, "norm_before_gate": before}
    assert_comes_back(build_model(checkpoint_of(golden.state(), None), said), tmp_path)


def assert_comes_back(model, folder):
    artifact, output = written(model, folder), folder / "model.safetensors"
    bytecap.export(artifact, output)
    again = bytecap.load(output)
    assert again.program == bytecap.load(artifact).program and not again.assumed
