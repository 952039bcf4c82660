"""`bytecap compile --report`: a page that stands by itself, figures that add up, files that are never half-written."""

from __future__ import annotations

import copy
import html
import json
import re
import shlex
from dataclasses import dataclass

import pytest
from command_line import Outcome, bytecap_command
from html_pages import parsed_page

import bytecap
from bytecap.errors import CapError, OutputError
from bytecap.files.ledger import build_ledger
from bytecap.format.inspection import inspect_artifact
from bytecap.format.tensor_detail import inspect_tensor
from bytecap.report.markup import element, joined
from bytecap.report.page import render_page


@dataclass(frozen=True)
class Reported:
    """A compile with a report: the page, the JSON document, the artifact's bytes."""

    page: str
    outcome: Outcome
    artifact: bytes
    arguments: list

    @property
    def explanation(self):
        return self.outcome.document["report"]["explanation"]


@pytest.fixture(scope="module")
def reported(small_job, tmp_path_factory) -> Reported:
    folder = tmp_path_factory.mktemp("report")
    arguments = small_job.compile_arguments(
        folder / "out.bcap", "--report", folder / "page.html", "--json", "--threads", 2
    )
    outcome = bytecap_command(*arguments)
    return Reported((folder / "page.html").read_text("utf-8"), outcome, (folder / "out.bcap").read_bytes(), arguments)


