"""What calls mean by the paths that they are given: files, libraries, folders of modules, folders that are looked into.

Strategy: a path is evaluated; where only its end is known, that end is kept and marked as assumed, and where nothing
is, that is said of what runs code. Variables of the environment that make something run are paths, too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from . import call_names
from .call_arguments import CallArguments, as_word, is_system_library
from .commands import setting_references
from .evaluated_values import Found, Named
from .evaluation import Evaluator
from .references import Kind, Payload, Reference

FOUND = Callable[[Reference | Payload], None]


class CallPaths(CallArguments):
    """Hands what paths mean to `found`."""

    def __init__(self, evaluator: Evaluator, attributes: dict[str, Any], found: FOUND) -> None:
        super().__init__(evaluator, attributes)
        self.found = found

    def say(self, kind: Kind, name: str, call: ast.Call, **more: Any) -> None:
        self.found(Reference(kind, name, call.lineno, **more))

    def path(
        self, kind: Kind, call: ast.Call, place: int, names: dict[str, Any], via: str, keyword: str = "path"
    ) -> None:
        path = self.path_text(call, place, names, keyword)
        if path is not None:
            self.say(kind, path[0], call, via=via, assumed=path[1])
        elif kind in (Kind.EXECUTED_FILE, Kind.LIBRARY) and not is_system_library(call):
            self.computed(f"{kind.value} of a computed path ({via})", call)
        elif kind is Kind.READ_FILE and via not in call_names.SILENT_READS and (call.args or call.keywords):
            self.say(Kind.COMPUTED_FILE, via, call)

    def library(self, name: str, call: ast.Call, names: dict[str, Any]) -> None:
        """A library that is loaded; numpy's loader takes its name and its folder apart, without the ending."""
        if name.startswith("numpy.") and len(call.args) > 1:
            parts = [as_word(self.evaluator.value(item, names)) for item in call.args[:2]]
            if None not in parts:
                path = f"{parts[1]}/{str(parts[0]).removesuffix('.so')}.so"
                self.say(Kind.LIBRARY, path, call, via=name)
                return
        self.path(Kind.LIBRARY, call, 1 if name.startswith("imp.") else 0, names, name, "name")

    def environment(self, name: str, value: Any, line: int) -> None:
        """A variable that names files which run at the start of a process, or folders of modules."""
        if name in call_names.STARTING_VARIABLES and not isinstance(value, str):
            self.found(Reference(Kind.COMPUTED, f"sets {name} to a computed text", line))
        elif isinstance(value, str):
            for item in setting_references(name, value, line):
                self.found(item)

    def import_paths(self, node: ast.AST, names: dict[str, Any]) -> None:
        """Paths among the parts of an expression that becomes part of `sys.path`."""
        for item in ast.walk(node):
            if not isinstance(item, ast.expr):
                continue
            value = self.evaluator.value(item, names)
            if isinstance(value, str | PurePosixPath) and str(value) and "\n" not in str(value):
                self.found(Reference(Kind.IMPORT_PATH, str(value), item.lineno, via="sys.path"))

    def loaded(self, node: ast.Subscript, names: dict[str, Any]) -> None:
        """`ctypes.cdll["./a.so"]` loads a library."""
        owner = self.evaluator.value(node.value, names)
        if isinstance(owner, Named) and owner.name in call_names.LOADERS:
            made = ast.Call(node.value, [node.slice], [])
            self.path(Kind.LIBRARY, ast.copy_location(made, node), 0, names, owner.name)

    def look(self, name: str, call: ast.Call, names: dict[str, Any]) -> None:
        """Files that are looked for in a folder of the submission."""
        found = self.evaluator.value(call, names)
        if isinstance(found, Found) and found.paths:
            self.say(Kind.LISTED_FILES, name, call, via=name, files=found.paths)

    def computed(self, what: str, call: ast.Call) -> None:
        """Something that cannot be looked for, since what it names is not known here."""
        self.say(Kind.COMPUTED, what, call)
