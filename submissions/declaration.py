"""The submission.json of a folder: found under its name or another, read, and turned into claims."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .declared import Claim, Quantity, claims_of
from .findings import Finding, Level, Rule
from .folder import SubmissionFile, SubmissionFolder
from .strict_json import JsonProblem, read_json

RULES = (
    Rule(
        "json-absent",
        (Level.FAIL, Level.WARNING),
        "No JSON document declares the submission; a fail unless the README says that it is no record.",
    ),
    Rule("json-other-name", (Level.INFORMATION,), "The declaration is not named submission.json, or lies deeper."),
    Rule("json-invalid", (Level.FAIL,), "The declaration is not JSON, with line and column."),
    Rule("json-byte-order-mark", (Level.WARNING,), "The declaration begins with a byte order mark; json.load fails."),
    Rule("json-repeated-key", (Level.WARNING,), "A key stands twice in one object; the last one counts."),
    Rule("json-odd-number", (Level.WARNING,), "A number is NaN, infinite or too long to mean anything."),
    Rule("json-text-number", (Level.FINDING,), 'A size or score is text, such as "pending" or "17080000".'),
    Rule("json-author", (Level.FINDING,), "Neither author nor GitHub name is told."),
)
DECLARATION = "submission.json"
AUTHOR_KEYS = ("author", "authors", "github_id", "github", "github_ids", "github_username")
_OTHER_NAME = re.compile(r"(?:subm?is*ion[^/]*|results?|metadata)\.json$", re.IGNORECASE)
_NO_RECORD = re.compile(r"non[-_ ]?record|unlimited|notable", re.IGNORECASE)  # as a track
# the same in a text or the name of a folder, where a run may have notable settings and unlimited patience
_SAID_NO_RECORD = re.compile(r"non[-_ ]?record|unlimited[-_ ]?compute|notable[-_ ]track", re.IGNORECASE)
README_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a folder declares about itself.

    name : str          the file's name, "" without one
    claims : tuple      in the order of the document
    seeds : tuple       the declared seeds as text, sorted as declared
    seed_count : int    how many runs the numbers are over, as far as declared; 0 when nothing is told
    track : str         as declared, "" without
    no_record : bool    whether track, README or the folder above say that it is outside the 10-minute track
    """

    name: str = ""
    claims: tuple[Claim, ...] = ()
    seeds: tuple[str, ...] = ()
    seed_count: int = 0
    track: str = ""
    no_record: bool = False
    document: dict[str, object] = field(default_factory=dict)

    def of(self, quantity: Quantity, *roles: str) -> list[Claim]:
        """The claims about a quantity in these roles."""
        return [claim for claim in self.claims if claim.quantity is quantity and claim.role in roles]


def read_declaration(folder: SubmissionFolder) -> tuple[Declaration, list[Finding]]:
    """The declaration of a folder and what was found in reading it."""
    no_record = _says_no_record(folder)
    file = find_declaration(folder)
    if file is None:
        level = Level.WARNING if no_record else Level.FAIL
        return Declaration(no_record=no_record), [Finding("json-absent", level, "no submission.json in the folder")]
    findings = []
    if file.name != DECLARATION:
        text = f"the submission is declared in {file.name}, not in {DECLARATION}"
        findings.append(Finding("json-other-name", Level.INFORMATION, text, file.name))
    told = Declaration(file.name, no_record=no_record)
    document = _document(folder, file.name, findings)
    if document is not None:
        told = _declaration(file.name, document, no_record)
        findings += _content_findings(told)
    return told, findings


def _document(folder: SubmissionFolder, name: str, findings: list[Finding]) -> dict[str, object] | None:
    """The object in a file; None where it holds none, and `findings` says why."""
    decoded = folder.read_text(name)
    if decoded.bom:
        text = f"begins with a byte order mark ({decoded.encoding}), on which Python's json.load stops"
        findings.append(Finding("json-byte-order-mark", Level.WARNING, text, name))
    try:
        document = read_json(decoded.text)
    except JsonProblem as problem:
        text = f"not JSON: {problem.message} in line {problem.line}, column {problem.column}"
        values = {"line": problem.line, "column": problem.column}
        findings.append(Finding("json-invalid", Level.FAIL, text, f"{name}:{problem.line}", values))
        return None
    for key in document.repeated_keys:
        text = f"the key {key!r} stands more than once in one object; the last one counts"
        findings.append(Finding("json-repeated-key", Level.WARNING, text, name))
    for number in document.odd_numbers:
        text = f"{number} is no number that a size or score can be"
        findings.append(Finding("json-odd-number", Level.WARNING, text, name))
    if isinstance(document.value, dict):
        return document.value
    text = "the document is no object of names and values"
    findings.append(Finding("json-invalid", Level.FAIL, text, f"{name}:1"))
    return None


def find_declaration(folder: SubmissionFolder) -> SubmissionFile | None:
    """submission.json at the top, else another likely name at the top, else the same deeper."""
    likely = [
        file
        for file in folder.files
        if file.kind == "file" and _OTHER_NAME.search(file.name) and not file.name.startswith("wandb")
    ]
    return min(likely, key=lambda file: (file.name.count("/"), file.name != DECLARATION, len(file.name)), default=None)


def _says_no_record(folder: SubmissionFolder) -> bool:
    """Whether the folder that it stands in, named by its track, or its README says so."""
    readmes = [file.name for file in folder.files if file.name.lower() in ("readme.md", "readme.txt", "readme")]
    if _SAID_NO_RECORD.search(folder.path.parent.name):
        return True
    return any(_SAID_NO_RECORD.search(folder.read_text(name).text[:README_CHARACTERS]) for name in readmes)


def _declaration(name: str, document: dict[str, object], no_record: bool) -> Declaration:
    claims = claims_of(document)
    seeds = _declared_seeds(document, claims)
    count = next((document[key] for key in ("n_seeds", "num_seeds", "seed_count") if key in document), None)
    counted = count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1000 else 0
    track = document.get("track")
    track = track[:100] if isinstance(track, str) else ""
    no_record = no_record or bool(_NO_RECORD.search(track)) or document.get("is_record") is False
    return Declaration(name, claims, seeds, max(counted, len(seeds)), track, no_record, document)


def _declared_seeds(document: dict[str, object], claims: tuple[Claim, ...]) -> tuple[str, ...]:
    listed = document.get("seeds")
    if isinstance(listed, list | dict):
        seeds = [str(seed) for seed in listed if str(seed).isdigit() and len(str(seed)) <= 10]
        if seeds:
            return tuple(dict.fromkeys(seeds))[:1000]
    scored = (claim.seed for claim in claims if claim.quantity is Quantity.SCORE and claim.role == "seed")
    return tuple(dict.fromkeys(seed for seed in scored if seed))


def _content_findings(declaration: Declaration) -> list[Finding]:
    findings = []
    for claim in declaration.claims:
        if not claim.amount.is_text or claim.role == "other" or claim.quantity.value.endswith("time"):
            continue
        told = "no number" if claim.amount.value is None else "a number between quotes"
        text = f"{claim.quantity.value} is declared as the text {claim.amount.written!r}, {told}"
        findings.append(Finding("json-text-number", Level.FINDING, text, f"{declaration.name}: {claim.path}"))
    if not any(declaration.document.get(key) for key in AUTHOR_KEYS):
        findings.append(Finding("json-author", Level.FINDING, "no author and no GitHub name", declaration.name))
    return findings[:50]
