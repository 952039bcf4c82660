"""The pages of `inspect --html` in a real browser: nothing overflows, no text lies on another, and what moves, moves.

Strategy: a script is added to the page that measures it and clicks through it, and sends what it found to the page
around it, which headless Chromium then prints; a frame can be narrower than any window. `make test-pages` runs this; it
needs Chromium (`apt-get install chromium`), or another browser of that family named by BYTECAP_CHROMIUM.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from tiny_models import golf_model

from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.report.checkpoint_page import checkpoint_page
from bytecap.report.inspection_page import artifact_page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars --virtual-time-budget=5000"
).split()
MEASURE = """
addEventListener("load", () => setTimeout(() => {
  const found = { width: innerWidth, overflow: document.documentElement.scrollWidth - innerWidth, overlaps: [] };
  const clip = (box, element) => {
    let { left, top, right, bottom } = box;
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      if (getComputedStyle(e).overflowX === "visible") continue;
      const r = e.getBoundingClientRect();
      left = Math.max(left, r.left); top = Math.max(top, r.top);
      right = Math.min(right, r.right); bottom = Math.min(bottom, r.bottom);
    }
    return { left, top, right, bottom };
  };
  const boxes = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim(), parent = node.parentElement;
    if (!text || ["SCRIPT", "STYLE", "TITLE", "title", "style"].includes(parent.tagName)) continue;
    if (parent.closest("details:not([open])") && parent.tagName !== "SUMMARY") continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects()) {
      const box = clip(r, parent);
      if (box.right - box.left > 1 && box.bottom - box.top > 1) boxes.push([box, text, node]);
    }
  }
  boxes.sort((a, b) => a[0].top - b[0].top);
  boxes.forEach(([a, one, first], k) => {
    for (let j = k + 1; j < boxes.length && boxes[j][0].top < a.bottom - 3; j++) {
      const [b, two, second] = boxes[j];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      if (first !== second && across > 2) found.overlaps.push([one.slice(0, 40), two.slice(0, 40)]);
    }
  });
  found.texts = boxes.length;
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
  parent.postMessage(JSON.stringify(found), "*");
}, 300));
"""
FRAME = """<!doctype html><body style="margin:0"><iframe src="page.html" style="border:0;width:{width}px;height:1000px">
</iframe><script>addEventListener("message", event => {{
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = event.data;
  document.body.append(out);
}});</script></body>"""


def browser() -> str:
    found = os.environ.get("BYTECAP_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no Chromium here; install one (apt-get install chromium) or name it with BYTECAP_CHROMIUM"
    return found


def measured(page: str, folder: Path, width: int, dark: bool) -> dict:
    path = folder / "page.html"
    path.write_text(page.replace("</body>", f"<script>{MEASURE}</script></body>"), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [browser(), *OPTIONS, *theme, f"--user-data-dir={folder / 'profile'}", "--window-size=1500,1100"]
    done = subprocess.run([*command, "--dump-dom", frame.as_uri()], capture_output=True, text=True, check=True)
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))


@pytest.fixture(scope="module")
def pages(small_job, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_file({tensor.name: tensor.values for tensor in golf_model().tensors}, folder / "model.safetensors")
    return {
        "artifact": artifact_page("model.bcap", small_job.artifact.read_bytes()),
        "checkpoint": checkpoint_page(read_holdings(folder)),
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("kind", ["artifact", "checkpoint"])
def test_a_page_is_readable_and_moves(pages, tmp_path, kind, width, dark):
    found = measured(pages[kind], tmp_path, width, dark)
    assert found["width"] == width and found["overflow"] <= 0
    assert found["texts"] > 100 and found["overlaps"] == []
    assert found["boxes"] > 10 and (found["entered"], found["left"]) == (2, 1)
    assert found["shown"][0] == found["shown"][1]
    assert found["sorted"] == sorted(found["sorted"]) or found["sorted"] == sorted(found["sorted"], reverse=True)
    shown, text = found["filtered"]
    assert 0 < shown < len(found["sorted"]) and text == f"{shown} of {len(found['sorted'])}"
    assert found["map"] == "none"
