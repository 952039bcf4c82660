"""Draw the two figures of docs/: `python docs/make_figures.py`.

Strategy: plain SVG from text, with the colours as style classes, so that one file is legible on a light and on a dark
page. `pipeline.svg` is laid out by hand as a table of boxes; `sizes.svg` is drawn from
benchmarks/results/prose-sizes.json. A test compares both files with what this script would write.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "benchmarks" / "results" / "prose-sizes.json"

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .back { fill: #ffffff; } .small { font-size: 13px; fill: #57606a; } .name { font-size: 15px; font-weight: 600; }
  .head { font-size: 13px; font-weight: 600; fill: #57606a; }
  .box { fill: #f6f8fa; stroke: #8c959f; } .file { fill: #ddf4ff; stroke: #0969da; }
  .arrow { stroke: #57606a; stroke-width: 1.5; fill: none; } .tip { fill: #57606a; }
  .room { fill: none; stroke: #8c959f; stroke-dasharray: 4 4; }
  .grid { stroke: #d0d7de; } .axis { stroke: #57606a; }
  .bytecap { stroke: #0969da; fill: #0969da; } .tuned { stroke: #bc4c00; fill: #bc4c00; }
  .published { stroke: #cf222e; fill: #cf222e; } .nncodec { stroke: #8250df; fill: #8250df; }
  .exl3 { stroke: #1b7c83; fill: #1b7c83; }
  .ggml { stroke: #116329; fill: #116329; }
  .line { fill: none; stroke-width: 2.5; } .label { stroke: none; font-size: 14px; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .back { fill: #0d1117; } .small, .head { fill: #9198a1; }
    .box { fill: #161b22; stroke: #6e7681; } .file { fill: #0c2d6b; stroke: #58a6ff; }
    .arrow, .axis { stroke: #9198a1; } .tip { fill: #9198a1; } .grid { stroke: #30363d; }
    .bytecap { stroke: #58a6ff; fill: #58a6ff; } .tuned { stroke: #f0883e; fill: #f0883e; }
    .published { stroke: #ff7b72; fill: #ff7b72; } .nncodec { stroke: #d2a8ff; fill: #d2a8ff; }
    .exl3 { stroke: #39c5cf; fill: #39c5cf; }
    .ggml { stroke: #56d364; fill: #56d364; } .line { fill: none; } .label { stroke: none; }
  }
"""


