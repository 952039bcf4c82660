"""What each number of each command stands on is printed, and stands in the document of --json: one table.

Checkpoints that are read by every command are in test_cli_reading.py; here is what results stand on.
"""

from __future__ import annotations

import functools
import json
import shutil

import numpy as np
import pytest
from command_line import Outcome, bytecap_command
from small_job import ARCHITECTURE

from bytecap.cli.compile_report import print_compile_report
from bytecap.cli.fit_report import print_fit
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.fitted import Fit, FittedArtifact
from bytecap.compiler.result import CompileResult
from bytecap.files.ledger import build_ledger
from bytecap.lab.train.fresh_models import initial_model
from bytecap.runtime.score import Score
from bytecap.runtime.verification import what_is_missing

SCORED = ("--data", "{data}", "--tokenizer", "{tokenizer}", "--max-tokens", 64)
SHORT, ONE = ("--sequence-length", 32), ("--tokens", 1)
CALIBRATED = ("--calibration", "{data}", "--slices", 1, "--tokens", 128)
DIAGNOSED = ("--data", "{data}", "--tokens", 128)
ROUNDED = ("-o", "{out}/x.pt", "--force", "--dtype", "bfloat16")
# Command and arguments, what it stands on, words of the text, and where the document has it (true there).
TABLE = [
    (("eval", "{alone}", *SCORED, *SHORT), "hyperparameters", "assumed of the checkpoint: ", "assumed.rope_base"),
    (("eval", "{checkpoint}", *SCORED), "a file beside it", "architecture.json beside it tells ", "told.seq_len"),
    (("eval", "{artifact}", *SCORED), "sequence length", "windows of 32 tokens", "score.sequence_length"),
    (("eval", "{artifact}", *SCORED), "tokenizer", "(sentencepiece, 420 pieces)", "text.tokenizer.digest"),
    (("eval", "{padded}", *SCORED), "rows without pieces", "10 of the model's 430 rows", "score.rows_without_piece"),
    (("eval", "{padded}", *SCORED), "worse than guessing", "worse than guessing", "score.worse_than_guessing"),
    (("generate", "{alone}", *ONE), "hyperparameters", "assumed of the checkpoint: ", "assumed.rope_base"),
    (("generate", "{padded}", *ONE, *SCORED[2:4]), "rows", "is never drawn", "notes"),
    (("verify", "{artifact}", *SCORED[:4]), "sequence length", "in windows of 32 tokens", "checks.5.sequence_length"),
    (("verify", "{artifact}", *SCORED[:4]), "tokenizer", "identity: ", "checks.4.given"),
    (("verify", "{artifact}"), "whose tokenizer", "no tokenizer was given", "checks.4.stored"),
    (("diff", "{artifact}", "{artifact}", *SCORED), "sequence length", "windows of 32 tokens", "text.tokenizer.source"),
    (("sensitivity", "{alone}", *CALIBRATED), "no measurement", "nothing was measured", "checkpoint.assumed.rope_base"),
    (("sensitivity", "{alone}", *CALIBRATED), "tokens", "second-order on 1,024 tokens", "calibration_tokens"),
    (("diagnose", "{checkpoint}", *DIAGNOSED), "measured", " as measured and ", "head.measured_per_byte"),
    (("diagnose", "{checkpoint}", *DIAGNOSED), "chance", "random directions", "gradient.random_projected"),
    (("export", "{artifact}", *ROUNDED), "rounding", "weights were rounded", "rounding.changed"),
]
IDS = [f"{arguments[0]}: {assumed}" for arguments, assumed, *_ in TABLE]


@pytest.fixture(scope="module")
def places(small_job, tmp_path_factory) -> dict:
    """The small job's files; `alone` has no file beside it, `padded` ten rows that the tokenizer has no piece for."""
    out = tmp_path_factory.mktemp("standing")
    for name in ("alone", "padded"):
        (out / name).mkdir()
    alone, padded = out / "alone" / "model.pt", out / "padded" / "model.pt"
    shutil.copy(small_job.checkpoint, alone)
    model = initial_model(ARCHITECTURE | {"vocab_size": 430}, seed=1)
    arrays = [tensor.values * 40 for tensor in model.tensors]
    export_checkpoint([t.name for t in model.tensors], arrays, [t.dtype for t in model.tensors], padded)
    (out / "padded" / "architecture.json").write_text(json.dumps(ARCHITECTURE | {"vocab_size": 430}))
    names = ("checkpoint", "artifact", "data", "tokenizer", "architecture")
    return {name: getattr(small_job, name) for name in names} | {"alone": alone, "padded": padded, "out": out}


def at(document, path: str):
    """The value at a path of names and numbers."""
    for name in path.split("."):
        document = document[int(name)] if name.isdigit() else document[name]
    return document


@pytest.fixture(scope="module")
def answer():
    """The command's outcome; rows of one command share it."""

    @functools.cache
    def run(*arguments: str) -> Outcome:
        return bytecap_command(*arguments)

    return run


@pytest.mark.parametrize(("arguments", "assumed", "words", "path"), TABLE, ids=IDS)
def test_what_it_stands_on_is_said(places, answer, arguments, assumed, words, path):
    given = [str(argument).format(**places) for argument in arguments]
    text = answer(*given)
    assert text.code == 0, text.stderr
    assert words in " ".join((text.stdout + text.stderr).split()), assumed
    assert at(answer(*given, "--json").document, path), assumed


def test_compile_says_what_was_measured_before_what_was_predicted(small_job, capsys):
    document, artifact = small_job.compiled.document, small_job.artifact.read_bytes()
    report = document["report"]
    result = CompileResult(artifact, build_ledger(artifact, [], None), report, document["provenance"])
    print_compile_report(result, small_job.artifact)
    text = " ".join(capsys.readouterr().out.split())
    said = ("from defaults rope_base", "calibration ", "nats a token (", " bits per byte) of divergence", "times that")
    for words in said:
        assert words in text, words
    assert text.index("measured ") < text.index("predicted ")
    assert report["measured_bits_per_byte"] > 0 and report["prediction"]["measured_over_predicted"] > 0
    unmeasured = {**report, "measured_loss": None, "measured_bits_per_byte": None, "held_out_tokens": 0}
    doubts = {
        **report["prediction"],
        "supported": False,
        "doubts": ["too little text"],
        "measured_over_predicted": None,
    }
    print_compile_report(CompileResult(artifact, result.ledger, unmeasured | {"prediction": doubts}, {}), None)
    text = " ".join(capsys.readouterr().out.split())
    assert "predicted nothing: too little text" in text and f"{report['predicted_loss']:.3g} nats" not in text


def test_fit_says_that_nothing_was_measured(capsys):
    doubt = {"notes": ["no prediction: x"], "predicted_loss": 0.1, "sha256": "0"}
    one = FittedArtifact("seed.pt", 1000, "seed.bcap", "0" * 64, **doubt)
    print_fit(Fit((one,)))
    printed = capsys.readouterr()
    assert "predicted, with nothing measured: nats a token" in printed.out and "no prediction: x" in printed.err


def test_verify_says_what_a_score_leaves_out():
    score = Score(100, 300, 7, 32, 32, 1.0, np.ones(1), np.ones(1), None, 0, 3, 430, 10, 0.25)
    text = what_is_missing(score)
    assert "windows of 32 tokens" in text and "3 tokens left out" in text
    assert "7 tokens are the unknown piece" in text and "10 rows without a piece get 25 %" in text
