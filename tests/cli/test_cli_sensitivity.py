"""`bytecap sensitivity` and `bytecap diagnose`: what they print, write and refuse."""

from __future__ import annotations

import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import bytecap_command
from small_job import ARCHITECTURE
from without_torch import run_without_torch

import bytecap
from bytecap.cli.sensitivity_command import METHODS as LISTED
from bytecap.cli.sensitivity_command import UNITS
from bytecap.lab.measure.sensitivity import METHODS
from bytecap.lab.measure.units import GRANULARITIES

QUICK = ["--tokens", 256, "--slices", 2, "--threads", 1]


def rank(small_job, *more):
    return bytecap_command(
        "sensitivity",
        small_job.checkpoint,
        "--calibration",
        small_job.calibration,
        "--architecture",
        small_job.architecture,
        *QUICK,
        *more,
    )


def test_the_text_is_the_ranking_and_three_lines(small_job):
    outcome = rank(small_job, "--unit", "blocks", "--top", 2)
    document = rank(small_job, "--unit", "blocks", "--json").document
    assert document["checkpoint"]["assumed"]["rope_base"] == 10_000.0 and document["checkpoint"]["notes"] == []
    assert outcome.code == 0
    assert outcome.stderr.startswith("bytecap: note: assumed of the checkpoint: ") and outcome.stderr.count("\n") == 1
    title, table, rest = outcome.stdout.split("\n\n")
    assert title == "3 blocks, each alone quantized to 4 bits, by second-order on 256 tokens"
    assert table.splitlines()[0].split() == [
        "rank",
        "unit",
        "weights",
        "share",
        "second-order",
        "gradient",
        "row-error",
    ]
    total = sum(unit["sensitivities"]["second-order"] for unit in document["units"])
    for place, (line, unit) in enumerate(zip(table.splitlines()[1:], document["units"], strict=False), start=1):
        scores = [f"{unit['sensitivities'][method]:.3g}" for method in METHODS[:3]]
        share = f"{100 * unit['sensitivities']['second-order'] / total:.1f}"
        assert line.split() == [str(place), *unit["name"].split(), f"{unit['weights']:,}", share, "%", *scores]
    assert len(table.splitlines()) == 3
    assert [line.split()[0] for line in rest.splitlines()] == ["losses", "concentration", "stability", "agreement"]
    assert re.search(
        r"over 2 slices: rank correlation -?\d\.\d{3} \(least -?\d\.\d{3}\), overlap of the top 1 \d\.\d{3}", rest
    )


def test_the_choices_are_those_of_the_library():
    assert (UNITS, LISTED) == (GRANULARITIES, METHODS)


@pytest.mark.parametrize("kind", GRANULARITIES)
def test_the_document_has_every_unit_once_in_order(small_job, kind):
    document = rank(small_job, "--unit", kind, "--json").document
    assert (document["schema"], document["command"], document["unit"], document["slices"]) == (
        2,
        "sensitivity",
        kind,
        2,
    )
    scores = [unit["sensitivities"]["second-order"] for unit in document["units"]]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0
    assert len({unit["name"] for unit in document["units"]}) == len(scores)
    for unit in document["units"]:
        assert unit["sensitivities"]["second-order"] == pytest.approx(np.mean(unit["by_slice"]))
    assert [row["top_share"] for row in document["concentration"]] == [0.01, 0.05, 0.1]
    assert document["ranked_units"] == len(scores)
    for row in document["concentration"]:
        count = max(1, math.ceil(row["top_share"] * len(scores) - 1e-9))
        assert row["top_units"] == count
        assert row["sensitivity_share"] == pytest.approx(sum(scores[:count]) / sum(scores))
    assert -1 <= document["stability"]["least_rank_correlation"] <= document["stability"]["mean_rank_correlation"] <= 1


def test_measured_ranks_the_top_and_leaves_the_rest_null(small_job):
    outcome = rank(small_job, "--unit", "tokens", "--by", "measured", "--top", 3, "--bits", 0)
    document = rank(small_job, "--unit", "tokens", "--by", "measured", "--top", 3, "--bits", 0, "--json").document
    assert outcome.stdout.startswith(
        f"3 of 420 tokens, each alone removed, by measured on {document['held_out_tokens']:,} held-out tokens\n"
    )
    measured = [unit["sensitivities"]["measured"] for unit in document["units"]]
    assert measured[:3] == sorted(measured[:3], reverse=True) and measured[3:] == [None] * 417
    assert document["ranked_units"] == 3 and [row["top_units"] for row in document["concentration"]] == [1, 1, 1]
    held = f"{100 * measured[0] / sum(measured[:3]):.1f} %"  # one of three is no 1 % of the tokens
    assert f"concentration  of those measured top 1 of 3 (33.3 %) hold {held} (with 33.3 % of the weights)\n" in (
        outcome.stdout
    )


