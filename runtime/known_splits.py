"""Which known split some data are, or that they are none: a score is of a split only if every token of it is there.

Strategy: a table of splits with what is known of each, shipped with the package and continued by the user's own files
of the same form. Data are held against the split whose files they are named like, or which the user names; else
against all of them by size and digest. Only what both sides know is compared, and the sentence says what was.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files.nested_text import parse_json, parse_toml
from ..format.registry import keyed
from .data_content import DIGITS, DataContent

SHIPPED = Path(__file__).with_name("known_splits.toml")
TABLE = "split"
DIGEST = re.compile(r"[0-9a-f]{64}")


class SplitVerdict(enum.Enum):
    """What data are to a known split.

    SAME: everything that is known of the split agrees, its digest too; SIZE: its size agrees, a digest is not known;
    UNKNOWN: no known split has this name or size; DIFFERENT: they are named like a split and are not it.
    """

    SAME = "same"
    SIZE = "size"
    UNKNOWN = "unknown"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Split:
    """What is known of a split; None where it is not.

    name, kind : "fineweb10B_sp1024", "validation"
    files : pattern of how paths of it end: "fineweb10B_sp1024/fineweb_val_*.bin"
    vocabulary_size : int          of the tokens of shards
    tokens : (int, int)            at least and at most so many tokens; of a number that is known the same twice
    bytes : int                    of the content of a text, decompressed
    sha256 : str                   of the content: the ids of all shards in order as little-endian uint16 (uint32 where
                                   a shard has it), without headers; or the bytes of all texts in order
    source : str                   where this is said
    """

    name: str
    kind: str = ""
    files: str | None = None
    vocabulary_size: int | None = None
    tokens: tuple[int, int] | None = None
    bytes: int | None = None
    sha256: str | None = None
    source: str = ""

    @property
    def title(self) -> str:
        """Name and kind, as sentences call it."""
        return f"{self.name} ({self.kind})" if self.kind else self.name


@dataclass(frozen=True, slots=True)
class SplitMatch:
    """What is told of data: the verdict, the split it is about, a sentence, and the facts of the data."""

    verdict: SplitVerdict
    split: Split | None
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)


def read_splits(paths: Sequence[str | Path] = ()) -> tuple[Split, ...]:
    """The shipped splits and those of files (TOML or JSON); DataError that names the file, the split and the field."""
    splits = [split for path in (SHIPPED, *paths) for split in _splits_of(Path(path))]
    try:
        return tuple(keyed(splits, "name").values())
    except ValueError as error:
        raise DataError(f"{', '.join(map(str, paths))}: {error}; give each split a name of its own") from error


def _splits_of(path: Path) -> list[Split]:
    try:
        content = path.read_text(encoding="utf-8")
        values = parse_json(content) if path.suffix == ".json" else parse_toml(content)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is no table of splits: {error}") from error
    entries = values.get(TABLE) if isinstance(values, dict) else None
    if not isinstance(entries, list) or set(values) != {TABLE}:
        raise DataError(f"{path} is no table of splits; it needs [[{TABLE}]] entries and nothing else")
    return [_split(entry, f"{path}: split {number}") for number, entry in enumerate(entries, 1)]


def _split(entry: Any, place: str) -> Split:
    """A split from its fields; DataError for a field that is unknown or of another kind."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise DataError(f"{place} has no name; give it one")
    values = dict(entry)
    if isinstance(values.get("tokens"), int):
        values["tokens"] = [values["tokens"]] * 2
    wrong = [name for name, value in values.items() if name not in FIELDS or not FIELDS[name](value)]
    if wrong:
        raise DataError(
            f"{place} ({entry['name']}): {wrong[0]} is {entry[wrong[0]]!r}; a split has "
            f"{', '.join(FIELDS)}: numbers from 1 up (tokens also as [least, most]), a sha256 in 64 digits, and texts"
        )
    if not {"tokens", "bytes", "sha256"} & values.keys():
        raise DataError(f"{place} ({entry['name']}) has neither tokens, bytes nor sha256; nothing would tell it")
    if "tokens" in values:
        values["tokens"] = tuple(values["tokens"])
    return Split(**values)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value)) and value[0] <= value[1]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "kind": _is_text,
    "files": lambda value: isinstance(value, str) and value != "",
    "vocabulary_size": _is_count,
    "tokens": _is_range,
    "bytes": _is_count,
    "sha256": lambda value: isinstance(value, str) and DIGEST.fullmatch(value) is not None,
    "source": _is_text,
}


