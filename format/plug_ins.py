"""What installed packages offer to bytecap by entry points, whole or broken.

Strategy: every entry of a group is loaded and judged in the order of packages and names, so that the same one wins on
every machine. What fails must not keep anybody from work with the others: it is kept with the reason, which names its
package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any


@dataclass(frozen=True)
class PlugIn:
    """Something that a package offers.

    kind : "frontend" or "codec";  name : of the entry point;  package, version : who offers it
    thing : what was loaded, None where that failed;  fault : why it is left out, empty where it is not
    """

    kind: str
    name: str
    package: str
    version: str
    thing: Any
    fault: str

    @property
    def sentence(self) -> str:
        """What is said of one that is left out."""
        return f"the package {self.package} offers the {self.kind} {self.name!r}, which is left out: {self.fault}"


def installed_plug_ins(group: str, kind: str, fault_of: Callable[[Any, Sequence[Any]], str]) -> Iterator[PlugIn]:
    """Every entry of a group; `fault_of(thing, those before it)` says why one cannot be used, or nothing.

    An entry may be an object or a class to be called without arguments.
    """
    whole: list[Any] = []
    for entry in sorted(entry_points(group=group), key=lambda entry: (_package(entry), entry.name)):
        thing = None
        try:
            loaded = entry.load()
            thing = loaded() if isinstance(loaded, type) else loaded
            fault = fault_of(thing, whole)
        except Exception as error:  # whatever other people's modules raise
            fault = f"it cannot be loaded ({type(error).__name__}: {error})"
        if not fault:
            whole.append(thing)
        version = entry.dist.version if entry.dist is not None else ""
        yield PlugIn(kind, entry.name, _package(entry), version, thing, fault)


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
