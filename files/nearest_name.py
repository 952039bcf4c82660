"""What is said of a name that is not known: the known one that it is likely to be, or all there are."""

from __future__ import annotations

from collections.abc import Iterable


def nearest_names(name: str, known: Iterable[str], most: int, alike: float = 0.6) -> list[str]:
    """The known names, so many at most, that look like `name`, whatever the case, the likest first.

    alike : how much of each has to be as in the other, 1 being the same
    """
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    return [by_lower[each] for each in get_close_matches(name.lower(), by_lower, n=most, cutoff=alike)]


def nearest_name(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The known name that looks most like `name`; None where none does."""
    return next(iter(nearest_names(name, known, 1, alike)), None)


def known_names(name: str, known: Iterable[str], words: str = "there are") -> str:
    """`did you mean 'default'?`, or `there are default, everything`: the way out of an error about a name."""
    known = list(known)
    nearest = nearest_name(name, known)
    return f"{words} {', '.join(known)}" if nearest is None else f"did you mean {nearest!r}?"