def match_split(content: DataContent, splits: Sequence[Split], expected: str | None = None) -> SplitMatch:
    """Which of the splits the content is.

    expected : the name of the split that it must be; by default the one whose files the paths are named like

    Raises DataError for an expected split that is in no table.
    """
    named = next((split for split in splits if split.name == expected), None)
    if expected is not None and named is None:
        known = ", ".join(split.name for split in splits)
        raise DataError(f"{expected!r} is no known split ({known}); give a table that has it", argument="splits")
    named = named or next((split for split in splits if _named_like(content.paths, split)), None)
    if named is not None:
        why = "asked for" if expected is not None else "by name"
        return _against(content, named, why)
    for split in splits:
        if _may_be(content, split):
            found = _against(content, split, "by size")
            if found.verdict is not SplitVerdict.DIFFERENT:
                return found
    return SplitMatch(SplitVerdict.UNKNOWN, None, f"not a known split: {content.describe()}", content.facts)


def _named_like(paths: Sequence[str], split: Split) -> bool:
    return split.files is not None and all(Path(path).absolute().match(split.files) for path in paths)


def _may_be(content: DataContent, split: Split) -> bool:
    """Whether data of any name could be the split: by size and vocabulary, or by digest where no size is known."""
    if split.vocabulary_size is not None and content.vocabulary_size not in (None, split.vocabulary_size):
        return False
    sizes = ((content.tokens, split.tokens), (content.bytes, split.bytes and (split.bytes, split.bytes)))
    known = [least <= size <= most for size, (least, most) in ((s, k) for s, k in sizes if s and k)]
    return all(known) if known else split.sha256 is not None and split.tokens is None and split.bytes is None


def _against(content: DataContent, split: Split, why: str) -> SplitMatch:
    """The content held against one split, size first."""
    differing = _differing_size(content, split)
    if differing is not None:
        return SplitMatch(
            SplitVerdict.DIFFERENT, split, f"not {split.title}, which they are {why}: {differing}", content.facts
        )
    size = content.size_text
    if split.sha256 is None:
        return SplitMatch(
            SplitVerdict.SIZE, split, f"{split.title} {why} and size: {size}; its digest is not known", content.facts
        )
    if content.sha256 is None:
        return SplitMatch(
            SplitVerdict.SIZE, split, f"{split.title} {why} and size: {size}; no digest can be taken", content.facts
        )
    if content.sha256 != split.sha256:
        detail = f"other content of the same size, sha256 {content.sha256[:DIGITS]}… and not {split.sha256[:DIGITS]}…"
        return SplitMatch(
            SplitVerdict.DIFFERENT, split, f"not {split.title}, which they are {why}: {detail}", content.facts
        )
    return SplitMatch(SplitVerdict.SAME, split, f"{split.title}, all of it: {size}, sha256 agrees", content.facts)


def _differing_size(content: DataContent, split: Split) -> str | None:
    """What is wrong with the size: cut or longer; None where it agrees or is not known."""
    for unit, have, bounds in (
        ("tokens", content.tokens, split.tokens),
        ("bytes", content.bytes, None if split.bytes is None else (split.bytes, split.bytes)),
    ):
        if have is None or bounds is None or bounds[0] <= have <= bounds[1]:
            continue
        if have < bounds[0]:
            return f"cut, {have:,} of {bounds[0]:,} {unit} ({100 * have / bounds[0]:.1f} %)"
        return f"longer, {have:,} {unit} where it has {bounds[1]:,}"
    if split.tokens is not None and content.tokens is None:
        return "a text, where it is token shards"
    if split.bytes is not None and split.tokens is None and content.tokens is not None:
        return "token shards, where it is a text"
    return None
