"""Findings on what code names that is no file: programs, the network, text that is computed, pickles.

Strategy: one finding for each name, at the first of its places; how many there are is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..files.code.closure_records import CodeClosure
from ..files.code.references import Kind
from ..files.listing import listed
from .findings import Finding, Level

ONLY_LOOKS = {
    "nvidia-smi",
    "hostname",
    "uname",
    "lscpu",
    "nproc",
    "free",
    "df",
    "whoami",
    "git",
    "pyminify",
    "nvidia_smi",
}
SHOWN_NAMES = 6


def named_findings(closure: CodeClosure) -> Iterator[Finding]:
    """A finding a kind of thing and name."""
    by_kind: dict[Kind, dict[str, list[str]]] = {}
    for place, reference in closure.named:
        by_kind.setdefault(reference.kind, {}).setdefault(reference.name, []).append(place)
    for name, places in by_kind.get(Kind.PROGRAM, {}).items():
        level = Level.INFORMATION if name in ONLY_LOOKS else Level.FINDING
        text = f"starts the program {name}{times_told(places)}"
        yield Finding("code-external-program", level, text, places[0], {"program": name})
    yield from _network_findings(closure)
    for name, places in by_kind.get(Kind.INLINE_NATIVE, {}).items():
        text = f"compiles source text inside the script with {name}{times_told(places)}"
        yield Finding("code-inline-native", Level.INFORMATION, text, places[0])
    for name, places in by_kind.get(Kind.UNREADABLE, {}).items():
        text = f"runs code that could not be followed: {name}{times_told(places)}"
        yield Finding("code-unread-payload", Level.FINDING, text, places[0])
    for name, places in by_kind.get(Kind.COMPUTED, {}).items():
        yield Finding("code-computed", Level.FINDING, f"{name}{times_told(places)}", places[0])
    computed = by_kind.get(Kind.COMPUTED_FILE, {})
    if computed:
        count = sum(len(places) for places in computed.values())
        names = f"{listed(list(computed), SHOWN_NAMES)}{times_told(range(count))}"
        text = f"opens files by computed names, which are not known: {names}"
        yield Finding(
            "code-computed-file", Level.INFORMATION, text, next(iter(computed.values()))[0], {"places": count}
        )
    unpickling = by_kind.get(Kind.UNPICKLING, {})
    if unpickling:
        count = sum(len(places) for places in unpickling.values())
        text = f"unpickles without restriction: {listed(list(unpickling), SHOWN_NAMES)}{times_told(range(count))}"
        yield Finding("code-unpickling", Level.INFORMATION, text, next(iter(unpickling.values()))[0], {"places": count})


def _network_findings(closure: CodeClosure) -> Iterator[Finding]:
    places: dict[tuple[str, bool], list[str]] = {}
    for place, reference in closure.named:
        if reference.kind is Kind.NETWORK:
            places.setdefault((reference.name, reference.uncalled), []).append(place)
    for (name, uncalled), where in places.items():
        level = Level.INFORMATION if uncalled else Level.FINDING
        text = (
            f"would use the network, in a function that nothing calls: {name}"
            if uncalled
            else f"uses the network: {name}"
        )
        yield Finding("code-network", level, f"{text}{times_told(where)}", where[0])


def times_told(places: Sequence[object]) -> str:
    """ " (3 places)"; nothing for one."""
    return f" ({len(places)} places)" if len(places) > 1 else ""
