"""What the listing of a folder shows before anything of it is understood."""

from __future__ import annotations

import unicodedata

from .findings import Finding, Level, Rule, visible_text
from .folder import SubmissionFolder

TEXT_SUFFIXES = {".py", ".md", ".txt", ".log", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".csv"}
MOST_NAME_BYTES = 32 << 10  # of all files together; of 960 folders of the challenge the most is 8 KB

RULES = (
    Rule("folder-empty", (Level.FAIL,), "The folder holds no file."),
    Rule(
        "folder-link",
        (Level.FINDING,),
        "A symbolic link: its text alone is looked at, and what lies outside is not.",
    ),
    Rule("folder-special-file", (Level.FINDING,), "A pipe, device or socket is listed and never opened."),
    Rule(
        "folder-name",
        (Level.FINDING,),
        "A name holds characters that do not show, or is another name on some systems.",
    ),
    Rule(
        "folder-encoding",
        (Level.INFORMATION, Level.FINDING),
        "A text is not plain UTF-8: UTF-16, a byte order mark; a finding where bytes fit no encoding.",
    ),
    Rule("folder-unread", (Level.WARNING,), "A file could not be read, or not whole; what it holds is not judged."),
    Rule("folder-unlisted", (Level.WARNING,), "The listing left something out: a limit or a folder without access."),
)


def listing_findings(folder: SubmissionFolder) -> list[Finding]:
    """Findings on the names and kinds of the files."""
    findings = [Finding("folder-unlisted", Level.WARNING, sentence) for sentence in folder.unlisted]
    if not folder.files:
        findings.append(Finding("folder-empty", Level.FAIL, "the folder holds no file"))
    for file in folder.files:
        if file.is_link:
            outside = "out of the folder; what is behind is not judged"
            where = f"to {file.target} in the folder" if file.target else outside
            findings.append(Finding("folder-link", Level.FINDING, f"a symbolic link {where}", file.name))
        elif file.kind == "special":
            text = "a pipe, device or socket, which is not opened"
            findings.append(Finding("folder-special-file", Level.FINDING, text, file.name))
        if visible_text(file.name) != file.name:
            findings.append(
                Finding("folder-name", Level.FINDING, "the name holds characters that do not show", file.name)
            )
    names = sum(len(file.name.encode("utf-8", "surrogateescape")) for file in folder.files)
    if names > MOST_NAME_BYTES:
        text = f"the names of its {len(folder.files):,} files have {names:,} bytes, which nobody counts"
        findings.append(Finding("folder-name", Level.FINDING, text, "", {"bytes": names}))
    return findings + _alike(folder)


def _alike(folder: SubmissionFolder) -> list[Finding]:
    """Names that are one name where capitals, or the ways to write a letter, make no difference."""
    groups: dict[str, list[str]] = {}
    for file in folder.files:
        groups.setdefault(unicodedata.normalize("NFC", file.name).casefold(), []).append(file.name)
    text = "differs from {} only in capitals or in how a letter is written, and is the same file on some systems"
    return [
        Finding("folder-name", Level.FINDING, text.format(visible_text(names[0])), names[1], {"names": names})
        for names in groups.values()
        if len(names) > 1
    ]


def encoding_findings(folder: SubmissionFolder) -> list[Finding]:
    """Findings on texts that are not plain UTF-8."""
    findings = []
    for file in folder.files:
        if file.kind != "file" or file.suffix not in TEXT_SUFFIXES:
            continue
        text = folder.read_text(file.name)
        values = {"encoding": text.encoding, "bom": text.bom}
        if text.damaged:
            sentence = f"some bytes are not {text.encoding.upper()}"
            findings.append(Finding("folder-encoding", Level.FINDING, sentence, file.name, values))
        elif text.bom or text.encoding != "utf-8":
            sentence = f"{text.encoding.upper()}{' with a byte order mark' if text.bom else ''}"
            findings.append(Finding("folder-encoding", Level.INFORMATION, sentence, file.name, values))
    return findings


def reading_findings(folder: SubmissionFolder) -> list[Finding]:
    """Findings on what the sections asked for and did not get, or not whole; call it after them."""
    return [
        Finding("folder-unread", Level.WARNING, f"not read whole: {reason}", name)
        for name, reason in sorted(folder.unread.items())
        if folder.get(name) is not None
    ]
