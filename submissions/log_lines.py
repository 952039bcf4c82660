"""The lines of a training log that carry final numbers: sizes, scores, times, seed.

Strategy: a line is looked at only if it holds one of a few words; its numbers are then found as `name: number`
pairs, wherever they stand in it, so that time stamps, rank prefixes and other loggers do not matter. The words of
the name say what the number is. A score's stage comes from the words before it: the last number that a scorer
prints is final, one printed on the way or before quantization is told apart.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_LINE = 2_000  # characters of a line that are looked at


class Stage(enum.Enum):
    """When in a run a score was printed."""

    TRAINING = "during training"
    BEFORE = "before quantization or as a diagnostic"
    PROGRESS = "while scoring was on its way"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class LoggedSize:
    """A number of bytes in a log; kind "total", "model" or "code"; `label` "int8+zlib", "" for the plain line."""

    kind: str
    value: int
    label: str
    line: int


@dataclass(frozen=True, slots=True)
class LoggedScore:
    """Bits per byte in a log: as written, its label without "_exact", and its stage."""

    value: float
    written: str
    label: str
    stage: Stage
    line: int

    @property
    def places(self) -> int:
        """Digits behind the point."""
        return len(self.written.partition(".")[2])


@dataclass(frozen=True, slots=True)
class LoggedTime:
    """Seconds of training or evaluation in a log, with the label of the line."""

    seconds: float
    label: str
    line: int


_PREFIX = re.compile(
    r"^(?:\s*(?:\[[a-z]{0,10}\d+\]:?|\d{9,10}\.\d+|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*Z?\]?|"
    r"\[?\d\d:\d\d:\d\d\]?|\d+\||INFO:?|\[[A-Z]+\]))+\s*"
)
# What stands before a number is looked for backwards and within bounds, so that no line takes long.
_NUMBER = re.compile(r"[:=]\s{0,4}~?(?P<digits>\d{1,3}(?:,\d{3})+|\d{2,10})(?![\d.])(?P<unit>\s?(?:bytes|B\b))?")
_NAME_BEFORE = re.compile(r"[A-Za-z][A-Za-z0-9_+.()/'\" -]*$")
LONGEST_NAME = 70
LONGEST_LABEL = 200
_NOT_FINAL_SIZE = re.compile(
    r"limit|\bcap\b|target|headroom|remaining|ratio|payload|raw|param|estimat|component|memory|alloc|prun|trial|probe|"
    r"saved|tokens?\b|tensor|numel|scored|vocab|window|chunk|step|preview|budget_|smoke|search|state|train|seq|delta|"
    r"buffer|shard|dict|before|without|fp32|fp16|bf16|candidate|uncompressed model|metadata|blob|extracted|loaded",
    re.IGNORECASE,
)
_NOT_FINAL_LINE = re.compile(
    r"\W*(?:selective_prune|prune|ttt|ngram|artifact_budget|search|probe|final_eval_mode|gptq)", re.I
)
_SCORE = re.compile(
    r"(?<![A-Za-z0-9_])(?P<name>[A-Za-z0-9_]{0,40}bp[bp])['\"]?\s{0,4}[:=]\s{0,20}(?P<number>\d{1,3}\.\d{2,17})(?![\d.])",
    re.IGNORECASE,
)
_FIRST_VALUE = re.compile(r"(?:sliding )?(?<![A-Za-z0-9])(?:val_loss|loss|[A-Za-z0-9_]{0,40}bp[bp])['\"]?\s{0,4}[:=]")
_SCORE_PROGRESS = re.compile(
    r"running|chunk|batch|progress|\[\s*\d+\s*/\s*\d+|\d+/\d+ windows|windows:\d|seq:\d+/|%\]|\bpass \d|epoch|\bdocs=",
    re.IGNORECASE,
)
_SCORE_TRAINING = re.compile(r"^\W*(?:step|iter(?:ation)?)?\s*[:=#]?\s*\d+(?:\s*/\s*\d+|\b)", re.IGNORECASE)
_SCORE_BEFORE = re.compile(
    r"pre[-_ ]?quant|post[-_ ]?(?:ema|swa)|ema_eval|swa_eval|raw[_ ]model|candidate|(?<!re)search|calib|"
    r"probe|pre[-_ ]?ttt|"
    r"snapshot|rerefine|averag|selected|^ema|trained_|"
    r"before|unquantized|float|fp32|best_ckpt|checkpoint|baseline|target|delta|gain|improve|threshold|weights \(",
    re.IGNORECASE,
)
_TRAINING_TIME = re.compile(
    r"train(?:ing)?_?(?:time|wallclock)\s*[:=]\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m)\b"
)
_EVALUATION_TIME = re.compile(
    r"(?P<name>total_eval_time|eval_?time|elapsed|(?<![a-z_])time)\s*[:=]\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s)\b"
)
_SEED = re.compile(r"(?:^|[\s,{'\"\-])(?:seed|SEED)['\"]?\s*[:=]\s*(\d{1,10})\b")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0}


def without_prefix(line: str) -> str:
    """The line without time stamps, ranks and levels in front, cut to LONGEST_LINE characters."""
    return _PREFIX.sub("", line[:LONGEST_LINE], count=1)


def sizes_of(line: str, number: int) -> list[LoggedSize]:
    """Final sizes of one line: model, code and total; limits, payloads and parts are left out."""
    found: list[LoggedSize] = []
    if _NOT_FINAL_LINE.match(line):
        return found
    matches = list(_NUMBER.finditer(line))
    names = [_name_before(line, match.start()) for match in matches]
    with_total = any("total" in name for name in names)
    with_parts = any("model" in name or "code" in name or "serialized" in name for name in names)
    for match, name in zip(matches, names, strict=True):
        kind = _size_kind(name, with_total, with_parts)
        if kind and not _NOT_FINAL_SIZE.search(name):
            value = int(match.group("digits").replace(",", ""))
            named = "byte" in name or "size" in name or match.group("unit") or with_total
            if named and (kind == "code" or value >= 10_000):
                found.append(LoggedSize(kind, value, _size_label(name), number))
    if not found and (budget := re.search(r"\bbudget:(\d{5,10})/\d", line)):
        found.append(LoggedSize("total", int(budget.group(1)), "budget", number))
    return found


def _name_before(line: str, position: int) -> str:
    match = _NAME_BEFORE.search(line[max(0, position - LONGEST_NAME) : position])
    return match.group().strip(" -'\"|").lower() if match else ""


def _size_kind(name: str, with_total: bool, with_parts: bool) -> str:
    words = set(re.findall(r"[a-z]+", name))
    if "total" in words and (words & {"submission", "size", "artifact", "bytes"} or with_parts):
        return "total"
    if "code" in words and not words & {"model", "plus"}:
        return "code"
    if words & {"serialized", "model", "weights"} or (with_total and "artifact" in words):
        return "model"
    return "total" if words & {"artifact", "submission"} and not words & {"run", "id"} else ""


def _size_label(name: str) -> str:
    name = re.sub(
        r"\b(?:total|submission|size|serialized|model|code|bytes|artifact|compressed_model_bytes)\b", " ", name
    )
    return re.sub(r"[\s:()]+", " ", name).strip(" _")


def scores_of(line: str, number: int) -> list[LoggedScore]:
    """Bits per byte of one line; the label is what stands before the first loss or score."""
    matches = list(_SCORE.finditer(line))
    if not matches:
        return []
    first = _FIRST_VALUE.search(line)
    label = line[max(0, first.start() - LONGEST_LABEL) : first.start()] if first else ""
    found = []
    for match in matches:
        name = match.group("name").lower()
        stage = _score_stage(label, name, line)
        if not name.startswith(("delta", "std", "batch", "gain", "diff")):
            found.append(LoggedScore(float(match.group("number")), match.group("number"), _label(label), stage, number))
    return found


def _score_stage(label: str, name: str, line: str) -> Stage:
    if _SCORE_TRAINING.match(label) and not re.match(r"\W*(?:final|stop)", line, re.IGNORECASE):
        return Stage.TRAINING
    if _SCORE_PROGRESS.search(label) or "running" in name:
        return Stage.PROGRESS
    diagnostic = "diagnostic" in label.lower() and not re.search(r"diagnostic quant", label, re.IGNORECASE)
    return Stage.BEFORE if diagnostic or _SCORE_BEFORE.search(label) or _SCORE_BEFORE.search(name) else Stage.FINAL


def _label(label: str) -> str:
    label = re.sub(r"\b(?:stride|seq_len|eval_seq_len|steps|lr|temp|T)[:=]\S+", " ", label).strip(" -:|,=>#*[](){}'\"")
    return re.sub(r"\s+", " ", label.removesuffix("_exact"))[-60:]


def training_time_of(line: str, number: int) -> LoggedTime | None:
    """The training time that a line tells, None without one."""
    match = _TRAINING_TIME.search(line)
    return (
        None if match is None else LoggedTime(_seconds(match), "minutes" if match.group("unit") == "m" else "", number)
    )


def is_progress(lowered: str) -> bool:
    """Whether a line with a score was surely printed on the way; there may be a million of them."""
    return "running" in lowered or "_chunk [" in lowered or "windows" in lowered


def evaluation_time_of(line: str, number: int, scores: Sequence[LoggedScore]) -> LoggedTime | None:
    """The time of an evaluation that a line tells, None without one: a line of a final score, or of all of them."""
    match = _EVALUATION_TIME.search(line)
    if match is None:
        return None
    if match.group("name") == "total_eval_time":
        return LoggedTime(_seconds(match), "total_eval_time", number)
    if not scores or scores[0].stage in (Stage.PROGRESS, Stage.TRAINING):
        return None
    return LoggedTime(_seconds(match), scores[0].label, number)


def seed_of(line: str) -> str:
    """The seed that a line tells, "" without one."""
    match = _SEED.search(line)
    return match.group(1) if match else ""


def _seconds(match: re.Match[str]) -> float:
    return float(match.group("number")) * _UNITS[match.group("unit")]
