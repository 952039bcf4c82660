"""What stands at the top of every page: what it is about, when and how it was made, and the verdict in one line.

Strategy: one record and one function, so that all pages open alike and none leaves model, date or command out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..version import VERSION
from .figure import Heading
from .markup import Html, element, joined, whole_page


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page or a plot comes from.

    kind : what it is, such as "compile report";  name : of the model or the experiment
    date : as dates.py writes it;  command : what to type to have it again, "" where nothing is known
    """

    kind: str
    name: str
    date: str
    command: str = ""

    @property
    def overline(self) -> str:
        return f"bytecap {self.kind}  ·  {self.date}"

    def heading(self, title: str, *lines: str) -> Heading:
        """Of a plot: its title, then model, date and version, then these lines and the command."""
        first = "  ·  ".join(filter(None, (self.name, self.date, f"bytecap {VERSION}")))
        command = [f"$ {one_line(self.command)}"] if self.command else []
        return Heading(title, (first, *lines, *command))


def one_line(command: str) -> str:
    """A command that was broken for a shell, in one line."""
    return command.replace(" \\\n ", "")


def command_text(command: str) -> Html:
    """A command in lines as long as there is room, broken between options."""
    return element(
        "code", joined((element("span", piece) for piece in command.split(" \\\n  ")), " "), class_="command"
    )


def fact_list(facts: Mapping[str, object]) -> Html:
    """Names and what they are, two columns."""
    return element(
        "dl", *(cell for k, v in facts.items() for cell in (element("dt", k), element("dd", v))), class_="facts"
    )


def headed_page(origin: Origin, verdict: str, facts: Mapping[str, object], *content: object, style: str = "") -> str:
    """A page: name, verdict, content, and under the first part of it (the tiles) the facts with date and command."""
    shown = {**facts, "date": origin.date}
    if origin.command:
        shown["command"] = command_text(origin.command)
    first, *rest = content
    lede = element("p", verdict, class_="lede")
    title = f"{origin.name}: bytecap {origin.kind}"
    return whole_page(title, origin.overline, origin.name, lede, first, fact_list(shown), *rest, style=style)


def tiles(items: list[tuple[str, str, Html | None]]) -> Html:
    """The figures at the top: (value, what it is, something under it)."""
    return element(
        "div",
        *(
            element("div", element("b", value), element("span", text), below, class_="tile")
            for value, text, below in items
        ),
        class_="tiles",
    )
