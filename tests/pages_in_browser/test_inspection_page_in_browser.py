"""The pages of `inspect --html` in a real browser: what moves, moves, and without scripts all that is said can be read.

Strategy: a script clicks through the page (support/chromium.py says how it is run). `make test-pages` runs this.
"""

from __future__ import annotations

import pytest
from chromium import measured_pages, without_scripts
from html_pages import origin_named
from safetensors.numpy import save_file
from tiny_models import golf_model

from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.report.checkpoint_page import checkpoint_page
from bytecap.report.inspection_page import artifact_page

CLICK_THROUGH = """found => {
  const id = name => document.getElementById(name);
  found.boxes = document.querySelectorAll("#tree div").length;
  document.querySelector("#tree div.group:nth-of-type(2)")?.click();
  found.entered = document.querySelectorAll("#crumbs button").length;
  id("crumbs").firstChild.click();
  found.left = document.querySelectorAll("#crumbs button").length;
  const buttons = document.querySelectorAll("button[data-tensor]"), last = buttons[buttons.length - 1];
  last.click();
  found.shown = [last.textContent, document.querySelector("#detail h3").textContent];
  const table = id("tensors"), column = [...table.tHead.rows[0].cells].findIndex(c => c.textContent === "bytes");
  table.tHead.rows[0].cells[column].firstChild.click();
  found.sorted = [...table.tBodies[0].rows].map(row => Number(row.cells[column].dataset.value));
  id("filter").value = "attention q";
  id("filter").oninput();
  found.filtered = [[...table.tBodies[0].rows].filter(row => !row.hidden).length, id("shown").textContent];
  const choice = document.querySelector("select[data-map]");
  choice.value = "bytes";
  choice.onchange();
  found.map = getComputedStyle(document.querySelector("#map b")).display;
}"""


@pytest.fixture(scope="module")
def pages(small_job, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_file({tensor.name: tensor.values for tensor in golf_model().tensors}, folder / "model.safetensors")
    return {
        "artifact": artifact_page(origin_named("model.bcap"), small_job.artifact.read_bytes()),
        "checkpoint": checkpoint_page(origin_named("model.safetensors"), read_holdings(folder)),
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_moves(pages, tmp_path, dark):
    for place, found in measured_pages(pages, tmp_path, (1280, 400), dark, CLICK_THROUGH).items():
        assert "error" not in found, (place, found["error"])
        assert found["texts"] > 100 and found["boxes"] > 10 and (found["entered"], found["left"]) == (2, 1), place
        assert found["shown"][0] == found["shown"][1]
        ordered = sorted(found["sorted"])
        assert found["sorted"] in (ordered, ordered[::-1])
        shown, text = found["filtered"]
        assert 0 < shown < len(found["sorted"]) and text == f"{shown} of {len(found['sorted'])}"
        assert found["map"] == "none"


def test_a_page_without_scripts_has_its_treemap_and_tables(pages, tmp_path):
    still = {name: without_scripts(page) for name, page in pages.items()}
    for place, found in measured_pages(still, tmp_path, (1280, 400), False).items():
        assert found["overflow"] <= 0 and found["overlaps"] == [] and found["clipped"] == [], place
        assert found["texts"] > 100 and found["drawings"] >= 1, place
