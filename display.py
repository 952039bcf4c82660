"""How results show themselves: a line as text, a small table in a notebook.

Strategy: a record that may hold megabytes says a few facts of itself, by name, and both forms are made of these. What
a fact says is the record's own business; how it looks is said once, here, in the colours of the pages
(report/style.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

LONGEST_FACT = 100  # characters of a fact in the line; a table has all of them
CAPTION = "text-align:left;font-weight:600;padding:0 0 4px"
NAME = "text-align:left;font-weight:400;color:#69696b;padding:1px 14px 1px 0;vertical-align:top"
VALUE = "text-align:left;font-variant-numeric:tabular-nums;padding:1px 0"
CELL = f"{VALUE};padding-right:14px"


class ShownByFacts:
    """Base of records with a short `repr` and a table in a notebook; a subclass says its `shown_facts`."""

    __slots__ = ()

    def shown_facts(self) -> Mapping[str, str]:
        """What is shown of the record, by name, the most important first."""
        return {}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {_shortened(value)}".strip() for name, value in self.shown_facts().items())
        return f"{type(self).__name__}({facts})"

    def _repr_html_(self) -> str:
        return facts_table(type(self).__name__, self.shown_facts())


def facts_table(title: str, facts: Mapping[str, str]) -> str:
    """A table with a row a fact, as HTML without scripts or outside files."""
    rows = "".join(
        f'<tr><th scope="row" style="{NAME}">{escape(name)}</th><td style="{VALUE}">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table style="border-collapse:collapse"><caption style="{CAPTION}">{escape(title)}</caption>{rows}</table>'


def rows_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a title a column, as HTML without scripts or outside files."""
    head = "".join(f'<th scope="col" style="{NAME}">{escape(column)}</th>' for column in columns)
    cells = ["".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in row) for row in rows]
    lines = "".join(f"<tr>{line}</tr>" for line in cells)
    caption = f'<caption style="{CAPTION}">{escape(title)}</caption>'
    return f'<table style="border-collapse:collapse">{caption}<tr>{head}</tr>{lines}</table>'


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}…"
