"""The page of an experiment: one HTML file that stands by itself, drawn from the run's document.

Strategy: the verdict and the thesis first, then what was asked and answered, then the figures, and last what
it was run on and how to run it again. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..files.numbers import integer, significant
from .charts import curve_chart
from .markup import Html, element, folded, joined, paragraph, section, table, whole_page

Data = Mapping[str, Any]


def render_experiment(document: Data) -> str:
    """The page of a document of running.py."""
    name, verdict = document["experiment"], document["verdict"]
    return whole_page(
        f"bytecap: {name}, {verdict}",
        f"bytecap experiment  ·  {name}",
        verdict[:1].upper() + verdict[1:],
        element("p", document["thesis"]),
        _observations(document["observations"]),
        _beforehand(document),
        *(_chart(chart) for chart in document["charts"]),
        *(_table(each) for each in document["tables"]),
        _reproduction(document),
    )


def _observations(observations: Sequence[Data]) -> Html:
    """The decisive ones first; the verdict follows from those by the rule in findings.py."""
    parts = []
    for title, decisive in (("What decides", True), ("What else was seen", False)):
        rows = [
            [
                element("span", o["outcome"], class_=f"tag {o['outcome']}"),
                element("div", element("b", o["question"]), element("br"), o["answer"]),
            ]
            for o in observations
            if o["decisive"] == decisive
        ]
        if rows:
            parts += [element("h3", title), table(["", ""], rows)]
    return section(
        "Observations",
        paragraph(
            "The verdict is falsified when any deciding observation falsifies the thesis, supported when all of them "
            "support it, else undecided."
        ),
        *parts,
    )


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
    series = {each["name"]: [tuple(point) for point in each["points"]] for each in chart["series"]}
    drawn = curve_chart(series, None, None, tuple(chart["labels"]), chart["title"], logarithmic=chart["logarithmic"])
    return section(chart["title"], drawn)


def _table(shown: Data) -> Html:
    rows = [[_cell(value) for value in row] for row in shown["rows"]]
    return section(shown["title"], paragraph(shown["note"]) if shown["note"] else None, table(shown["columns"], rows))


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
