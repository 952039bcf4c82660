"""What the tensors of a record do not tell: asked for, answered by a preset, a file or the settings of the trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from record_states import Record, random_state

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import as_configuration
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.compiler.frontends.parameter_golf.records import RECORDS, preset_values
from bytecap.errors import CheckpointError
from bytecap.format.program.operations import Rope

BANKED = {"banks", "skip_gates", "lane lambdas"}
LOOP_345 = {"encoder": [0, 1, 2, 3, 4, 5, 3, 4], "decoder": [5, 3, 4, 5, 6, 7, 8, 9, 10]}
LOOP_45 = {"encoder": [0, 1, 2, 3, 4, 5, 4], "decoder": [5, 4, 5, 6, 7, 8, 9, 10]}
DEEP = {"layers": 11, "width": 32, "heads": 2, "kv_heads": 1, "units": 8}  # heads of 16, as wide as records rotate
SETTINGS = {
    "vocab_size": 53,
    "num_layers": 4,
    "model_dim": 32,
    "num_heads": 4,
    "num_kv_heads": 2,
    "mlp_mult": 1.5,
    "rope_base": 500.0,
    "logit_softcap": 12.0,
    "train_seq_len": 96,
    "eval_seq_len": 64,
    "matrix_lr": 0.02,
    "run_id": "a run",
}


def checkpoint_of(record: Record, skip_rows: int | None = None, settings: dict | None = None) -> Checkpoint:
    state: dict[str, torch.Tensor] = random_state(record, 2, skip_rows)
    configuration = None if settings is None else as_configuration(settings, "config.json beside it")
    arrays = {name: values.numpy() for name, values in state.items()}
    return Checkpoint(arrays, dict.fromkeys(arrays, "float32"), Path("model.pt"), configuration=configuration)


ASKED = [
    (Record(parts={"bigram"}), {}, ["xsa_last_n", "3 in 2026-03-20_11L_Eff", "rotary_dims", "ln_scale"]),
    (
        Record(parts={"skip_gates"}, encoder=[0, 1, 2], decoder=[1, 2, 3]),
        {"encoder_layers": [0, 1, 2], "decoder_layers": [1, 2, 3], "xsa_last_n": 4, "rotary_dims": 8, "seq_len": 64},
        ["parallel_residual_start", "-1 in 2026-04-05", "7 in 2026-04-06_SP8192_H", "preset:NAME"],
    ),
    (
        Record(parts={"skip_gates"}, encoder=[0, 1, 2], decoder=[1, 2, 3]),
        {"xsa_last_n": 4, "rotary_dims": 8, "parallel_residual_start": -1},
        ["encoder_layers and decoder_layers"],
    ),
    (Record(parts={"skip_gates", "values"}), {"rotary_dims": 8, "xsa_last_n": 4}, ["encoder_layers", "2026-04-03"]),
    (Record(parts={"ternary"}, table_width=24), {"rotary_dims": 8}, ["bitnet_group_size", "ternary already"]),
    (
        Record(parts=BANKED | {"smear gate", "gate"}, encoder=[0, 1, 2], decoder=[1, 2, 3]),
        {"encoder_layers": [0, 1, 2], "decoder_layers": [1, 2, 3], "rotary_dims": 8},
        ["sparse_attn_gate_scale (0.5 in 2026-04-27_SP8192", "parallel_start_layer (8 in"],
    ),
    (
        Record(parts={"skip_gates", "mlp gate"}),
        {},
        ["no merged record has the parts mlp-gate, skip-gates", "rope_base"],
    ),
]


@pytest.mark.parametrize(("record", "said", "expected"), ASKED)
def test_what_cannot_be_told_is_asked_for(record, said, expected):
    with pytest.raises(CheckpointError, match="architecture: ") as caught:
        build_model(checkpoint_of(record), said)
    for text in ["model.pt", *expected]:
        assert text in str(caught.value)


def test_records_that_agree_are_assumed_and_listed():
    """Eight weights of skips are those of a loop over three layers, and both such records run their late layers side
    by side.
    """
    model = build_model(checkpoint_of(Record(parts={"skip_gates"}, **DEEP, **LOOP_345)))
    assumed = {"parallel_residual_start": 7, "xsa_last_n": 11, "ln_scale": True, "rotary_dims": 16}
    assert assumed.items() <= model.assumed.items()
    assert model.assumed["encoder_layers"] == LOOP_345["encoder"]
    with pytest.raises(CheckpointError, match="parallel_residual_start"):
        build_model(checkpoint_of(Record(parts={"skip_gates"}, **DEEP, **LOOP_45)))


@pytest.mark.parametrize("name", ["2026-04-05", "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence"])
def test_one_word_answers_everything(name):
    record = Record(parts={"skip_gates"}, **DEEP, **LOOP_45)
    model = build_model(checkpoint_of(record), read_architecture(f"preset:{name}"))
    assert model.defaults == () and model.told["xsa_last_n"] == f"preset {name}"
    assert model.architecture["parallel_residual_start"] == (7 if "Hessian" in name else -1)
    assert model.program.sequence_length == 2048
    shorter = build_model(checkpoint_of(record), {"preset": name, "seq_len": 128})
    assert shorter.program.sequence_length == 128 and shorter.told["seq_len"] == "architecture"


def test_a_preset_and_what_differs_from_it():
    record = Record(parts={"skip_gates"}, **DEEP, **LOOP_345)
    model = build_model(checkpoint_of(record), {"preset": "2026-04-05", "loop_start": 3})
    assert model.architecture["encoder_layers"] == LOOP_345["encoder"]  # twice more, as the preset says
    assert model.architecture["parallel_residual_start"] == -1


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ({"rope_train_seq_len": 32}, 32),
        ({"train_seq_len": 48}, 0),  # a script without the rescaling
        ({"rope_train_seq_len": 2048, "train_seq_len": 48}, 48),  # scripts have the former and use the latter
        ({"rope_train_seq_len": 2048, "train_seq_len": 48, "rope_yarn": True}, 48),
        ({"rope_train_seq_len": 2048, "train_seq_len": 48, "rope_yarn": False}, 0),
    ],
)
def test_the_length_beyond_which_the_base_rises(said, length):
    model = build_model(checkpoint_of(Record()), {"eval_seq_len": 96} | said)
    assert model.architecture["rope_train_seq_len"] == length and model.program.sequence_length == 96
    bases = {op.base for op in model.program.instructions if isinstance(op, Rope)}
    assert bases == {np.float32(10_000 * (96 / length) ** (8 / 6) if length else 10_000)}


def test_presets_are_found_by_unambiguous_beginnings():
    assert preset_values("baseline") == {}
    assert preset_values("2026-04-27_Smear") == RECORDS["2026-04-29_SmearGateBOSFix_3Seed_1.06141"].values
    assert preset_values("2026-03-17") == {}
    with pytest.raises(
        CheckpointError, match=r"beginning of several that differ: 2026-04-27_SP8192.*, 2026-04-27_Smear"
    ):
        preset_values("2026-04-27")
    for unknown in ("2026-05", ""):
        with pytest.raises(CheckpointError, match=r"no preset .*there are baseline, 2026-03-17_NaiveBaseline"):
            preset_values(unknown)


def test_settings_of_a_trainer_tell_the_architecture():
    model = build_model(checkpoint_of(Record(), settings=SETTINGS))
    assert model.architecture["rope_base"] == 500 and model.architecture["logit_softcap"] == 12
    assert model.program.sequence_length == 64  # as it is evaluated
    assert model.told["rope_base"] == "config.json beside it" and "rope_base" not in model.defaults
    assert model.notes == ("config.json beside it also says matrix_lr, run_id, nothing of the model",)
    given = build_model(checkpoint_of(Record(), settings=SETTINGS), {"rope_base": 700})
    assert given.architecture["rope_base"] == 700 and given.told["rope_base"] == "architecture"
    environment = {name.upper(): str(value) for name, value in SETTINGS.items()}
    assert build_model(checkpoint_of(Record(), settings=environment)).program == model.program


def test_settings_may_be_given_as_the_architecture():
    model = build_model(checkpoint_of(Record()), SETTINGS)
    assert model.architecture["rope_base"] == 500 and model.told["rope_base"] == "architecture"
    assert model.notes == ("the architecture file also says matrix_lr, run_id, nothing of the model",)
    with pytest.raises(CheckpointError, match="no hyperparameter 'rope_bsae'; did you mean 'rope_base'"):
        build_model(checkpoint_of(Record()), SETTINGS | {"rope_bsae": 3})


def test_settings_of_the_last_records_answer_all():
    record = Record(parts=BANKED | {"smear gate", "gate"}, encoder=[0, 1, 2], decoder=[1, 2, 3])
    settings = SETTINGS | {
        "rope_dims": 4,
        "xsa_last_n": 4,
        "num_loops": 1,
        "loop_start": 1,
        "loop_end": 2,
        "parallel_start_layer": 3,
        "parallel_final_lane": "mlp",
        "sparse_attn_gate_enabled": True,
        "gated_attn_enabled": False,
        "smear_gate_enabled": True,
        "skip_gates_enabled": True,
        "sparse_attn_gate_scale": 0.5,
        "rope_yarn": False,
    }
    model = build_model(checkpoint_of(record, settings=settings))
    assert model.architecture["encoder_layers"] == [0, 1, 2] and model.architecture["parallel_final_lane"] == "mlp"
    assert {"smear_document_reset", "document_attention", "activation"} <= set(model.defaults)  # no setting says them


CONTRADICTIONS = [
    ({"ve_enabled": True}, "ve_enabled is True, but the checkpoint lacks the tensors of value-embedding"),
    ({"SKIP_GATES_ENABLED": "1"}, "skip_gates_enabled is True, but the checkpoint lacks the tensors of skip-gates"),
    ({"trigram_enabled": True}, "trigram_enabled is True, which no merged record uses"),
    ({"fp_storage": "FP4"}, "fp_storage is 'FP4'; it must be FP8 or none"),
    ({"activation_type": "swiglu"}, "activation 'swiglu' is none of"),
    ({"ROPE_BASE": "many"}, "ROPE_BASE is 'many'; it must be a number"),
    ({"recur_layers": "4;5"}, "'4;5' is no list of layer numbers"),
    ({"recur_layers": [9]}, "recur_layers names layer 9 of 4 layers"),
    ({"num_loops": 65_535, "loop_start": 1, "loop_end": 2}, "num_loops is 65535; it must be a whole number"),
    ({"num_loops": 1000, "loop_start": 1, "loop_end": 2}, "has 2,004 steps; at most 1,024 can be"),
    ({"encoder_layers": [0] * 2000, "decoder_layers": [1]}, "has 2,001 steps; at most 1,024 can be"),
    ({"rope_dims": {}}, "rope_dims is {}; it must be a whole number"),
    ({"train_seq_len": [1]}, "the sequence length is [1]; it must be a whole number"),
    ({"num_loops": 1, "loop_start": 3, "loop_end": 2}, "loop_start 3 and loop_end 2 are no range of 4 layers"),
    ({"loop_start": 1, "loop_end": 2}, "loop_start and loop_end go with num_loops"),
    ({"preset": 7}, "preset is 7; it must be a name"),
    ({"preset": "2026-04-05"}, "loop_start 4 and loop_end 5 are no range of 4 layers"),
]


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_what_contradicts_the_tensors_is_one_clear_error(said, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(Record()), said)
    assert message in str(caught.value)


MISFITS = [
    (Record(parts={"values", "skip_gates"}), {"ve_layers": [1]}, "ve_layers has 1 layers, and the checkpoint 2"),
    (Record(parts={"values", "skip_gates"}), {"ve_layers": [1, 9]}, "ve_layers names a layer beyond the 4 blocks"),
    (
        Record(parts={"skip_gates", "lane merge"}),
        {"parallel_start_layer": 4},
        "parallel_start_layer is 4; two lanes begin at a layer between 1 and 3",
    ),
    (Record(parts={"bigram"}, vocabulary=60_000), {}, "bigram hashes of 60,000 tokens overflow in the scripts"),
]


@pytest.mark.parametrize(("record", "said", "message"), MISFITS)
def test_values_that_do_not_fit_the_parts(record, said, message):
    record = replace(record, width=8, heads=2, kv_heads=1, units=4)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(record), {"preset": "baseline"} | said)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("part", "gone", "missing"),
    [
        ("repeat mlp", "repeat_mlp.0.fc.weight", ""),  # the second map alone is its own
        ("repeat mlp", "repeat_mlp.0.proj.weight", "missing: repeat_mlp.0.proj.weight"),
        ("pass mlp", "override_mlps.1_p1.proj.weight", "missing: override_mlps.1_p1.proj.weight"),
    ],
)
def test_mlps_of_later_passes_may_be_tied_in_one_way(part, gone, missing):
    record = Record(parts={"skip_gates", part}, encoder=[0, 1, 2], decoder=[1, 2, 3])
    checkpoint = checkpoint_of(record)
    del checkpoint.tensors[gone]
    said = {"preset": "baseline", "recur_layers": [1, 2]}
    if missing:
        with pytest.raises(CheckpointError, match=missing.replace(".", r"\.")):
            build_model(checkpoint, said)
    else:
        names = [tensor.name for tensor in build_model(checkpoint, said).tensors]
        assert "repeat_mlp.0.proj.weight" in names and gone not in names


def test_tensors_that_a_model_does_not_use_are_no_misfit():
    record = Record()
    checkpoint = checkpoint_of(record)
    checkpoint.tensors["mtp_heads.0.weight"] = checkpoint.tensors["tok_emb.weight"].copy()
    checkpoint.dtypes["mtp_heads.0.weight"] = "float32"
    model = build_model(checkpoint)
    assert model.program == build_model(checkpoint_of(record)).program
    assert model.notes == ("not used by the model: mtp_heads.0.weight",)
    checkpoint.tensors["blocks.0.attn.vr_lambda"] = checkpoint.tensors["blocks.0.attn.q_gain"]
    with pytest.raises(CheckpointError, match=r"unexpected: blocks.0.attn.vr_lambda"):
        build_model(checkpoint)
