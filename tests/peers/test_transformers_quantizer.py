"""What `bytecap export` writes loads by transformers, and computes what the artifact computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_llama import Llama, llama2c_bytes, write_folder
from tiny_models import random_sequences
from transformers import AutoModelForCausalLM

import bytecap
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

FAMILIES = [("llama", False), ("mistral", True), ("qwen2", True), ("llama2.c", True)]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda p: p[0])
def artifact(request, tmp_path_factory):
    """An artifact of a small model of one family."""
    family, tied = request.param
    naive = Llama(family, vocabulary=31, tied=tied, biases=family == "qwen2", interleaved=family == "llama2.c")
    root = tmp_path_factory.mktemp(family)
    if family == "llama2.c":
        (root / "model").write_bytes(llama2c_bytes(naive, naive.state(0)))
    else:
        write_folder(root / "model", naive, naive.state(0))
    write_shard(root / "calibration.bin", random_sequences(naive.vocabulary, 40, 32).ravel())
    bytecap.compile(root / "model", cap="4KB", calibration=root / "calibration.bin", output=root / "model.bcap")
    return root / "model.bcap"


def logits_of(path):
    content = read_artifact(path.read_bytes())
    return Interpreter(content.program, decode_tensors(content)).logits(IDS[None])[0]


IDS = np.arange(20) * 7 % 31


@pytest.mark.parametrize("coded", [False, True])
def test_from_pretrained_computes_what_the_artifact_computes(artifact, tmp_path, coded):
    import bytecap.integrations.transformers  # registers the quantizer

    bytecap.export(artifact, tmp_path / "folder", coded=coded)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    with torch.no_grad():
        found = model(torch.tensor(IDS[None])).logits[0].numpy()
    expected = logits_of(artifact)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_coded_model_can_be_saved_after_dequantize(artifact, tmp_path):
    import bytecap.integrations.transformers  # registers the quantizer

    bytecap.export(artifact, tmp_path / "folder", coded=True)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    with pytest.raises(ValueError, match="not serializable"):
        model.save_pretrained(tmp_path / "saved")
    model.dequantize().save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    for name, values in model.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        ({"artifact": "../model.bcap"}, "is not the name of a file inside the folder"),
        ({"bits": 3}, "has no bits"),
    ],
)
def test_a_configuration_that_is_not_ours_is_refused(configuration, sentence):
    from bytecap.integrations.transformers import BytecapConfig

    with pytest.raises(ValueError, match=sentence):
        BytecapConfig(**configuration)


def test_a_damaged_artifact_is_named(artifact, tmp_path):
    import bytecap.integrations.transformers  # registers the quantizer

    bytecap.export(artifact, tmp_path / "folder", coded=True)
    data = bytearray((tmp_path / "folder" / "model.bcap").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "folder" / "model.bcap").write_bytes(data)
    with pytest.raises(ValueError, match=r"model.bcap: .*R-"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
