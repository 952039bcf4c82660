"""HTML as text: elements, tables and numbers, with every text that comes from outside escaped.

Strategy: `Html` marks text that is markup already; `element` escapes all other content and all attribute values, so a
tensor's name can say what it likes. Tables take columns whose title starts with ">" as numbers, aligned to the right.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from .style import STYLE

VOID = frozenset({"meta", "br", "hr", "input", "wbr"})
BREAKS = re.compile(r"(?<=[._/])(?=[A-Za-z])")  # where a name may go on in the next line


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def escaped(content: object) -> Html:
    """Markup as it is, what has markup of its own (`__html__`) by that, everything else escaped; None is nothing."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    return content.__html__() if hasattr(content, "__html__") else Html(html.escape(str(content), quote=True))


def element(name: str, /, *content: object, **attributes: object) -> Html:
    """<name attributes>content</name>.

    `class_` is written class and `stroke_width` stroke-width; attributes of None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Parts one after another, escaped where they are not markup."""
    return Html(between.join(escaped(part) for part in parts))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], totals: Sequence[object] | None = None) -> Html:
    """A table with a header row and, set apart, a row of totals. Wide ones scroll by themselves."""
    sides = ["number" if column.startswith(">") else None for column in columns]
    head = element(
        "tr",
        *(element("th", c.removeprefix(">"), class_=side, scope="col") for c, side in zip(columns, sides, strict=True)),
    )
    body = joined(_row(row, sides) for row in rows)
    foot = "" if totals is None else element("tfoot", _row(totals, sides))
    return element("div", element("table", element("thead", head), element("tbody", body), Html(foot)), class_="scroll")


def record_table(rows: Sequence[Mapping[str, object]]) -> Html:
    """A table of rows that are cells by column, all of the same columns; nothing where there is no row."""
    return table(list(rows[0]), [list(row.values()) for row in rows]) if rows else Html("")


def breakable(name: object) -> object:
    """A name that may be broken behind dots and underscores, and is the same text; markup as it is."""
    return name if not isinstance(name, str) or isinstance(name, Html) else joined(BREAKS.split(name), "<wbr>")


def _row(cells: Sequence[object], sides: Sequence[str | None]) -> Html:
    shown = [breakable(cell) if k == 0 else cell for k, cell in enumerate(cells)]
    return element("tr", *(element("td", cell, class_=side) for cell, side in zip(shown, sides, strict=True)))


def whole_page(title: str, overline: str, heading: str, *content: object, style: str = "") -> str:
    """An HTML document that needs nothing else: the style sheet, a line above the heading, the heading, the content.

    style : rules of this page alone
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(STYLE + style)),
    )
    main = element("main", element("p", overline, class_="overline"), element("h1", heading), *content)
    return "<!doctype html>\n" + element("html", head, "\n", element("body", main), lang="en") + "\n"


def section(title: str, *content: object) -> Html:
    """One part of the page under a heading."""
    return element("section", element("h2", title), *content)


def paragraph(*content: object) -> Html:
    return element("p", *content)


def folded(summary: str, *content: object) -> Html:
    """Content behind a summary line that opens it."""
    return element("details", element("summary", summary), *content)