def svg(width: int, height: int, title: str, body: list[str]) -> str:
    """A whole SVG file with its own background."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="back" width="{width}" height="{height}"/>',
            *body,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, content: str, style: str = "small", anchor: str = "middle") -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'


BOX_WIDTH, BOX_HEIGHT = 212, 76
STAGES = (  # column, row, kind of box, name, two lines of explanation
    (0, 0, "file", "checkpoint", "float weights", "a state_dict"),
    (1, 0, "box", "frontend", "names and shapes become", "a program and tensors"),
    (2, 0, "box", "statistics", "calibration text gives Hessian", "proxies, Fisher information"),
    (3, 0, "box", "rewrites", "same function, in an order", "that costs fewer bytes"),
    (3, 1, "box", "quantize", "steps by byte price, GPTQ", "feedback, trellis: integers"),
    (2, 1, "box", "correct and distil", "next layers make up for the", "error of those before"),
    (1, 1, "box", "encode", "an adaptive entropy coder", "turns integers into bytes"),
    (0, 1, "file", "artifact", "program, tensors, digest", "one file under the cap"),
    (0, 2, "box", "reader", "checks every rule of the", "format, executes nothing"),
    (1, 2, "box", "decode", "integers x steps give the", "tensors, bit for bit"),
    (2, 2, "box", "interpreter", "runs the program", "on evaluation text"),
    (3, 2, "file", "score", "bits per byte", "and bytes on disk"),
)
ROWS = ("compile: what the model is", "compile: how it becomes bytes", "verify: without the compiler")


def _corner(column: int, row: int) -> tuple[int, int]:
    return 24 + column * 252, 52 + row * 160


def pipeline() -> str:
    """The way from a checkpoint to a score, as boxes in three rows."""
    body = []
    for number, (column, row, kind, name, first, second) in enumerate(STAGES):
        x, y = _corner(column, row)
        middle = x + BOX_WIDTH / 2
        body += [
            f'<rect class="{kind}" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>',
            text(middle, y + 25, name, "name"),
            text(middle, y + 46, first),
            text(middle, y + 63, second),
        ]
        if number:
            body.append(_arrow(STAGES[number - 1], STAGES[number]))
    for row, title in enumerate(ROWS):
        body.append(text(24 if row < 2 else 24 + BOX_WIDTH / 2 + 16, 38 + row * 160, title, "head", "start"))
    return svg(1016, 468, "The way from a checkpoint to a score", [*body, *_rate_control()])


def _arrow(start: tuple, end: tuple) -> str:
    x, y = _corner(*start[:2])
    to_x, to_y = _corner(*end[:2])
    if start[1] != end[1]:
        middle = x + BOX_WIDTH / 2
        return f'<path class="arrow" marker-end="url(#tip)" d="M{middle:g} {y + BOX_HEIGHT} V{to_y - 2}"/>'
    height = y + BOX_HEIGHT / 2
    begin, finish = (x + BOX_WIDTH, to_x - 2) if to_x > x else (x, to_x + BOX_WIDTH + 2)
    return f'<path class="arrow" marker-end="url(#tip)" d="M{begin} {height:g} H{finish}"/>'


def _rate_control() -> list[str]:
    """The loop that searches the byte price: from the encoded size back to the quantizer."""
    left, right = _corner(1, 1)[0] + BOX_WIDTH / 2, _corner(3, 1)[0] + BOX_WIDTH / 2
    bottom = _corner(0, 1)[1] + BOX_HEIGHT
    return [
        f'<path class="arrow" stroke-dasharray="5 4" marker-end="url(#tip)" '
        f'd="M{left:g} {bottom} v26 H{right:g} V{bottom + 2}"/>',
        text((left + right) / 2, bottom + 44, "rate control: too large or too small? another byte price"),
    ]


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 430, 74, 24, 44, 58
LEAST_BYTES, MOST_BYTES, LEAST_DAMAGE, MOST_DAMAGE = 500_000, 2_000_000, 2.0, 64.0
CURVES = (  # class, label, pipelines whose lower envelope is drawn, where the label stands (bytes, mBPB)
    ("bytecap", "bytecap", ("bytecap (default)",), (660_000, 32.0)),
    ("tuned", "challenge, tuned", ("sdclip", "record", "sdclip-tuned", "record-tuned"), (655_000, 47.0)),
    ("published", "challenge, published", ("sdclip", "record"), (1_340_000, 20.5)),
    ("exl3", "EXL3", ("exl3",), (1_170_000, 5.4)),
    ("nncodec", "NNCodec", ("nncodec",), (1_575_000, 2.7)),
    ("ggml", "ggml", ("gguf", "gguf-mixed"), (1_640_000, 4.6)),
)


def _x(n_bytes: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (n_bytes - LEAST_BYTES) / (MOST_BYTES - LEAST_BYTES)


def _y(damage: float) -> float:
    share = math.log(damage / LEAST_DAMAGE) / math.log(MOST_DAMAGE / LEAST_DAMAGE)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def envelope(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points that no other point beats in both bytes and damage, by bytes."""
    kept: list[tuple[int, float]] = []
    for n_bytes, damage in sorted(points):
        if not kept or damage < kept[-1][1]:
            kept.append((n_bytes, damage))
    return kept


def sizes() -> str:
    """File size against damage, from the measured points."""
    points = json.loads(RESULTS.read_text(encoding="utf-8"))["points"]
    body = [*_axes()]
    for style, label, pipelines, (at_bytes, at_damage) in CURVES:
        found = envelope([(p["bytes"], p["gap"]) for p in points if p["pipeline"] in pipelines])
        inside = [p for p in found if p[0] <= MOST_BYTES and LEAST_DAMAGE <= p[1] <= MOST_DAMAGE]
        path = " ".join(f"{_x(n_bytes):.1f},{_y(damage):.1f}" for n_bytes, damage in inside)
        body.append(f'<polyline class="{style} line" points="{path}"/>')
        body += [f'<circle class="{style}" cx="{_x(b):.1f}" cy="{_y(d):.1f}" r="3.5"/>' for b, d in inside]
        body.append(text(_x(at_bytes), _y(at_damage), label, f"{style} label", "start"))
    return svg(WIDTH, HEIGHT, "File size against damage of bytecap and of other compressors", body)


def _axes() -> list[str]:
    bottom = HEIGHT - BOTTOM
    body = [text(LEFT, 24, "worse than the float model by, mBPB (lower is better)", "head", "start")]
    for damage in (2, 4, 8, 16, 32, 64):
        y = _y(damage)
        body.append(f'<path class="grid" d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}"/>')
        body.append(text(LEFT - 10, y + 4, str(damage), "small", "end"))
    for n_bytes in range(LEAST_BYTES, MOST_BYTES + 1, 250_000):
        body.append(f'<path class="grid" d="M{_x(n_bytes):.1f} {TOP} V{bottom}"/>')
        body.append(text(_x(n_bytes), bottom + 20, f"{n_bytes / 1e6:g}"))
    body.append(f'<path class="axis" d="M{LEFT} {bottom} H{WIDTH - RIGHT}"/>')
    body.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 44, "whole file, million bytes (left is better)", "head"))
    return body


FIGURE_FILES = {"pipeline.svg": pipeline, "sizes.svg": sizes}


def main() -> int:
    """Write every figure."""
    FIGURES.mkdir(exist_ok=True)
    for name, draw in FIGURE_FILES.items():
        (FIGURES / name).write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
