"""The logs of a folder, read line by line: what each of them says about sizes, scores, times and its seed.

Strategy: every text file that is named like a log is one; a file in which no line carries a number of a run gives
no facts. Reading is linear in the bytes and bounded: ALL_LOG_BYTES of a folder, ENTRIES of each kind and
DETAILED_CHARACTERS of lines with numbers a log. The part of a log that is the printed script is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .folder import FolderText, SubmissionFile, SubmissionFolder, decode_text
from .log_lines import (
    LONGEST_LINE,
    LoggedScore,
    LoggedSize,
    LoggedTime,
    evaluation_time_of,
    is_progress,
    scores_of,
    seed_of,
    sizes_of,
    training_time_of,
    without_prefix,
)
from .log_source import PrintedSource, find_printed_source

ALL_LOG_BYTES = 128 << 20
ENTRIES = 20_000
SIZE_WORDS = ("total", "serialized", "code", "artifact", "submission", "budget", "quantized model")
DETAILED_CHARACTERS = 4 << 20  # of lines with one of the words, in one log; the public ones have less than 1 MB
LOG_SUFFIXES = (".log", ".txt", ".out", ".stdout", ".stderr", ".err")
_NO_LOGS = re.compile(
    r"(?:^|/)(?:requirements[^/]*|readme[^/]*|license[^/]*|notes[^/]*|pip[^/]*|cmakelists)\.txt$", re.I
)
_SEED_IN_NAME = re.compile(r"(?:seed|_s|^s)[_\-=]?(\d{1,10})(?!\d)", re.IGNORECASE)
_NUMBER_AT_END = re.compile(r"[_\-](\d{1,6})\.[a-z]+$")
_STEP = re.compile(r"(?:step\s*[:=]?\s*)?(\d{1,8})/\d{1,8}\b")
_PARAMETERS = re.compile(
    r"(?:model[_ ]param(?:eter)?s|num_params|params|parameters)\s*[:=]\s*([\d,]{4,15})", re.IGNORECASE
)


Entry = TypeVar("Entry")


@dataclass(slots=True)
class LogFacts:
    """What one log says.

    name, encoding, bom, damaged   the file, and how its bytes became text
    lines : int                    how many it has
    sizes, scores, evaluations     in the order of the log
    training                       the last training time, and those of lines that say why training stopped
    seed, seed_from                the seed as the log ("log") or its name ("name") has it; "" without one
    steps, parameters              the last step and the number of parameters, None where not told
    source                         the script printed in it
    unread_lines : int             lines beyond DETAILED_CHARACTERS
    """

    name: str
    encoding: str
    bom: bool
    damaged: bool
    lines: int = 0
    sizes: list[LoggedSize] = field(default_factory=list)
    scores: list[LoggedScore] = field(default_factory=list)
    training: list[LoggedTime] = field(default_factory=list)
    evaluations: list[LoggedTime] = field(default_factory=list)
    seed: str = ""
    seed_from: str = ""
    steps: int | None = None
    parameters: int | None = None
    source: PrintedSource | None = None
    unread_lines: int = 0

    @property
    def is_of_a_run(self) -> bool:
        """Whether any number of a run was found."""
        return bool(self.sizes or self.scores or self.training)


def log_files(folder: SubmissionFolder) -> tuple[SubmissionFile, ...]:
    """The files that are logs by their names."""
    return tuple(
        file
        for file in folder.files
        if file.kind == "file" and file.suffix in LOG_SUFFIXES and not _NO_LOGS.search(file.name)
    )


def read_logs(folder: SubmissionFolder) -> tuple[LogFacts, ...]:
    """Facts of every log of a run, in the order of their names."""
    logs: list[LogFacts] = []
    left = ALL_LOG_BYTES
    for file in log_files(folder):
        left -= file.bytes
        decoded = _read_whole(folder, file) if left >= 0 else folder.read_text(file.name)
        facts = LogFacts(file.name, decoded.encoding, decoded.bom, decoded.damaged)
        read_log(decoded.text, facts)
        if facts.is_of_a_run:
            logs.append(facts)
    return tuple(logs)


def _read_whole(folder: SubmissionFolder, file: SubmissionFile) -> FolderText:
    """A log beyond the limit of texts, too: what counts stands at its end."""
    if file.bytes <= folder.limits.text_bytes:
        return folder.read_text(file.name)
    folder.unread.pop(file.name, None)
    data = folder.read_bytes(file.name)
    return decode_text(data, truncated=file.name in folder.unread)


def read_log(text: str, facts: LogFacts) -> None:
    """Fill `facts` from the text of a log."""
    lines = text.splitlines()
    facts.lines = len(lines)
    facts.source = find_printed_source(lines)
    first, after = (facts.source.first, facts.source.after) if facts.source else (0, 0)
    budget = DETAILED_CHARACTERS
    last_training = last_progress = 0  # numbers of lines, which are counted from 1
    for number, line in enumerate(lines, start=1):
        if first < number <= after:
            continue
        if "train" in line and "time" in line:
            last_training = number
            if "stop" in line:
                _add(facts.training, training_time_of(line[:LONGEST_LINE], number))
        lowered = line[:LONGEST_LINE].lower()
        if ("bpb" in lowered or "bpp" in lowered) and is_progress(lowered):
            last_progress = number
        elif _may_tell(lowered, facts):
            budget -= len(lowered)
            if budget < 0:
                facts.unread_lines += 1
            else:
                _read_numbers(line, number, facts)
    if last_progress:
        _read_numbers(lines[last_progress - 1], last_progress, facts)
    if last_training:
        line = without_prefix(lines[last_training - 1])
        if not facts.training:
            _add(facts.training, training_time_of(line, last_training))
        if match := _STEP.search(line):
            facts.steps = int(match.group(1))
    _name_seed(facts)


def _may_tell(lowered: str, facts: LogFacts) -> bool:
    """Whether a line holds one of the words; spelled out, since a log has a million lines."""
    return (
        "bpb" in lowered
        or "bpp" in lowered
        or "total" in lowered
        or "serialized" in lowered
        or "code" in lowered
        or "artifact" in lowered
        or "submission" in lowered
        or "quantized model" in lowered
        or "eval_time" in lowered
        or "budget:" in lowered
        or ("seed" in lowered and not facts.seed)
        or ("param" in lowered and facts.parameters is None)
    )


def _read_numbers(line: str, number: int, facts: LogFacts) -> None:
    """The numbers of a line that holds one of the words."""
    stripped = without_prefix(line)
    lowered = stripped.lower()
    scores = scores_of(stripped, number) if "bpb" in lowered or "bpp" in lowered else []
    _add(facts.scores, *scores)
    if any(word in lowered for word in SIZE_WORDS):
        _add(facts.sizes, *sizes_of(stripped, number))
    if scores or "eval_time" in lowered:
        _add(facts.evaluations, evaluation_time_of(stripped, number, scores))
    if not facts.seed and "seed" in lowered:
        facts.seed, facts.seed_from = seed_of(stripped), "log"
    if facts.parameters is None and "param" in lowered and (match := _PARAMETERS.search(stripped)):
        facts.parameters = int(match.group(1).replace(",", "") or 0)


def _add(entries: list[Entry], *found: Entry | None) -> None:
    entries.extend(entry for entry in found if entry is not None and len(entries) < ENTRIES)


def _name_seed(facts: LogFacts) -> None:
    if not facts.seed:
        name = facts.name.rpartition("/")[2]
        match = _SEED_IN_NAME.search(name) or _NUMBER_AT_END.search(name)
        facts.seed, facts.seed_from = (match.group(1), "name") if match else ("", "")


def final_totals(log: LogFacts) -> list[LoggedSize]:
    """The totals of a log that are about the artifact: those with a label, or without any label the last plain one.

    The plain line counts the model before compression wherever a line with a label follows.
    """
    totals = [size for size in log.sizes if size.kind == "total"]
    labelled = [size for size in totals if size.label]
    if labelled or any(size.label for size in log.sizes if size.kind == "model"):
        return labelled
    return totals[-1:]


def final_models(log: LogFacts) -> list[LoggedSize]:
    """The compressed model sizes of a log; without a label only where nothing else stands there."""
    models = [size for size in log.sizes if size.kind == "model"]
    return [size for size in models if size.label] or models[-1:]


def seeds_of(logs: Sequence[LogFacts]) -> tuple[str, ...]:
    """The different seeds of the logs, in their order."""
    return tuple(dict.fromkeys(log.seed for log in logs if log.seed))
