"""The project's own source files: what the tests about the code itself look at.

Strategy: a file is read, parsed and walked once a session, however many rules ask about it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = (
    "files",
    "format",
    "runtime",
    "packing",
    "compiler",
    "submissions",
    "report",
    "lab",
    "interface",
    "cli",
    "integrations",
)


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Every Python file of the given top folders, sorted; "" stands for the modules of the root package."""
    found: list[Path] = []
    for folder in folders:
        found += (ROOT / folder).rglob("*.py") if folder else ROOT.glob("*.py")
    return tuple(sorted(path for path in found if "__pycache__" not in path.parts))


@cache
def source_lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").splitlines())


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file, function bodies included."""
    return tuple(ast.walk(parsed(path)))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
