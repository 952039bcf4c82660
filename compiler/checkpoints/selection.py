"""Which tensors of a checkpoint are read, and by which names: one of several sets of weights, without names that the
caller leaves out, the others renamed as the caller asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ...errors import CheckpointError
from ...files.listing import listed
from ...files.nearest_name import nearest_names

ANY, BETWEEN = "*", "="  # what stands for any characters in a renaming, and what parts its two sides
ALIKE, LEAST_ALIKE = 3, 0.5  # how many names a refusal gives, and how much of each is as in the other


@dataclass(frozen=True, slots=True)
class Selection:
    """weights : name of a set of weights, where a file holds several (`ema`); None: the usual one
    ignore : names of tensors to leave out, with * and ? as in a shell
    rename : `FROM=TO`, one after the other, for those that stay; each * of FROM is any characters, and stands at its
        place in TO
    """

    weights: str | None = None
    ignore: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()

    def left_out(self, names: Iterable[str], path: Path) -> list[str]:
        """The names that `ignore` means. CheckpointError for a pattern that means none, most likely misspelled."""
        names = list(names)
        for pattern in self.ignore:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise CheckpointError(
                    f"{path} has no tensor {pattern!r} to leave out; there are {listed(names)}", argument="ignore"
                )
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in self.ignore)]

    def renamed(self, names: Iterable[str], path: Path) -> dict[str, str]:
        """What each name becomes, by name. CheckpointError for a renaming that is none or means no tensor, and where
        two tensors would have one name.
        """
        found = {name: name for name in names}
        for rule in self.rename:
            before, after = _sides(rule)
            pattern = re.compile("(.*)".join(map(re.escape, before.split(ANY))))
            matches = {name: match for name, now in found.items() if (match := pattern.fullmatch(now))}
            if not matches:
                way_out = _alike(before, found.values())
                raise CheckpointError(f"{path} has no tensor {before!r} to rename; {way_out}", argument="rename")
            found |= {name: _filled(after, match.groups()) for name, match in matches.items()}
            _refuse_twins(found, rule, path)
        return found


def _sides(rule: str) -> tuple[str, str]:
    """FROM and TO of a renaming."""
    before, _, after = rule.partition(BETWEEN)
    if not before or not after:
        raise CheckpointError(f"{rule!r} is no renaming; write it as FROM=TO, such as 'ff.*=mlp.*'", argument="rename")
    if before.count(ANY) != after.count(ANY):
        counts = f"{before.count(ANY)} {ANY} on the left and {after.count(ANY)} on the right"
        raise CheckpointError(f"{rule!r} has {counts}; each on the right stands for one on the left", argument="rename")
    return before, after


def _alike(before: str, names: Iterable[str]) -> str:
    """The names that look most like one that means none, numbers apart; the first ones where none does."""
    names, one_of = list(names), {}
    for name in reversed(names):
        one_of[re.sub(r"\d+", "0", name).lower()] = name
    plain = re.sub(r"\d+", "0", before).replace(ANY, "0")
    near = [one_of[each] for each in nearest_names(plain, one_of, ALIKE, LEAST_ALIKE)]
    return f"most like it are {', '.join(near)}" if near else f"there are {listed(names)}"


def _filled(after: str, found: Sequence[str]) -> str:
    """TO with what the stars of FROM were."""
    parts = after.split(ANY)
    return parts[0] + "".join(any_of + part for any_of, part in zip(found, parts[1:], strict=True))


def _refuse_twins(names: dict[str, str], rule: str, path: Path) -> None:
    by_name: dict[str, str] = {}
    for name, now in names.items():
        if now in by_name:
            both = f"{by_name[now]!r} and {name!r}"
            raise CheckpointError(f"{path}: after {rule!r} {both} would both be {now!r}", argument="rename")
        by_name[now] = name


EVERYTHING = Selection()
