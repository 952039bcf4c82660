"""Reading HTML pages back in tests: what they hold, and that every element that opens closes.

Strategy: the standard library's parser feeds one small class; a page that is not well formed fails while it is read.
"""

from __future__ import annotations

from html.parser import HTMLParser

from bytecap.report.heading import Origin

VOID = {"meta", "br", "hr", "input", "wbr"}


class Balance(HTMLParser):
    """Checks that every element that opens closes, in order, and collects tags, attributes and tables."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tables: list[list[list[str]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


def origin_named(name: str) -> Origin:
    """An origin as of a page of `inspect`."""
    return Origin("inspect", name, "2026-11-27", f"bytecap inspect {name} \\\n  --html page.html")


def parsed_page(page: str) -> Balance:
    balance = Balance()
    balance.feed(page)
    balance.close()
    assert balance.open == []
    return balance
