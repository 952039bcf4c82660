"""What nothing tells of a checkpoint is told by text: the refusal says which architecture file predicts it best."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import record_families
from golden_logits import checkpoint_of
from loud_models import GPT, HEADS, LLAMA, VOCABULARY, loud_state
from text_of_models import written_by

import bytecap
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.compiler.frontends.untold import UntoldError
from bytecap.compiler.readings.sample import weights_of
from bytecap.compiler.readings.told_by_text import told_by_text
from bytecap.errors import CheckpointError
from bytecap.runtime.shards import write_shard

ALL = {"gpt": {**GPT, "layer_norm_eps": 1e-5}, "llama": LLAMA}


def _said(message: str) -> dict[str, object]:
    return json.loads(re.search(r"an architecture file that says (\{.*?\})", message)[1])


def _save_gpt(path: Path) -> None:
    state = loud_state("gpt")
    export_checkpoint(list(state), list(state.values()), ["float32"] * len(state), path)


def _written(kind: str, count: int = 64, length: int = 40, **said: object) -> np.ndarray:
    model = build_model(checkpoint_of(loud_state(kind), None), {"num_attention_heads": HEADS, "seq_len": 64, **said})
    return written_by(model.program, weights_of(model), count, length)


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("gpt", {}),
        ("gpt", {"hidden_act": "relu_squared", "norm": "rms_norm"}),
        ("gpt", {"norm_first": False, "norm": "layer_norm"}),
        ("llama", {}),
        ("llama", {"rope_interleaved": True, "norm": "layer_norm", "rope_theta": 500_000.0}),
        ("llama", {"rotary_dims": 0, "hidden_act": "relu_squared"}),
    ],
)
def test_the_answers_with_which_a_model_wrote_the_text_are_found(kind, other):
    meant = {**ALL[kind], **other}
    text = _written(kind, **meant)
    told = told_by_text(checkpoint_of(loud_state(kind), None), {}, lambda program: text, "the text")
    assert told is not None and told.startswith("the text is predicted best, in ")
    found, meant = _said(told), {**meant, "num_attention_heads": HEADS}
    if meant.get("rotary_dims") == 0:
        meant = {name: value for name, value in meant.items() if not name.startswith("rope_")}
    assert {name: found[name] for name in meant if name in found and name != "layer_norm_eps"} == {
        name: value for name, value in meant.items() if name in found and name != "layer_norm_eps"
    }
    assert build_model(checkpoint_of(loud_state(kind), None), found).program.instructions
    assert "; but " not in told


def test_what_a_record_of_parameter_golf_does_is_told_beyond_what_records_did():
    """No merged record of such a model has its a scale in every layer and excludes values in all four."""
    state = record_families.random_state(record_families.family("smear, bigrams, exclusive layers")[0], 3)
    checkpoint = record_families.checkpoint_of(
        {name: values * (4 if values.ndim > 1 else 1) for name, values in state.items()}
    )
    meant = {"rotary_dims": 8, "rope_train_seq_len": 0, "ln_scale": True, "xsa_last_n": 4}
    model = build_model(checkpoint, meant)
    text = written_by(model.program, weights_of(model), 200, 29)
    told = told_by_text(checkpoint, {}, lambda program: text, "t")
    assert _said(told) == {**meant, "rope_train_seq_len": _said(told)["rope_train_seq_len"]}


def test_answers_that_make_no_difference_are_said_to_make_none():
    text = _written("gpt", **ALL["gpt"])
    told = told_by_text(checkpoint_of(loud_state("gpt"), None), {}, lambda program: text, "t")
    assert "whether " in told and "layer_norm_eps 1e-05 or layer_norm_eps 1e-06" in told


def test_text_that_no_answer_makes_sense_of_tells_nothing():
    text = np.random.default_rng(0).integers(0, VOCABULARY, (64, 40))
    assert told_by_text(checkpoint_of(loud_state("gpt"), None), {}, lambda program: text, "t") is None


def test_what_the_caller_said_is_not_asked_again():
    text = _written("llama", **LLAMA)
    known = {**LLAMA, "num_attention_heads": HEADS}
    del known["hidden_act"]
    told = told_by_text(checkpoint_of(loud_state("llama"), None), known, lambda program: text, "t")
    assert _said(told) == {"hidden_act": "silu"}


def test_a_question_without_answers_cannot_be_told():
    with pytest.raises(UntoldError) as caught:
        build_model(checkpoint_of(loud_state("llama"), None), {})
    assert all(caught.value.questions)
    names = {name for question in caught.value.questions for answer in question for name in answer}
    assert {"num_attention_heads", "rotary_dims", "rope_theta", "hidden_act", "norm_first"} <= names


@pytest.mark.parametrize("command", ["compile", "evaluate", "sensitivity"])
def test_commands_that_have_text_say_what_it_tells(tmp_path, command):
    _save_gpt(tmp_path / "model.pt")
    text = _written("gpt", 60, 64, **ALL["gpt"])
    write_shard(tmp_path / "text.bin", text.astype(np.uint16).reshape(-1))
    data = {"data": tmp_path / "text.bin"}
    calibrated = {"calibration": tmp_path / "text.bin"}
    options = {"compile": {"cap": 20_000, **calibrated}, "evaluate": data, "sensitivity": calibrated}
    with pytest.raises(CheckpointError) as caught:
        getattr(bytecap, command)(tmp_path / "model.pt", **options[command])
    assert f"; {tmp_path / 'text.bin'} is predicted best, in " in str(caught.value)
    assert _said(str(caught.value))["num_attention_heads"] == HEADS


def test_a_text_that_cannot_be_read_leaves_the_question_as_it_is(tmp_path):
    _save_gpt(tmp_path / "model.pt")
    write_shard(tmp_path / "text.bin", np.full(5000, VOCABULARY, np.uint16))  # ids that the model has not
    with pytest.raises(CheckpointError, match="nothing tells num_attention_heads") as caught:
        bytecap.forecast(tmp_path / "model.pt", cap=20_000, calibration=tmp_path / "text.bin")
    assert "predicted best" not in str(caught.value)


def test_a_checkpoint_read_as_another_model_is_said_by_every_command(tmp_path):
    _save_gpt(tmp_path / "model.pt")
    write_shard(tmp_path / "text.bin", _written("gpt", 60, 64, **ALL["gpt"]).astype(np.uint16).reshape(-1))
    wrong = {**ALL["gpt"], "num_attention_heads": HEADS, "norm": "rms_norm"}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    how = {"architecture": tmp_path / "wrong.json"}
    text = tmp_path / "text.bin"
    notes = {
        "forecast": bytecap.forecast(tmp_path / "model.pt", cap=40_000, calibration=text, **how).notes,
        "evaluate": bytecap.evaluate(tmp_path / "model.pt", data=text, **how).text.notes,
        "diagnose": bytecap.diagnose(tmp_path / "model.pt", data=text, **how).notes,
    }
    said = "the checkpoint predicts text better with LayerNorm instead of RMSNorm, in "
    assert {command: sum(note.startswith(said) for note in found) for command, found in notes.items()} == dict.fromkeys(
        notes, 1
    )
