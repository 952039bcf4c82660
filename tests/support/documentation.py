"""The pages of the documentation as a test sees them: their fenced blocks, the commands in these, their links.

Strategy: `sh` blocks hold commands; `console` blocks hold commands after `$ ` and what these print; `python` blocks are
programs, unless they quote the source. A command that goes on in the next line ends with a backslash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from source_tree import ROOT

PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
)
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)
QUOTED_SOURCE = re.compile(r"<!-- source: .*?<!-- end -->", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A documented command line, and for `console` blocks the lines that it prints ("" where none are shown)."""

    page: str
    line: str
    output: str = ""


@dataclass(frozen=True)
class Program:
    """A documented Python block."""

    page: str
    text: str


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The content of every fenced block of a language, without quoted source."""
    text = QUOTED_SOURCE.sub("", page.read_text(encoding="utf-8"))
    return [match["content"] for match in FENCE.finditer(text) if match["language"] == language]


def commands() -> list[Command]:
    """Every documented command, once: equal lines of several pages are one."""
    found: dict[str, Command] = {}
    for page in PAGES:
        plain = [(block, "") for block in blocks(page, "sh")]
        for text, output in [*plain, *(part for block in blocks(page, "console") for part in _console_parts(block))]:
            for line in _joined(text).splitlines():
                if line and (line not in found or output):
                    found[line] = Command(page_name(page), line, output)
    return list(found.values())


def programs() -> list[Program]:
    """Every documented Python block."""
    return [Program(page_name(page), text) for page in PAGES for text in blocks(page, "python")]


def _console_parts(block: str) -> list[tuple[str, str]]:
    """(command, what it prints) of every `$ ` line of a block."""
    parts = []
    for part in _joined(block).split("$ ")[1:]:
        command, _, output = part.partition("\n")
        parts.append((command, output))
    return parts


def _joined(text: str) -> str:
    """Lines that end with a backslash, joined with the next."""
    return re.sub(r" *\\\n *", " ", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in HEADING.findall(text)}


def links(page: Path) -> list[str]:
    """Targets of the page's links and pictures, those inside the repository only."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