def test_the_page_is_well_formed_and_stands_by_itself(reported):
    assert reported.outcome.code == 0, reported.outcome.stderr
    assert reported.page.startswith("<!doctype html>\n<html")
    balance = parsed_page(reported.page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", reported.page)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(balance.tags)
    assert not [
        name for _, name, _ in balance.attributes if name in ("src", "href", "xlink:href") or name.startswith("on")
    ]
    assert balance.tags.count("svg") >= 12 and balance.tags.count("h1") == 1
    assert not re.search(r"\b(nan|inf|None)\b", reported.page)


def test_every_table_with_bytes_of_the_file_adds_up_to_it(reported):
    size = len(reported.artifact)
    tables = [t for t in parsed_page(reported.page).tables if t[-1][0] == "file"]
    assert len(tables) == 5  # role, layer, tensor, section, stream
    for rows in tables:
        column = rows[0].index("bytes")
        amounts = [int(row[column].replace(",", "")) for row in rows[1:]]
        assert sum(amounts[:-1]) == amounts[-1] == size


def test_the_byte_shares_are_those_of_the_inspection(reported):
    shares, found = reported.explanation["bytes"], inspect_artifact(reported.artifact)
    assert [(t["name"], t["bytes"]) for t in shares["tensors"]] == [(row.name, row.bytes) for row in found.tensors]
    shared = sum(row["bytes"] for row in shares["shared"])
    for title in ("tensors", "roles", "layers"):
        assert sum(row["bytes"] for row in shares[title]) + shared == shares["file"] == len(reported.artifact)
    for title in ("streams", "sections"):
        assert sum(row["bytes"] for row in shares[title]) == len(reported.artifact)
    roles = {row["role"]: row["tensors"] for row in shares["roles"]}
    assert roles["blocks.*.mlp.fc.weight"] == 2 and roles["tok_emb.weight"] == 1
    assert [row["layer"] for row in shares["layers"]] == [None, 0, 1]


def test_the_verdict_comes_first(reported):
    report, ledger = reported.outcome.document["report"], reported.outcome.document["ledger"]
    headline = re.search(r'<p class="lede">(.*?)</p>', reported.page)[1]
    assert "<h1>out.bcap</h1>" in reported.page
    assert headline.startswith(
        f"{ledger['total_bytes']:,} bytes of {ledger['cap']:,}, {report['bits_per_weight']:.2f} bits a weight, KL "
    )
    assert reported.outcome.document["sha256"] in reported.page


def test_the_curve_is_the_first_picture_and_names_what_matters(reported):
    """Then the treemap and the map of layers by roles; points that were measured stand beside predictions."""
    titles = re.findall(r"<h[23]>(.*?)</h[23]>", reported.page)
    assert titles[0] == "Rate and distortion"
    order = [titles.index(each) for each in ("Where the bytes went", "Layers by roles, bits a weight", "By role")]
    assert order == sorted(order)
    curve = reported.page[reported.page.index("<h2>Rate") : reported.page.index("<h2>Where")]
    names = re.findall(r'class="name">(.*?)</text>', curve)
    assert any("this artifact" in name for name in names) and any("measured" in name for name in names)
    measured = next(float(name.split()[0].replace(",", "")) for name in names if name.endswith(" measured"))
    assert measured == pytest.approx(1000 * reported.explanation["swaps"]["whole"]["measured"], rel=0.05)
    assert sum("% bytes" in name for name in names) >= 4 and ">cap</text>" in curve
    costs = reported.page[reported.page.index("<h2>What each tensor") : reported.page.index("<h2>Distance")]
    costliest = max(reported.explanation["swaps"]["tensors"], key=lambda row: row["measured"])
    assert f'class="name">{costliest["name"]}</text>' in costs


def test_model_date_and_command_stand_on_top(reported, small_job):
    top = reported.page[: reported.page.index("<h2>")]
    assert str(small_job.checkpoint) in top and reported.explanation["reproduce"]["date"] in top
    assert "<title>out.bcap: bytecap compile report</title>" in top
    command = html.unescape(re.sub("<.*?>", "", re.search(r'<code class="command">(.*?)</code>', top)[1]))
    assert shlex.split(command) == shlex.split(reported.explanation["reproduce"]["command"].replace("\\\n", ""))


def test_the_map_has_every_byte_of_every_tensor(reported):
    found = inspect_artifact(reported.artifact)
    cells = sum(int(text.replace(",", "")) for text in re.findall(r"<i>([\d,]+)</i>", reported.page))
    assert cells == sum(row.bytes for row in found.tensors)


def test_losses_compare_and_rates_keep_their_distance(reported):
    explanation = reported.explanation
    swaps = explanation["swaps"]
    assert all(0.5 < swaps[name]["ratio"] < 2 for name in ("sum", "whole", "landed"))
    assert swaps["sum"]["measured"] == pytest.approx(sum(t["measured"] for t in swaps["tensors"]))
    for row in explanation["bounds"]["matrices"]:
        assert row["distance"] == pytest.approx(row["coded"] - row["bound"])
        assert 0 < row["distance"] < 0.6
    stages = explanation["stages"]
    assert stages[-1]["bytes"] == len(reported.artifact) and stages[-1]["divergence"] == swaps["whole"]["measured"]
    chosen = explanation["chosen"]
    hits = [
        p
        for p in explanation["rate_distortion"]
        if (p["bytes"], p["byte_price"]) == (chosen["bytes"], chosen["byte_price"])
    ]
    assert hits and hits[-1]["predicted_loss"] == pytest.approx(reported.outcome.document["report"]["predicted_loss"])
    assert swaps["landed"]["predicted"] == pytest.approx(reported.outcome.document["report"]["predicted_loss"])
    sizes = [p["bytes"] for p in explanation["rate_distortion"][-4:]]  # quick trials at half to twice the price
    assert (
        sizes == sorted(sizes, reverse=True) and sizes[0] > 1.1 * chosen["bytes"] and sizes[-1] < 0.9 * chosen["bytes"]
    )
    assert len(explanation["rate_distortion"]) > len(reported.outcome.document["report"]["trials"])


def test_entropies_are_those_of_the_integers(reported):
    for row in reported.explanation["entropies"]:
        detail = inspect_tensor(reported.artifact, row["name"])
        assert row["integers"] == pytest.approx(detail.grids[0].entropy_bits)
        assert row["coded"] == detail.row.bits_per_weight
        assert row["integers"] - 1 - 1e-9 <= row["entropy"] <= row["integers"]


def test_the_artifact_is_the_same_with_a_report(reported, small_job):
    assert reported.artifact == small_job.artifact.read_bytes()


def quick_options(small_job, folder) -> dict:
    """Without drift correction and on little text, which leaves some to hold out."""
    recipe = folder / "quick.toml"
    recipe.write_text(
        "[correct-drift]\nenabled = false\n\n[calibrate]\ntokens = 512\n\n[land-on-cap]\ntolerance = 0.02\n"
    )
    return {"calibration": small_job.calibration, "architecture": small_job.architecture, "recipe": recipe}


def test_the_figures_do_not_depend_on_the_threads(small_job, tmp_path):
    explanations = []
    for threads in (1, 3):
        options = quick_options(small_job, tmp_path) | {
            "cap": 15_000,
            "report": tmp_path / f"{threads}.html",
            "threads": threads,
        }
        result = bytecap.compile(small_job.checkpoint, **options)
        explanations.append({**result.report["explanation"], "reproduce": None})
        assert json.loads(json.dumps(explanations[-1], allow_nan=False)) == explanations[-1]
    assert explanations[0] == explanations[1]
    assert explanations[0]["swaps"]["held_out"] is True and explanations[0]["swaps"]["tokens"] == 3712 // 32 // 8 * 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.html", "3.html", "quick.toml"]


def test_the_command_on_the_page_makes_the_artifact_again(reported, small_job):
    command = reported.explanation["reproduce"]["command"]
    options = [str(part) for part in small_job.compile_options()]
    words = shlex.split(command)
    assert (
        words[:3] == ["bytecap", "compile", str(small_job.checkpoint)]
        and set(options) <= set(words)
        and "--dry-run" not in words
    )
    assert reported.outcome.document["report"]["recipe"].splitlines()[0] in reported.page


def test_an_existing_report_is_refused_before_the_work_and_replaced_with_force(reported, small_job, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("precious")
    stages = []
    options = {"cap": 18_000, "calibration": small_job.calibration, "report": page}
    with pytest.raises(OutputError, match=r"page\.html exists$"):
        bytecap.compile(small_job.checkpoint, **options, progress=lambda *call: stages.append(call))
    refused = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--report", page))
    assert refused.code == 9 and refused.stderr.startswith(f"bytecap: error: {page} exists; use --force")
    same = bytecap_command(*small_job.compile_arguments(tmp_path / "new", "--report", tmp_path / "new"))
    assert same.code == 9 and "name two files" in same.stderr
    assert stages == [] and {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page.html": "precious"}


def test_names_are_text_never_markup(reported, small_job):
    report = copy.deepcopy(reported.outcome.document["report"])
    hostile = '<script>alert("&")</script>'
    for row in (
        report["explanation"]["swaps"]["tensors"]
        + report["explanation"]["bounds"]["matrices"]
        + report["explanation"]["bytes"]["roles"]
    ):
        row["name" if "name" in row else "role"] = hostile
    page = render_page(report, build_ledger(reported.artifact, (), 18_000), inspect_artifact(reported.artifact))
    assert "script" not in parsed_page(page).tags and "&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;" in page
    assert (
        element("p", "a < b", title='"') == '<p title="&quot;">a &lt; b</p>'
        and joined(["<", element("br")]) == "&lt;<br>"
    )


def test_the_smallest_artifact_is_explained_too(reported, small_job, tmp_path):
    """Every matrix is zero: no trial of the search, no bound, one stage; and the page still adds up."""
    options = quick_options(small_job, tmp_path)
    with pytest.raises(CapError) as caught:
        bytecap.compile(small_job.checkpoint, cap=1, **options)
    smallest = int(re.search(r"smallest possible artifact is (\d+)", str(caught.value))[1])
    result = bytecap.compile(small_job.checkpoint, cap=smallest, report=tmp_path / "page.html", **options)
    explanation = result.report["explanation"]
    json.dumps(explanation, allow_nan=False)
    assert len(result.artifact) == smallest == explanation["stages"][0]["bytes"] and len(explanation["stages"]) == 1
    assert explanation["chosen"]["byte_price"] not in {p["byte_price"] for p in explanation["rate_distortion"]}
    assert {row["bound"] for row in explanation["bounds"]["matrices"]} == {None}
    assert explanation["swaps"]["whole"]["measured"] > 10 * reported.explanation["swaps"]["whole"]["measured"]
    parsed_page((tmp_path / "page.html").read_text("utf-8"))


def test_a_page_without_anything_to_draw(reported):
    """No trial that loses anything, no swap that costs anything, no bound."""
    report = copy.deepcopy(reported.outcome.document["report"])
    explanation = report["explanation"]
    explanation["rate_distortion"], explanation["chosen"] = [], {"bytes": 1, "byte_price": 1e30}
    for row in explanation["swaps"]["tensors"]:
        row.update(predicted=0.0, measured=0.0, ratio=None)
    for row in explanation["bounds"]["matrices"]:
        row.update(bound=None, distance=None)
    explanation["bounds"]["mean"] = {"coded": None, "bound": None, "distance": None}
    page = render_page(report, build_ledger(reported.artifact), inspect_artifact(reported.artifact))
    assert parsed_page(page).tags.count("svg") == 8  # in two layouts: what was measured, treemap, roles, stage


def test_a_prediction_without_support_is_called_none(reported):
    report = copy.deepcopy(reported.outcome.document["report"])
    report["prediction"] |= {"supported": True, "doubts": []}
    ledger, found = build_ledger(reported.artifact, [], None), inspect_artifact(reported.artifact)
    assert "support no prediction" not in render_page(report, ledger, found)
    report["prediction"] |= {"supported": False, "doubts": ["7 calibration tokens are too few"]}
    page = render_page(report, ledger, found)
    assert "the statistics support no prediction" in page
    assert "No predicted loss on this page may be relied on: 7 calibration tokens are too few." in page
    report["prediction"] |= {"supported": True, "doubts": [], "holds": False, "measured_over_predicted": 2.5}
    assert "Measured is 2.50 times the predicted loss: the second-order model" in render_page(report, ledger, found)
