"""`bytecap diff`: what it prints, what its document holds, and its exit status."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import bytecap_command
from tiny_artifacts import tiny_artifact

from bytecap.compiler.recipe import read_recipe
from bytecap.files.intervals import standard_errors
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
    rows = ["embedding", "head", "what", "total"]
    assert [line.split()[0] for line in lines if line.startswith(tuple(rows))] == rows
    document = bytecap_command("diff", *pair, "--json").document
    assert (document["same_file"], document["same_model"], document["program"]) == (False, False, [])
    changes = [tensor["bytes"][1] - tensor["bytes"][0] for tensor in document["tensors"]]
    together = document["shared_bytes"][1] - document["shared_bytes"][0]
    shared, total = (
        next(line for line in lines if line.startswith(name)) for name in ("what serves them all", "total")
    )
    assert shared.split()[4] == (f"{together:+,}" if together else "0")
    between = document["second"]["bytes"] - document["first"]["bytes"]
    assert sum(changes) + together == between and total.split()[1] == f"{between:+,}"
    assert document["scores"] is None and document["gap"] is None


def test_with_data_both_are_scored(pair, small_job):
    arguments = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 2000]
    document = bytecap_command("diff", *pair, *arguments, "--json").document
    scores = [bytecap_command("eval", path, *arguments, "--json").document["score"] for path in pair]
    assert [s["bits_per_byte"] for s in document["scores"]] == [s["bits_per_byte"] for s in scores]
    expected = 1000 * (scores[1]["bits_per_byte"] - scores[0]["bits_per_byte"])
    assert document["gap"]["mbpb"] == pytest.approx(expected)
    least, most = document["gap"]["interval_mbpb"]
    assert most - least == pytest.approx(2 * standard_errors(101) * document["gap"]["standard_error_mbpb"])
    assert least < document["gap"]["mbpb"] < most
    assert f"the second less the first; 95 % between {least:+.2f}" in bytecap_command("diff", *pair, *arguments).stdout


def test_a_total_is_what_lies_between_the_files(tmp_path):
    """Also where nothing of the tensors is in it: the provenance of the second is longer."""
    paths = tmp_path / "first.bcap", tmp_path / "second.bcap"
    for path, seed, text in zip(paths, (0, 1), ("", "".join(map(chr, range(33, 120)))), strict=True):
        path.write_bytes(of_one_table(np.random.default_rng(seed).normal(size=(5, 2)), {"text": text}))
    between = len(paths[1].read_bytes()) - len(paths[0].read_bytes())
    lines = bytecap_command("diff", *paths).stdout.splitlines()
    assert between > 40 and lines[0] == f"another model in {between} bytes more"
    assert next(line for line in lines if line.startswith("total")).split() == ["total", f"+{between}"]
    page = tmp_path / "page.html"
    bytecap_command("diff", *paths, "--html", page)
    foot = page.read_text().split("what serves them all")[-1]
    assert f"+{between}" in foot[foot.index(">total<") :]


def of_one_table(table: np.ndarray, provenance: dict[str, object], length: int = 8) -> bytes:
    """An artifact of a table [5, n] that embeds and makes the logits."""
    sources = [TensorSource("table", table.shape, "float32", (RawValues(table.astype(np.float32), "float32"),))]
    return assemble_artifact(Program((Embed(0), Linear(0, 0)), 5, length, 0), sources, provenance)


def test_units_in_another_order_are_said_to_be_no_damage(tmp_path):
    paths, table = [tmp_path / "first.bcap", tmp_path / "second.bcap"], np.diag([5.0, 4.0, 3.0, 2.0, 1.0])
    for path, rows in zip(paths, (table, table[::-1]), strict=True):
        path.write_bytes(of_one_table(rows, {}))
    outcome, document = bytecap_command("diff", *paths), bytecap_command("diff", *paths, "--json").document
    assert document["tensors"][0]["relative_error"] > 1 and "another order" in document["notes"][0]
    assert "note: 1 of the relative errors is above 1; that may be another order" in outcome.stderr
    paths[1].write_bytes(of_one_table(table * 1.5, {}))
    assert bytecap_command("diff", *paths, "--json").document["notes"] == []


def test_models_of_two_lengths_are_scored_alike_in_either_order(tmp_path, small_job):
    paths = tmp_path / "short.bcap", tmp_path / "long.bcap"
    for seed, (path, length) in enumerate(zip(paths, (8, 16), strict=True)):
        path.write_bytes(tiny_artifact(seed, sequence_length=length))
    arguments = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 512, "--json"]
    there, back = (bytecap_command("diff", *pair, *arguments).document for pair in (paths, paths[::-1]))
    assert there["gap"]["mbpb"] == pytest.approx(-back["gap"]["mbpb"]) != 0
    scores = [[score["bits_per_byte"] for score in found["scores"]] for found in (there, back)]
    assert scores[0] == scores[1][::-1]
    assert {score["sequence_length"] for found in (there, back) for score in found["scores"]} == {8}


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
