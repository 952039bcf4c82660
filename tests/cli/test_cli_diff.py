"""`bytecap diff`: what it prints, what its document holds, and its exit status."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import bytecap_command
from tiny_artifacts import tiny_artifact

from bytecap.compiler.recipe import read_recipe
from bytecap.format import comparison, inspection
from bytecap.format.artifact import decode_contents
from bytecap.format.assembly import assemble_artifact
from bytecap.format.program.operations import Embed, Linear
from bytecap.format.program.program import Program
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues


@pytest.fixture
def pair(tmp_path):
    """Two artifacts of one program with other weights."""
    paths = tmp_path / "first.bcap", tmp_path / "second.bcap"
    for seed, path in enumerate(paths):
        path.write_bytes(tiny_artifact(seed))
    return paths


def test_equal_files_end_with_zero(pair):
    outcome = bytecap_command("diff", pair[0], pair[0])
    assert outcome.code == 0 and outcome.stdout.splitlines()[0] == "the same file"


def test_other_weights_are_listed_with_bytes_bits_and_error(pair):
    outcome = bytecap_command("diff", *pair)
    lines = outcome.stdout.splitlines()
    assert outcome.code == 1 and lines[0].startswith("another model in ")
    assert [line.split()[0] for line in lines if line.startswith(("embedding", "head", "total"))] == [
        "embedding",
        "head",
        "total",
    ]
    document = bytecap_command("diff", *pair, "--json").document
    assert (document["same_file"], document["same_model"], document["program"]) == (False, False, [])
    changes = [tensor["bytes"][1] - tensor["bytes"][0] for tensor in document["tensors"]]
    total = next(line for line in lines if line.startswith("total"))
    assert total.split()[1] == (f"{sum(changes):+,}")
    assert document["scores"] is None and document["gap"] is None


def test_with_data_both_are_scored(pair, small_job):
    arguments = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 2000]
    document = bytecap_command("diff", *pair, *arguments, "--json").document
    scores = [bytecap_command("eval", path, *arguments, "--json").document["score"] for path in pair]
    assert [s["bits_per_byte"] for s in document["scores"]] == [s["bits_per_byte"] for s in scores]
    expected = 1000 * (scores[1]["bits_per_byte"] - scores[0]["bits_per_byte"])
    assert document["gap"]["mbpb"] == pytest.approx(expected)
    least, most = document["gap"]["interval_mbpb"]
    assert most - least == pytest.approx(2 * 1.96 * document["gap"]["standard_error_mbpb"])
    assert least < document["gap"]["mbpb"] < most
    assert f"the second less the first; 95 % between {least:+.2f}" in bytecap_command("diff", *pair, *arguments).stdout


def test_each_artifact_is_decoded_once(pair, monkeypatch):
    calls = []
    monkeypatch.setattr(comparison, "decode_contents", lambda artifact: calls.append(1) or decode_contents(artifact))
    monkeypatch.setattr(inspection, "decode_contents", lambda artifact: calls.append(1) or decode_contents(artifact))
    bytecap_command("diff", *pair)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("digests", "lines"),
    [
        ((read_recipe("default").digest, read_recipe("default").digest), []),
        (
            (read_recipe("default", 5).digest, read_recipe("default", 6).digest),
            [
                "default at effort 5 then default at effort 6",
                "[distil] passes: 1.0 then 4.0",
            ],
        ),
        (
            (read_recipe("default").digest, "0123"),
            ["default at effort 5 then a recipe of the user's own or of another version (0123)"],
        ),
    ],
)
def test_what_changed_in_the_recipe(tmp_path, digests, lines):
    paths = [tmp_path / "first.bcap", tmp_path / "second.bcap"]
    table = np.ones((5, 2), np.float32)
    sources = [TensorSource("table", table.shape, "float32", (RawValues(table, "float32"),))]
    for path, digest in zip(paths, digests, strict=True):
        path.write_bytes(
            assemble_artifact(
                Program((Embed(0), Linear(0, 0)), 5, 8, 0), sources, {"recipe": digest, "path": path.name}
            )
        )
    assert bytecap_command("diff", *paths, "--json").document["recipe"] == lines
    text = bytecap_command("diff", *paths).stdout
    assert [line.removeprefix("recipe      ") for line in text.splitlines() if line.startswith("recipe")] == lines


def test_a_damaged_file_is_named(pair):
    pair[1].write_bytes(tiny_artifact()[:100])
    outcome = bytecap_command("diff", *pair)
    assert outcome.code == 4 and outcome.stderr.startswith(f"bytecap: error: {pair[1]}:")


def test_the_program_of_an_artifact(pair):
    lines = bytecap_command("inspect", pair[0], "--program").stdout.splitlines()
    assert lines[1:3] == ["r0[8] = embed table=embedding", "r1[8] = shift r0 by=1 reset_at_document=no"]
    assert bytecap_command("inspect", pair[0], "--program", "--json").document["program"] == lines
    assert bytecap_command("inspect", pair[0], "--program", "--hex").code == 2
