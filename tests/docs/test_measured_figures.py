"""Every table of measured figures whose result file is kept says what the file says.

Strategy: a table of a page is found by its heads, and its rows are written again from the result file, cell by cell.
What is interpolated on curves is interpolated by the code that measured it (benchmarks/points.py).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from functools import cache

import pytest
from source_tree import ROOT

from benchmarks.points import CompressionPoint, bytes_at, shares_of
from bytecap.compiler.explanation import prediction

README, RESULTS, RECIPE = "README.md", "docs/results.md", "docs/recipe.md"
SHIPPING, GENERATE = "docs/shipping.md", "docs/commands/generate.md"
PEERS = ("published", "tuned", "exl3", "nncodec", "gguf_mixed")
SMALL_PEERS = ("published", "tuned", "nncodec_tuned", "gguf_mixed")
OURS = ("bytecap", "bytecap (default)")
PARTS = {  # row of the page -> name in the file
    "row Fisher information": "same Fisher for all rows of a matrix",
    "of it, correlations of output gradients": "one-sided second moments",
    "trellis": "uniform integers",
    "of it, 64 states": "trellis of 8 states",
    "drift correction": "no drift correction",
    "distillation": "no distillation (base of the rest)",
    "correction of residual streams": "residual streams left alone",
    "symmetries": "no symmetries",
}
SMOLLM2_HEADS = ("file", "bytes", "worse than float, mBPB", "KL, bits a token")
NAMES = {"autoround": "AutoRound", "exl3": "EXL3", "gptqmodel": "GPTQModel", "hqq": "HQQ", "watersic": "WaterSIC"}
WAYS = {"numba": "numba", "C": "c", "Python, a process a stream": "python"}

Rows = Sequence[Sequence[str]]


@cache
def result(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def points(name: str) -> list[CompressionPoint]:
    return [CompressionPoint(**point) for point in result(name)["points"]]


def ours(name: str) -> list[CompressionPoint]:
    return [point for point in points(name) if point.pipeline in OURS]


def rows_under(page: str, *heads: str, number: int = 0) -> list[list[str]]:
    """The rows of the table whose first heads these are; number : of several tables, which."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = [i for i, line in enumerate(lines) if _cells(line)[: len(heads)] == list(heads)][number]
    return [_cells(line) for line in itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def by_first(rows: Rows) -> dict[str, list[str]]:
    return {row[0]: list(row[1:]) for row in rows}


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def damage(point: CompressionPoint) -> list[str]:
    return [f"{point.bytes:,}", f"{point.gap:.2f} ± {point.standard_error:.2f}"]


def roughly(point: CompressionPoint) -> str:
    return f"{point.gap:.1f} ± {point.standard_error:.1f}"


def compared(name: str, peers: Sequence[str]) -> dict[str, list[str]]:
    """Cells by the damage, as the page names it: our bytes, then of each envelope its bytes and our share."""
    found = {}
    for row in result(name)["comparison"]:
        unit = "{:g} mBPB" if row["measure"] == "gap" else "KL {:g} bit a token"
        cells = ["-" if row["bytecap"] is None else f"{row['bytecap']:,.0f}"]
        for peer in peers:
            best, ratio = row["peers"][peer], row["ratios"][peer]
            cells.append("-" if best is None or ratio is None else f"{best:,.0f} ({ratio:.3f})")
        found[unit.format(row["damage"])] = cells
    return found


def named(point: CompressionPoint) -> str:
    """`exl3 bits 4 table bits 6`."""
    return f"{point.pipeline} {point.setting.replace('embedding_', 'table ').replace('=', ' ')}"


@pytest.mark.parametrize(
    ("page", "heads"),
    [(README, ("worse than float by", "bytecap")), (RESULTS, ("at equal damage", "bytecap", "published"))],
)
def test_sizes_at_equal_damage(page, heads):
    expected = compared("prose-sizes", PEERS)
    for name, cells in by_first(rows_under(page, *heads)).items():
        assert cells == expected[name], name


def test_sizes_at_equal_damage_after_adamw():
    expected, quickest = compared("adamw-sizes", SMALL_PEERS), compared("adamw-sizes-effort-1", ())
    for name, (whole, quick, *peers) in by_first(rows_under(RESULTS, "at equal damage", "bytecap, effort 5")).items():
        ratio = int(whole.replace(",", "")) / int(quickest[name][0].replace(",", ""))
        assert [whole, *peers] == expected[name]
        assert quick == f"{quickest[name][0]} ({ratio:.3f})"


def test_points_of_the_curves():
    assert rows_under(RESULTS, "bytes", "mBPB") == [damage(point) for point in ours("prose-sizes")]
    both = {"5": ours("adamw-sizes"), "1": ours("adamw-sizes-effort-1")}
    expected = [[effort, *damage(p), f"{p.kl:.4f}"] for effort, curve in both.items() for p in curve]
    shown = rows_under(RESULTS, "effort", "bytes", "mBPB", "KL, bits a token")
    assert sorted(row for row in shown if row[0] in both) == sorted(expected)


@pytest.mark.parametrize(
    ("number", "name", "measures"), [(0, "prose-sizes", ("gap",)), (1, "adamw-sizes", ("kl", "gap"))]
)
def test_other_quantizers(number, name, measures):
    curve, expected = ours(name), {}
    for point in points(name):
        sizes = [bytes_at(curve, getattr(point, measure), measure) for measure in measures]
        shares = "-" if None in sizes else ", ".join(f"{size / point.bytes:.3f}" for size in sizes)
        expected[named(point)] = [*damage(point), f"{point.kl:.4f}", shares]
    shown = rows_under(RESULTS, "file", "bytes", "mBPB", "KL, bits a token", "bytecap's share", number=number)
    for file, *cells in shown:
        assert cells == expected[file], file


def test_what_the_parts_are_worth():
    worth, shown = result("prose-ablation")["worth_bytes"], by_first(rows_under(RESULTS, "part", "worth"))
    for part, name in PARTS.items():
        assert shown[part][0] == f"{worth[name] / 1000:.0f} KB"
    assert worth["menus of candidates"] == 0 and shown.keys() >= PARTS.keys() and len(shown) == len(PARTS) + 1


def test_smollm2_compiles():
    compiles = [*result("smollm2-effort-1")["compiles"], *result("smollm2-effort-3")["compiles"]]
    shown = by_first(rows_under(RESULTS, "", "40 MB, `--effort 1`", "55 MB, `--effort 1`"))
    for column, each in enumerate(compiles):
        calibrate, land = (f"{each['stages'][stage]:,.0f}" for stage in ("calibrate", "land"))
        assert shown["artifact"][column] == f"{each['bytes']:,} bytes, {each['bits_per_weight']:.3f} bits a weight"
        assert shown["time"][column].startswith(f"{each['seconds']:,.0f} s, of these {calibrate}")
        assert f" and {land}" in shown["time"][column]
        assert shown["processor time"][column] == f"{each['processor_seconds']:,.0f} s"
        assert shown["peak memory"][column] == f"{each['peak_bytes'] / 2**30:.2f} GiB"
        assert shown["predicted loss"][column].split()[0] == f"{each['predicted_nats']:.3f}"
        assert shown["measured on held-out calibration text"][column] == f"{each['measured_nats']:.3f}"


def test_what_is_said_of_predictions_covers_what_smollm2_came_to():
    for effort in (1, 3):
        least, most = prediction.USUAL_RATIOS[effort > 1]
        for each in result(f"smollm2-effort-{effort}")["compiles"]:
            assert least - 0.05 < each["measured_nats"] / each["predicted_nats"] < most + 0.05


def test_smollm2_beside_ggml():
    found = {}
    for effort in (1, 3):
        for point in points(f"smollm2-effort-{effort}"):
            name = point.setting.split(" (")[0] if point.pipeline == "gguf" else f"bytecap, {point.setting}"
            found[name, f"{point.bytes:,}"] = [roughly(point), f"{point.kl:.3f}"]
    for name, size, *cells in rows_under(RESULTS, *SMOLLM2_HEADS):
        assert cells == found[name, size], name


def test_smollm2_beside_other_quantizers():
    curve = ours("smollm2-quantizers")
    least, expected = min(point.bytes for point in curve), {}
    for point in points("smollm2-quantizers"):
        size = bytes_at(curve, point.kl, "kl")
        above = math.ceil(1000 * least / point.bytes) / 1000
        ratio = f"{size / point.bytes:.3f}" if size else f"below {above:.3f}"
        name = f"{NAMES.get(point.pipeline, point.pipeline)} {point.setting}"
        expected[name] = [f"{point.bytes:,}", roughly(point), f"{point.kl:.3f}", ratio]
    for name, *cells in rows_under(RESULTS, *SMOLLM2_HEADS, number=1):
        assert cells == expected[name], name


def test_loading_135_million_weights():
    for profile, cells in by_first(rows_under(RESULTS, "profile", "file", "processor seconds")).items():
        found = result("large-model")[profile.strip("`")]
        seconds = [f"{found[name]:.1f}" for name in ("processor_seconds", "seconds", "first_seconds")]
        peak = f"{found['peak_bytes_beside_imports'] / 1e6:.0f} MB"
        assert cells == [f"{found['bytes'] / 1e6:.1f} MB", *seconds, peak]


@pytest.mark.parametrize(
    "effort, unit, columns",
    [("default", " GiB", ["processor seconds", "peak memory"]), ("effort 1", "", ["seconds", "processor seconds"])],
)
def test_sizes_of_random_models(effort, unit, columns):
    """The table of effort 1 has the seconds of the clock, too, and behind random models a real one."""
    compiles = [each for name, each in result("scaling").items() if name.endswith(effort)]
    if effort == "effort 1":
        real = result("smollm2-effort-1")["compiles"][0]
        compiles.append({"weights": 8 * real["bytes"] / real["bits_per_weight"], **real})
    expected = [
        [
            f"{each['weights'] / 1e6:.1f} million",
            *(f"{each[column.replace(' ', '_')]:,.0f}" for column in columns if "seconds" in column),
            f"{each['peak_bytes'] / 2**30:.1f}{unit}",
        ]
        for each in compiles
    ]
    assert rows_under(RESULTS, "weights", *columns) == expected


def test_what_efforts_take_of_the_envelopes():
    peers = points("prose-peers")
    compiles = {each["level"]: each for each in result("prose-efforts")["compiles"] if each["bits"] == 2.2}
    for effort, gap, kl, *cells in rows_under(RESULTS, "effort", "mBPB", "KL, bits a token", "of *published*"):
        point = CompressionPoint(**compiles[int(effort)]["point"])
        shares = shares_of(point, peers, ("gap", "kl"))
        expected = [", ".join(map(share, shares[name])) for name in ("published", "tuned", "nncodec", "gguf_mixed")]
        assert (gap, kl) == (roughly(point), f"{point.kl:.4f}")
        assert cells == expected


def test_efforts_are_the_same_on_both_pages():
    table = {str(row["effort"]): row for row in result("prose-efforts")["table"]}
    whole = table["5"]["processor_seconds"]
    for effort, *cells in rows_under(RECIPE, "effort", "processor seconds"):
        row = table[effort]
        assert cells[4:] == [f"{row['gap_mbpb']:.1f}", f"{row['peak_bytes'] / 1e9:.2f}", f"{row['wall_seconds']:.0f}"]
        assert cells[3] == f"{row['divergence']:.4f}"
    for effort, *cells in rows_under(README, "effort", "seconds"):
        row = table[effort.split(",")[0]]
        times = [f"{row['wall_seconds']:.0f}", f"{row['processor_seconds'] / whole:.2f}"]
        assert cells == [*times, f"{row['against_reference']:.3f}"]


def test_what_the_readme_says_in_words():
    text = " ".join((ROOT / README).read_text(encoding="utf-8").split())
    rows = [row["ratios"] for row in result("adamw-sizes")["comparison"]]
    published, tuned = ([row[name] for row in rows if row[name]] for name in ("published", "tuned"))
    assert f"it needs {_range(published)} of the published and {_range(tuned)} of the tuned bytes" in text
    curve, shares = ours("smollm2-quantizers"), {}
    for point in points("smollm2-quantizers"):
        if size := bytes_at(curve, point.kl, "kl"):
            shares.setdefault((point.pipeline, point.setting.split(" bits")[0]), []).append(size / point.bytes)
    autoround, exl3 = _range(shares["autoround", "4"]), _range(shares["exl3", "3"])
    assert f"{autoround} of AutoRound's with 4 bits a weight and {exl3} of EXL3's with 3" in text
    found = {each["level"]: each["point"] for each in result("prose-efforts")["compiles"] if each["bits"] == 2.2}
    nine, five = (
        [shares_of(CompressionPoint(**found[level]), points("prose-peers"), ("gap",))[name][0] for name in PEERS[:2]]
        for level in (9, 5)
    )
    assert f"At effort 9 that is {nine[0]:.2f} of the published bytes, {nine[1]:.2f} of the tuned" in text
    assert f"where effort 5 needs {five[0]:.2f}, {five[1]:.2f} and" in text


def _range(values: Sequence[float]) -> str:
    least, most = f"{min(values):.2f}", f"{max(values):.2f}"
    return least if least == most else f"{least} to {most}"


def test_how_fast_a_shipped_script_decodes():
    found = result("loader")
    for way, _, *cells in rows_under(SHIPPING, "way", "needs"):
        assert cells == [_seconds(**found[profile][WAYS[way]]) for profile in ("max", "fast")]


def _seconds(seconds: float, processor_seconds: float, start_processor_seconds: float, **_: float) -> str:
    """`39 s (6.3 + 2.4)`."""
    decoding = processor_seconds - start_processor_seconds
    return f"{seconds:.{int(seconds < 10)}f} s ({start_processor_seconds:.1f} + {decoding:.1f})"


def test_how_fast_text_is_generated():
    shown = by_first(rows_under(GENERATE, "model", "run.c, gcc -O3"))
    for name, found in result("generate").items():
        cells = [f"{found[each]:,.0f}" for each in ("run.c -O3", "run.c -Ofast", "bytecap")]
        assert shown[f"shapes of stories{name}"] == cells
