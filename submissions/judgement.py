"""The record of a judged folder, and its form as JSON, in which it also comes back from the process that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..display import ShownByFacts, rows_table
from .findings import Finding, Level, visible_values

CHALLENGE_CAP = 16_000_000  # bytes of artifact and code together, in the public challenge
FINDINGS_OF_A_RULE = 50  # what is beyond is counted in one more finding of the rule
LONGEST_LIST = 200  # entries of one list of facts in a document
NOT_FACTS = frozenset(
    {"texts", "text", "document", "source", "data"}
)  # fields that hold files, not what was read of them


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What a folder is judged against.

    cap : int                bytes of artifact and code together
    cap_assumed : bool       whether nobody gave the cap, which the report then says
    inside : str             of an archive: the folder in it that is the submission; "" for the only one
    data, tokenizer          validation text and its tokenizer: blobs of known architecture are scored when given
    tolerance : float        allowed distance from the declared score, in bits per byte
    seconds, memory_bytes    what judging one folder may take of a core's time and of memory before it is given up;
                             0 for no limit
    """

    cap: int = CHALLENGE_CAP
    cap_assumed: bool = True
    inside: str = ""
    data: str | None = None
    tokenizer: str | None = None
    tolerance: float = 0.0005
    seconds: float = 10.0
    memory_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Bytes of one thing as the submission counts it (log, submission.json) and as the folder holds it.

    None where that side says nothing: a model that is only logged is not in the folder.
    """

    name: str
    as_counted: int | None
    as_shipped: int | None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", visible_values(self.name))
        object.__setattr__(self, "note", visible_values(self.note))


@dataclass(frozen=True, slots=True, repr=False)
class Judgement(ShownByFacts):
    """What was found in one folder.

    complete : bool   whether every section was judged; if not, nothing that was found makes it a pass
    facts : dict      by section, what it read, as JSON values
    opened : dict     of a submission that was given as an archive, what was opened (`archives.OpenedArchive`)
    seconds, cpu_seconds, peak_bytes   what judging took, for the folder alone; 0 where it was not measured
    """

    path: Path
    options: JudgeOptions
    findings: tuple[Finding, ...]
    complete: bool = True
    files: int = 0
    ledger: tuple[LedgerLine, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    opened: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> str:
        """pass, fail or not judged: a FAIL is one however little else could be judged."""
        if any(finding.level is Level.FAIL for finding in self.findings):
            return "fail"
        return "pass" if self.complete else "not judged"

    @property
    def passed(self) -> bool:
        """Whether the whole folder was judged and no finding is a FAIL."""
        return self.verdict == "pass"

    def count(self, level: Level) -> int:
        """Findings of a level."""
        return sum(finding.level is level for finding in self.findings)

    def shown_facts(self) -> Mapping[str, str]:
        """The verdict and how many findings there are of each level."""
        levels = ", ".join(f"{self.count(level)} {level.value}" for level in Level if self.count(level))
        cap = f"{self.options.cap:,} bytes{', assumed' if self.options.cap_assumed else ''}"
        return {"": str(visible_values(str(self.path))), "verdict": self.verdict, "findings": levels, "cap": cap}

    def _repr_html_(self) -> str:
        rows = [(finding.level.value, finding.place, finding.text, finding.rule) for finding in self.findings]
        table = rows_table("findings", ("level", "place", "finding", "rule"), rows)
        return super(Judgement, self)._repr_html_() + table


def limited(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without those beyond `FINDINGS_OF_A_RULE` of one rule and level, which are counted instead."""
    kept, counts = [], Counter[tuple[str, Level]]()
    for finding in findings:
        counts[finding.rule, finding.level] += 1
        if counts[finding.rule, finding.level] <= FINDINGS_OF_A_RULE:
            kept.append(finding)
    for (rule, level), count in counts.items():
        if count > FINDINGS_OF_A_RULE:
            more = count - FINDINGS_OF_A_RULE
            kept.append(Finding(rule, level, f"and {more:,} more like these", "", {"more": more}))
    return tuple(kept)


def plain_facts(facts: object) -> Any:
    """Records as JSON values: fields by name but for `NOT_FACTS`, of a list the first `LONGEST_LIST` entries."""
    if is_dataclass(facts) and not isinstance(facts, type):
        shown = [each.name for each in fields(facts) if each.name not in NOT_FACTS]
        return {name: plain_facts(getattr(facts, name)) for name in shown}
    if isinstance(facts, Enum):
        return plain_facts(facts.value)
    if isinstance(facts, Mapping):
        return {str(visible_values(str(key))): plain_facts(value) for key, value in list(facts.items())[:LONGEST_LIST]}
    if isinstance(facts, list | tuple | set | frozenset):
        return [plain_facts(value) for value in list(facts)[:LONGEST_LIST]]
    return visible_values(facts)


def judgement_document(judgement: Judgement) -> dict[str, Any]:
    """The judgement as JSON values."""
    options = judgement.options
    return {
        "folder": str(visible_values(str(judgement.path))),
        "verdict": judgement.verdict,
        "passed": judgement.passed,
        "complete": judgement.complete,
        "cap": options.cap,
        "cap_assumed": options.cap_assumed,
        "files": judgement.files,
        "levels": {level.value: judgement.count(level) for level in Level},
        "ledger": [asdict(line) for line in judgement.ledger],
        "findings": [{**asdict(finding), "level": finding.level.value} for finding in judgement.findings],
        "facts": judgement.facts,
        "seconds": round(judgement.seconds, 4),
        "cpu_seconds": round(judgement.cpu_seconds, 4),
        "peak_bytes": judgement.peak_bytes,
        **({} if judgement.opened is None else {"opened": judgement.opened}),
    }


def judgement_from_document(document: Mapping[str, Any], path: Path, options: JudgeOptions) -> Judgement:
    """The record of a document that `judgement_document` made, for the path and options that were asked for."""
    return Judgement(
        path,
        options,
        tuple(Finding(**{**finding, "level": Level(finding["level"])}) for finding in document["findings"]),
        document["complete"],
        document["files"],
        tuple(LedgerLine(**line) for line in document["ledger"]),
        document["facts"],
        document["seconds"],
        document["cpu_seconds"],
        document["peak_bytes"],
        document.get("opened"),
    )
