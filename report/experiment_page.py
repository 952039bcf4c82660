"""The page of an experiment: one HTML file that stands by itself, drawn from the run's document.

Strategy: the verdict and the thesis first, then what was asked and answered, then the figures, and last what
it was run on and how to run it again. Tables begin with results, and what has an interval shows it as a bar. Nothing is
computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..files.numbers import integer, significant
from ..files.printable import printable
from .heading import Origin, headed_page, tiles
from .intervals import Interval, with_bars
from .markup import Html, element, folded, joined, paragraph, section, table
from .plots import Point, Series, curve_chart

Data = Mapping[str, Any]
OUTCOMES = {"supports": "support it", "falsifies": "falsify it", "undecided": "leave it open"}


def render_experiment(document: Data) -> str:
    """The page of a document of running.py."""
    name, verdict, inputs = document["experiment"], document["verdict"], document["inputs"]
    model = printable(PurePath(inputs["checkpoint"]).name) if "checkpoint" in inputs else ""
    facts = {title: printable(inputs[title]) for title in ("checkpoint", "training", "evaluation") if title in inputs}
    title = f"{name}: {verdict}" + (f", on {model}" if model else "")
    return headed_page(
        Origin("experiment", title, document["date"], document["reproduce"]),
        document["thesis"],
        facts,
        tiles(_counts(document["observations"])),
        _observations(document["observations"]),
        _beforehand(document),
        *(_chart(chart) for chart in document["charts"]),
        *(_table(each) for each in document["tables"]),
        _reproduction(document),
    )


def _counts(observations: Sequence[Data]) -> list[tuple[str, str, Html | None]]:
    """How many of the deciding observations say what."""
    found = [o["outcome"] for o in observations if o["decisive"]]
    decisive = f"of {len(found)} deciding observations"
    return [(str(found.count(kind)), f"{decisive} {words}", None) for kind, words in OUTCOMES.items()]


def _observations(observations: Sequence[Data]) -> Html:
    """The decisive ones first; the verdict follows from those by the rule in findings.py."""
    parts = []
    for title, decisive in (("What decides", True), ("What else was seen", False)):
        found = [_observation(o) for o in observations if o["decisive"] == decisive]
        if found:
            parts += [element("h3", title), element("ul", joined(found), class_="observations")]
    return section(
        "Observations",
        paragraph(
            "The verdict is falsified when any deciding observation falsifies the thesis, supported when all of them "
            "support it, else undecided."
        ),
        *parts,
    )


def _observation(found: Data) -> Html:
    tag = element("span", found["outcome"], class_=f"tag {found['outcome']}")
    return element("li", tag, element("div", element("b", found["question"]), element("br"), found["answer"]))


def _beforehand(document: Data) -> Html:
    """What was written down before anything was measured."""
    return folded(
        "What would support or falsify it, written down beforehand",
        element("h3", "Supports"),
        _list(document["supports"]),
        element("h3", "Falsifies"),
        _list(document["falsifies"]),
    )


def _list(items: Sequence[str]) -> Html:
    return element("ul", joined(element("li", item) for item in items))


def _chart(chart: Data) -> Html:
    series = [Series(each["name"], _points(each), chart["joined"]) for each in chart["series"]]
    labels, title = (chart["labels"][0], chart["labels"][1]), chart["title"]
    drawn = curve_chart(series, labels, title, logarithmic=chart["logarithmic"])
    return section(title, drawn, element("figcaption", chart["note"]) if chart["note"] else None)


def _points(series: Data) -> list[Point]:
    return [
        Point(x, y, *(interval or (None, None)), name=printable(name), tip=_tip(x, y, interval))
        for (x, y), interval, name in zip(series["points"], series["intervals"], series["names"], strict=True)
    ]


def _tip(x: float, y: float, interval: Sequence[float] | None) -> str:
    """A point's values on hovering."""
    between = "" if interval is None else f", 95 % {interval[0]:.4g} to {interval[1]:.4g}"
    return f"{x:,.6g}, {y:.4g}{between}"


def _table(shown: Data) -> Html:
    columns, rows = list(shown["columns"]), shown["rows"]
    texts = [list(row) for row in zip(*map(_column, zip(*rows, strict=True)), strict=True)]
    if shown["intervals"]:
        columns, texts = with_bars(columns, rows, [Interval(*each) for each in shown["intervals"]], texts)
    return section(shown["title"], paragraph(shown["note"]) if shown["note"] else None, table(columns, texts))


def _column(values: Sequence[object]) -> list[str]:
    """The cells of a column; its fractions with as many decimals as give one of middling size four digits."""
    sizes = sorted(abs(value) for value in values if isinstance(value, float) and value)
    if not sizes:
        return [_cell(value) for value in values]
    decimals = max(0, 3 - math.floor(math.log10(sizes[len(sizes) // 2])))
    if all(value == round(value) for value in values if isinstance(value, float)):
        decimals = 0
    if sizes[0] < 10.0**-decimals:
        return [_cell(value) for value in values]
    return [f"{value:,.{decimals}f}" if isinstance(value, float) else _cell(value) for value in values]


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return integer(value)
    return significant(value, 4) if isinstance(value, float) else str(value)


def _reproduction(document: Data) -> Html:
    settings = [[name, _cell(value)] for name, value in document["settings"].items()]
    files = [[name, digest] for name, digest in document["files"].items()]
    return section(
        "How to see it again",
        element("pre", document["reproduce"]),
        table(["setting", "value"], settings) if settings else None,
        folded("Files", table(["file", "SHA-256"], files)),
        paragraph(f"bytecap {document['version']}, {document['seconds']:.0f} s."),
    )
