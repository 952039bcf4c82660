"""The cap mistaken for 16 MiB: a frequent reason why submissions are 0.8 MB too large without their authors knowing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from .findings import Finding, Level
from .folder import SubmissionFolder
from .shipped_code import ShippedCode

MEBIBYTE_CAP = 16 << 20
LOOKED_AT = 200  # of its spellings in one text
_SIXTEEN_MEBIBYTES = re.compile(
    r"16(?:(?<![\d.,_]16)[,_]?777[,_]?216(?![\d,_])|(?<!\w16) ?(?:\* ?1024 ?\* ?1024|<< ?20|\* ?2 ?\*\* ?20|MiB)\b)"
)
_ABOUT_THE_CAP = re.compile(r"\bcap\b|_cap\b|limit|budget|artifact|submission|quant_file_bytes|under\b", re.IGNORECASE)
_ABOUT_SOMETHING_ELSE = re.compile(r"bucket|memory|cuda|reserved|allreduce", re.IGNORECASE)


def mebibyte_findings(folder: SubmissionFolder, declaration: str, code: ShippedCode) -> list[Finding]:
    """One warning with every place of README, declaration and code where 16 MiB stands for the cap."""
    names = [file.name for file in folder.files if file.kind == "file" and file.name.lower().startswith("readme")]
    names += [declaration] if declaration else []
    texts = [(name, folder.read_text(name).text) for name in names] + list(code.texts)
    places = list(_places(texts))
    if not places:
        return []
    more = f", the first of {len(places)} places" if len(places) > 1 else ""
    text = f"16 MiB ({MEBIBYTE_CAP:,} bytes) stands for the cap in {places[0]}{more}"
    return [Finding("size-mebibytes", Level.WARNING, text, places[0], {"places": places[:50]})]


def _places(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in texts:
        for match in islice(_SIXTEEN_MEBIBYTES.finditer(text), LOOKED_AT):
            first = max(text.rfind("\n", 0, match.start()) + 1, match.start() - 200)
            after = text.find("\n", match.end(), match.end() + 200)
            line = text[first : after if after >= 0 else match.end() + 200]
            if _ABOUT_THE_CAP.search(line) and not _ABOUT_SOMETHING_ELSE.search(line):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
