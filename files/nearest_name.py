"""What is said of a name that is not known: the known one that it is likely to be, or all there are."""

from __future__ import annotations

from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The known name that looks most like `name`, whatever the case; None where none does, 1 being the same."""
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[close[0]] if close else None


def known_names(name: str, known: Iterable[str], words: str = "there are") -> str:
    """`did you mean 'default'?`, or `there are default, everything`: the way out of an error about a name."""
    known = list(known)
    nearest = nearest_name(name, known)
    return f"{words} {', '.join(known)}" if nearest is None else f"did you mean {nearest!r}?"