def test_the_gradient_ranks_by_what_removing_costs_whatever_the_bits(small_job, tmp_path):
    plot = tmp_path / "ranking.svg"
    texts = [rank(small_job, "--by", "gradient", "--bits", bits, "--plot", plot, "--force").stdout for bits in (0, 4)]
    assert texts[0].splitlines()[0] == texts[1].splitlines()[0]
    assert ", each alone removed, by gradient on 256 tokens" in texts[1]
    assert "costs alone, removed, by gradient" in plot.read_text()


def test_row_error_does_not_depend_on_data(small_job):
    outcome = rank(small_job, "--by", "row-error", "--json")
    assert outcome.document["stability"] is None and outcome.document["slices"] == 1
    assert "stability      the ranking does not depend on the data\n" in rank(small_job, "--by", "row-error").stdout


def test_token_names_carry_their_pieces(small_job):
    units = rank(small_job, "--unit", "tokens", "--tokenizer", small_job.tokenizer, "--json").document["units"]
    assert len(units) == ARCHITECTURE["vocab_size"] and all(
        re.fullmatch(r"token \d+ '.*'", unit["name"]) for unit in units
    )
    assert "token 1 '<s>'" in {unit["name"] for unit in units}


def test_rows_of_token_tables_carry_the_pieces_of_their_tokens(small_job):
    """And no other rows: their numbers are no tokens."""
    units = rank(small_job, "--unit", "rows", "--tokenizer", small_job.tokenizer, "--json").document["units"]
    tables = {name: [u["name"] for u in units if u["name"].startswith(f"{name} row ")] for name in ("tok_emb.weight",)}
    assert len(tables["tok_emb.weight"]) == ARCHITECTURE["vocab_size"]
    assert all(re.fullmatch(r"tok_emb\.weight row \d+ '.*'", name) for name in tables["tok_emb.weight"])
    assert "tok_emb.weight row 1 '<s>'" in tables["tok_emb.weight"]
    others = [u["name"] for u in units if not u["name"].startswith("tok_emb.weight")]
    assert others and all(re.fullmatch(r"\S+ row \d+", name) for name in others)


def test_files_are_written_whole_and_not_replaced_without_force(small_job, tmp_path):
    files = ["--output", tmp_path / "ranking.json", "--plot", tmp_path / "ranking.svg"]
    outcome = rank(small_job, *files, "--json")
    assert outcome.code == 0
    assert (tmp_path / "ranking.json").read_text(encoding="utf-8") == outcome.stdout
    assert ElementTree.parse(tmp_path / "ranking.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    again = rank(small_job, *files)
    assert (again.code, again.stdout, again.stderr.count("\n")) == (9, "", 1) and "--force" in again.stderr
    forced = rank(small_job, *files, "--force", "--unit", "blocks")
    assert forced.code == 0 and json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))["unit"] == "blocks"
    assert {path.name for path in tmp_path.iterdir()} == {"ranking.json", "ranking.svg"}


def test_what_is_wrong_is_said_in_one_line(small_job, tmp_path):
    (tmp_path / "short.bin").write_bytes(small_job.calibration.read_bytes()[:100])
    table = {
        ("--slices", 64, "--by", "measured"): (8, "held-out sequences are fewer than 64 slices"),
        ("--calibration", tmp_path / "short.bin"): (8, "short.bin"),
        ("--output", tmp_path / "no" / "ranking.json"): (9, "is not a folder"),
    }
    for arguments, (code, words) in table.items():
        outcome = rank(small_job, *arguments)
        assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (code, "", 1) and words in outcome.stderr


def test_the_python_call_gives_the_same(small_job):
    calls = []
    found = bytecap.sensitivity(
        small_job.checkpoint,
        calibration=small_job.calibration,
        architecture=small_job.architecture,
        unit="heads",
        slices=2,
        tokens=256,
        progress=lambda *call: calls.append(call),
    )
    document = rank(small_job, "--unit", "heads", "--json").document
    assert [found.units[u].name for u in found.order] == [unit["name"] for unit in document["units"]]
    assert found.sensitivities["second-order"][found.order].tolist() == [
        unit["sensitivities"]["second-order"] for unit in document["units"]
    ]
    assert calls[-1][1] == calls[-1][2] and {stage for stage, _, _ in calls} == {"calibrate"}


