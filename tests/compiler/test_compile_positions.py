"""The whole compile of a model with a table of positions and rotations by frequencies, which no table
of tokens stands in for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import bare_model, random_sequences

from bytecap.compiler import inputs
from bytecap.compiler.model.model import Model
from bytecap.compiler.pipeline import CompileResult, compile_checkpoint
from bytecap.errors import DataError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.program import Program
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

VOCABULARY, WIDTH, LENGTH, ROWS, CAP = 40, 32, 16, 24, 9_000
TABLE, POSITIONS, QUERIES, KEYS, VALUES, OUT, UP, DOWN, GAIN, FREQUENCIES = range(10)


def position_model() -> Model:
    """One block as GPT-2's, its head tied, with queries and keys turned as well."""
    turn = (2, 16, 1.0, Row(FREQUENCIES), 1.1, op.RopeLayout.HALF_SPLIT, op.RotationDirection.FORWARD)
    instructions = (
        op.Embed(TABLE),
        op.PositionEmbed(POSITIONS, 2),
        op.Add(0, 1),
        op.LayerNorm(2, 1e-5, Row(GAIN)),
        op.Linear(3, QUERIES),
        op.Linear(3, KEYS),
        op.Linear(3, VALUES),
        op.Rotate(4, *turn),
        op.Rotate(5, *turn),
        op.Attention(7, 8, 6, 2, 2, 0.25),
        op.Linear(9, OUT),
        op.Add(2, 10),
        op.Linear(11, UP),
        op.Activation(12, op.ActivationKind.GELU_TANH),
        op.Linear(13, DOWN),
        op.Add(11, 14),
        op.Linear(15, TABLE),
    )
    random = np.random.default_rng(0)
    shapes = [(VOCABULARY, WIDTH), (ROWS, WIDTH), *[(WIDTH, WIDTH)] * 4, (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH)]
    arrays = [random.standard_normal(shape) / shape[1] ** 0.5 for shape in shapes]
    arrays += [random.uniform(0.8, 1.2, WIDTH), 100.0 ** (-np.arange(8) / 8)]
    return bare_model(Program(instructions, VOCABULARY, LENGTH, 0), *arrays)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> CompileResult:
    folder = tmp_path_factory.mktemp("positions")
    write_shard(folder / "calibration.bin", random_sequences(VOCABULARY, 60, LENGTH).ravel())
    (folder / "quick.toml").write_text(
        "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[distil]\nsteps = 0\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "read_checkpoint", lambda *_: None)
        patch.setattr(inputs, "build_model", lambda *_: position_model())
        return compile_checkpoint(
            Path("model.pt"), cap=CAP, calibration=folder / "calibration.bin", recipe=folder / "quick.toml", threads=1
        )


def test_it_lands_on_the_cap(compiled: CompileResult) -> None:
    assert 0.97 * CAP < compiled.ledger.total_bytes <= CAP


def test_the_position_table_is_stored_as_finely_as_the_others(compiled: CompileResult) -> None:
    """Its rows beyond the sequence length, too; those before the offset, which nothing reads, are not."""
    decoded, model = decode_tensors(read_artifact(compiled.artifact)), position_model()

    def error(index: int, rows: slice = slice(None)) -> float:
        wanted = model.tensors[index].values[rows]
        return float(np.sqrt(np.mean((decoded[index][rows] - wanted) ** 2) / np.mean(wanted**2)))

    read = error(POSITIONS, slice(2, LENGTH + 2))
    assert error(FREQUENCIES) < 0.01
    assert read < 1.5 * error(TABLE)
    assert error(POSITIONS, slice(LENGTH + 2, ROWS)) < 1.5 * error(TABLE)
    assert error(POSITIONS, slice(2)) > 3 * read


def test_the_artifact_runs_as_far_as_its_positions_go(compiled: CompileResult) -> None:
    artifact = read_artifact(compiled.artifact)
    interpreter = Interpreter(artifact.program, decode_tensors(artifact))
    assert np.isfinite(interpreter.logits(np.zeros((1, ROWS - 2), int))).all()
    with pytest.raises(DataError, match="23 tokens is beyond the model's table of 22 positions"):
        interpreter.logits(np.zeros((1, ROWS - 1), int))
