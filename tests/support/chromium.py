"""Pages measured by a real browser: headless Chromium lays them out, and says where every letter came to stand.

Strategy: a script is added to each page that measures it and sends what it found to the page around it, which the
browser then prints. All pages stand in frames of one page, so that one start of the browser serves them all, and a
frame can be narrower than any window. Needs Chromium (`apt-get install chromium`), or another browser of that family
named by BYTECAP_CHROMIUM.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars --virtual-time-budget=20000"
).split()
FRAMES, STARTS = 16, 4  # frames a start of the browser, and starts at most for one frame
DARK = "--blink-settings=preferredColorScheme=0"
MEASURE = """
addEventListener("load", () => setTimeout(() => {
  const found = { width: innerWidth, overflow: document.documentElement.scrollWidth - innerWidth, overlaps: [],
    clipped: [], small: [], faint: [], uncued: [], drawings: 0 };
  const short = text => text.slice(0, 40);
  const clip = (box, element) => {
    let { left, top, right, bottom } = box, hidden = false;
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.overflowX === "visible") continue;
      const r = e.getBoundingClientRect();
      const cut = left < r.left - 1 || right > r.right + 1 || top < r.top - 1 || bottom > r.bottom + 1;
      if (cut && style.overflowX === "hidden" && style.textOverflow !== "ellipsis") hidden = true;
      left = Math.max(left, r.left); top = Math.max(top, r.top);
      right = Math.min(right, r.right); bottom = Math.min(bottom, r.bottom);
    }
    return { left, top, right, bottom, hidden };
  };
  const rgb = text => {
    const n = text.match(/[\\d.]+/g).map(Number), unit = text.startsWith("color") ? 255 : 1;
    return [n[0] * unit, n[1] * unit, n[2] * unit, n.length > 3 ? n[3] : 1];
  };
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c[3] > 0.99) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const boxes = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim(), parent = node.parentElement;
    if (!text || ["SCRIPT", "STYLE", "TITLE", "title", "style", "OPTION"].includes(parent.tagName)) continue;
    if (parent.closest("details:not([open])") && parent.tagName !== "SUMMARY") continue;
    const range = document.createRange(), style = getComputedStyle(parent), svg = parent.closest("svg");
    range.selectNodeContents(node);
    let seen = false;
    for (const r of range.getClientRects()) {
      const box = clip(r, parent);
      if (box.hidden && r.width > 1) found.clipped.push(short(text));
      if (svg && r.width > 1) {
        const s = svg.getBoundingClientRect();
        if (r.left < s.left - 1.5 || r.right > s.right + 1.5 || r.top < s.top - 2 || r.bottom > s.bottom + 3)
          found.clipped.push(short(text));
      }
      if (box.right - box.left > 1 && box.bottom - box.top > 1) { boxes.push([box, text, node]); seen = true; }
    }
    if (!seen) continue;
    const scale = svg && svg.viewBox.baseVal.width ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(style.fontSize) * scale;
    if (size < 11) found.small.push([short(text), Math.round(10 * size) / 10]);
    const inBox = svg && parent.classList.contains("box");
    const ratio = contrast(rgb(svg ? style.fill : style.color).slice(0, 3), behind(svg || parent));
    if (!inBox && ratio < 4.5) found.faint.push([short(text), Math.round(10 * ratio) / 10]);
  }
  const room = node => node.parentElement.closest("td,th,text,li,dd,dt,p,summary,h1,h2,h3,label,button,.tile");
  boxes.sort((a, b) => a[0].top - b[0].top);
  boxes.forEach(([a, one, first], k) => {
    for (let j = k + 1; j < boxes.length && boxes[j][0].top < a.bottom - 3; j++) {
      const [b, two, second] = boxes[j], gap = Math.max(a.left, b.left) - Math.min(a.right, b.right);
      const least = room(first) === room(second) ? -2 : 2;
      if (first !== second && gap < least) found.overlaps.push([short(one), short(two)]);
    }
  });
  found.texts = boxes.length;
  for (const e of document.querySelectorAll(".scroll")) {
    if (e.scrollWidth <= e.clientWidth + 1 || !e.clientWidth) continue;
    const fixed = e.querySelector("tbody td, tbody th");
    if (!getComputedStyle(e).backgroundImage.includes("gradient") || getComputedStyle(fixed).position !== "sticky")
      found.uncued.push(short(e.textContent));
  }
  const estimates = [...document.querySelectorAll("svg.interval")].filter(e => e.getBoundingClientRect().width);
  found.estimates = estimates.length;
  found.bars = estimates.filter(e => e.getBoundingClientRect().right <= innerWidth).length;
  for (const figure of document.querySelectorAll("figure")) {
    const shown = [...figure.querySelectorAll("svg")].filter(e => e.getBoundingClientRect().width);
    if (shown.length) found.drawings += 1;
    if (shown.length > 1) found.overlaps.push(["two layouts", shown[0].textContent.slice(0, 40)]);
  }
  try { (WORK)(found); } catch (error) { found.error = String(error); }
  parent.postMessage(JSON.stringify([location.hash.slice(1), found]), "*");
}, 300));
"""
AROUND = """<!doctype html><body style="margin:0">FRAMES<pre id="found"></pre><script>
const all = {};
addEventListener("message", event => {
  const [name, found] = JSON.parse(event.data);
  all[name] = found;
  document.getElementById("found").textContent = JSON.stringify(all);
});</script></body>"""


def browser() -> str:
    found = os.environ.get("BYTECAP_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no Chromium here; install one (apt-get install chromium) or name it with BYTECAP_CHROMIUM"
    return found


def measured_pages(
    pages: Mapping[str, str], folder: Path, widths: Sequence[int], dark: bool, work: str = "found => {}"
) -> dict[str, Any]:
    """What was found of each page at each width, by "name-width".

    work : a function in the page's own language that is called with what was found so far, to add to it
    """
    script = f"<script>{MEASURE.replace('WORK', work)}</script></body>"
    frames = {}
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page.replace("</body>", script), encoding="utf-8")
        for width in widths:
            place = f'src="{name}.html#{name}-{width}"'
            frames[f"{name}-{width}"] = f'<iframe {place} style="border:0;width:{width}px;height:1000px"></iframe>'
    found: dict[str, Any] = {}
    for _ in range(STARTS):  # a busy machine may print the page before all of its frames have answered
        left = [frame for place, frame in frames.items() if place not in found]
        for k in range(0, len(left), FRAMES):
            found |= _answers("".join(left[k : k + FRAMES]), folder, dark)
    assert found.keys() == frames.keys(), f"no answer of {frames.keys() - found.keys()}"
    return found


def _answers(frames: str, folder: Path, dark: bool) -> dict[str, Any]:
    """What the pages in these frames say of themselves."""
    around = folder / "around.html"
    around.write_text(AROUND.replace("FRAMES", frames), encoding="utf-8")
    command = [browser(), *OPTIONS, *([DARK] if dark else []), f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1500,1100", "--dump-dom", around.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]) or "{}")


def without_scripts(page: str) -> str:
    """A page as a browser shows it that runs no scripts."""
    return re.sub(r"</?noscript>", "", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def framed_drawing(svg: str) -> str:
    """A drawing that is a document of its own, in a page that adds nothing."""
    style = "body { margin: 0 } @media (prefers-color-scheme: dark) { body { background: #14171b } }"
    main = f"<main style='overflow:auto'>{svg}</main>"
    return f"<!doctype html><html><head><style>{style}</style></head><body>{main}</body></html>"
