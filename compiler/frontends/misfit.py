"""What of a checkpoint's tensors does not fit an architecture.

Strategy: a frontend says which names and shapes it expects; the comparison and its words are the same
for every family.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from ...files.listing import listed

NAMES_IN_A_MESSAGE = 8
RENAMING = "--rename FROM=TO"


def misfit(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    *,
    optional: Collection[str] = (),
    surplus: Collection[str] = (),
) -> str:
    """The missing, unexpected and misshapen tensors in words; empty when there are none.

    optional : names that may be missing; surplus : names that may be there although nothing expects them
    """
    lists = {
        "missing": [name for name in expected if name not in tensors and name not in optional],
        "unexpected": [name for name in tensors if name not in expected and name not in surplus],
        "misshapen": [
            f"{name} is {list(tensors[name].shape)}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    found = [f"{kind}: {listed(names, NAMES_IN_A_MESSAGE)}" for kind, names in lists.items() if names]
    own = {name.partition(".")[0] for name in expected}
    others = sorted({name.partition(".")[0] for name in lists["unexpected"] if _is_inside(name, expected)} - own)
    if others:
        found.append(f"of a second model beside it, which {ignoring(f'{other}.*' for other in others)} leaves out")
    return "; ".join(found)


def lacking(
    family: str,
    untold: Sequence[str],
    missing: Sequence[str],
    tensors: Iterable[str],
    is_known: Callable[[str], bool],
) -> str:
    """What to say of tensors without which no model of a family is written, after the name of the file.

    untold : hyperparameters that they would tell;  missing : their names, N for each layer
    is_known : whether the family has a tensor of this name; of the others one a layer stands for all
    """
    others = {re.sub(r"\d+", "N", name, count=1): name for name in reversed([*tensors]) if not is_known(name)}
    told = f"the tensors of {family} that would tell {', '.join(untold)}" if untold else f"tensors of {family}"
    found = f"; unexpected: {listed([*reversed(others.values())], NAMES_IN_A_MESSAGE)}" if others else ""
    end = (
        f"it is another architecture, or has other names for its tensors, which {RENAMING} changes"
        if others
        else "it is another architecture or incomplete"
    )
    return f"lacks {told} ({', '.join(missing)}){found}; {end}"


def _is_inside(name: str, expected: Collection[str]) -> bool:
    """Whether a name is an expected one behind the names of modules."""
    parts = name.split(".")
    return any(".".join(parts[start:]) in expected for start in range(1, len(parts)))


def ignoring(patterns: Iterable[str]) -> str:
    """The options that leave out the tensors of these names."""
    return " ".join(f"--ignore '{pattern}'" for pattern in patterns)
