"""Which module of the package imports which, read from the source: imports inside functions and for
types only count too.

Strategy: a module is its path below the root without suffix, a package its folder. `from .x import y`
reaches module x/y where there is one, and x otherwise; that importing a module also runs the packages
above it is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from source_tree import ROOT, nodes, python_files


def module_of(path: Path) -> str:
    """`compiler/menu/offers` of a file, `compiler/menu` of a package's `__init__`."""
    place = path.relative_to(ROOT).with_suffix("")
    return str(place.parent if place.name == "__init__" else place)


@cache
def modules(*folders: str) -> dict[str, Path]:
    """Every module of the given top folders."""
    return {module_of(path): path for path in python_files(*folders)}


def targets(path: Path, node: ast.ImportFrom, known: frozenset[str]) -> Iterator[str]:
    """Modules that a relative import in a file reaches, of those that are known."""
    folder = path.parent.relative_to(ROOT).parts
    parts = [*folder[: len(folder) - node.level + 1], *(node.module.split(".") if node.module else [])]
    base = "/".join(parts)
    for alias in node.names:
        inner = f"{base}/{alias.name}" if base else alias.name
        if inner in known:
            yield inner
        elif base in known:
            yield base


@cache
def import_graph(*folders: str) -> dict[str, frozenset[str]]:
    """Module -> the modules that it imports, itself left out."""
    known = modules(*folders)
    names = frozenset(known)
    return {
        module: frozenset(
            target
            for node in nodes(path)
            if isinstance(node, ast.ImportFrom) and node.level
            for target in targets(path, node, names)
        )
        - {module}
        for module, path in known.items()
    }


def find_circle(graph: dict[str, frozenset[str]]) -> list[str]:
    """One circle of imports, from a module back to itself; empty when there is none."""
    done: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        circle = _walk(start, graph, path, done)
        if circle:
            return circle
    return []


def _walk(module: str, graph: dict[str, frozenset[str]], path: list[str], done: set[str]) -> list[str]:
    if module in path:
        return [*path[path.index(module) :], module]
    if module in done:
        return []
    path.append(module)
    for target in sorted(graph[module]):
        circle = _walk(target, graph, path, done)
        if circle:
            return circle
    path.pop()
    done.add(module)
    return []