def test_the_former_name_works_and_says_so(small_job):
    arguments = [small_job.checkpoint, "--calibration", small_job.calibration, "--unit", "blocks", *QUICK]
    architecture = ["--architecture", small_job.architecture]
    former, present = (bytecap_command(name, *arguments, *architecture) for name in ("score", "sensitivity"))
    assert (former.code, former.stdout) == (0, present.stdout)
    assert former.stderr == (
        "bytecap: note: `bytecap score` is now `bytecap sensitivity`; the next version has only the new name\n"
        + present.stderr
    )
    with pytest.warns(DeprecationWarning, match=r"bytecap\.score is now bytecap\.sensitivity"):
        found = bytecap.score(small_job.checkpoint, calibration=small_job.calibration, unit="blocks", tokens=256)
    assert len(found.units) == 3


def test_torch_is_named_when_it_is_missing(small_job):
    arguments = ["sensitivity", small_job.checkpoint, "--calibration", small_job.calibration]
    ((code, stdout, stderr),) = run_without_torch(arguments)
    assert (code, stdout, stderr.count("\n")) == (1, "", 1) and "install" in stderr


def diagnose(small_job, *more):
    arguments = [
        "--data",
        small_job.calibration,
        "--architecture",
        small_job.architecture,
        "--tokens",
        512,
        "--threads",
        1,
    ]
    return bytecap_command("diagnose", small_job.checkpoint, *arguments, *more)


def test_the_diagnosis_as_text_and_as_a_document_are_the_same(small_job):
    outcome, document = diagnose(small_job), diagnose(small_job, "--json").document
    assert document["checkpoint"]["assumed"]["rope_base"] == 10_000.0 and document["checkpoint"]["weights"] == ""
    assert (outcome.code, document["schema"], document["command"]) == (0, 1, "diagnose")
    assert outcome.stderr.startswith("bytecap: note: assumed of the checkpoint: ") and outcome.stderr.count("\n") == 1
    lines = {line[:14].strip(): line[15:] for line in outcome.stdout.splitlines() if line}
    assert list(lines) == [
        "bytes",
        "gradient",
        "head",
        "head matrix",
        "hidden states",
        "softcap",
        "projection",
        "weighted",
        "head bytes",
        "trunk bytes",
        "data",
    ]
    for kind in ("bytes", "gradient"):  # both sides lose far apart, and fresh weights point nowhere
        assert lines[kind].startswith(f"the {document['verdict'][kind]} is the limit: ")
    gradient = document["gradient"]
    assert lines["gradient"].endswith(
        f"the head lets {100 * gradient['projected']:.2f} ± {100 * gradient['projected_error']:.2f} % of its outputs' "
        f"gradient (squared norm) pass, no more than random directions of its rank "
        f"{100 * gradient['random_projected']:.2f} %"
    )
    assert document["verdict"]["gradient"] == "head" and gradient["projected"] < 1.1 * gradient["random_projected"]
    assert lines["head"] == "tok_emb.weight, 420 x 32, tied to the embedding"
    assert document["head_spectrum"]["rank"] == 32 == len(document["head_spectrum"]["singular_values"])
    assert f"rank 32 of 32, effective rank {document['head_spectrum']['effective_rank']:.1f}" in lines["head matrix"]
    sides = {side: document[side] for side in ("head", "trunk")}
    assert {side: values["weights"] for side, values in sides.items()} == {
        "head": 420 * 32,
        "trunk": 2 * (32 * 32 * 2 + 32 * 16 * 2 + 2 * 64 * 32),
    }
    for side, values in sides.items():
        assert values["bytes"] == values["weights"] / 2
        assert (
            f"{values['predicted']:.3g} nats a token predicted, {values['measured']:.3g} measured"
            in lines[f"{side} bytes"]
        )
    costly = max(sides, key=lambda side: sides[side]["predicted"] / sides[side]["bytes"])
    assert document["verdict"]["bytes"] == costly


def test_the_python_diagnosis_gives_the_same(small_job):
    found = bytecap.diagnose(
        small_job.checkpoint, data=small_job.calibration, architecture=small_job.architecture, tokens=512, bits=2
    )
    document = diagnose(small_job, "--bits", 2, "--json").document
    assert document["gradient"]["projected"] == found.gradient.projected
    assert (document["head"]["predicted"], document["trunk"]["measured"]) == (
        found.head.predicted,
        found.trunk.measured,
    )


def test_a_diagnosis_of_bad_data_gets_one_line(small_job, tmp_path):
    (tmp_path / "data.bin").write_bytes(small_job.calibration.read_bytes()[:-2])
    outcome = diagnose(small_job, "--data", tmp_path / "data.bin")
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (8, "", 1) and "data.bin" in outcome.stderr
