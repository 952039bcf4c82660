"""What is known of a closure when all of it was read: which functions nothing calls, the order of its files."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from .called_functions import called_functions
from .closure_records import ClosureFile, CodeClosure, Role
from .references import Kind
from .side_files import Purpose

CALLS_ANYTHING = {Kind.COMPUTED, Kind.UNREADABLE}


def mark_uncalled(closure: CodeClosure) -> None:
    """Mark uses of the network in functions that nothing calls, where all calls are known by name."""
    named = closure.named
    if not any(item.inside for _, item in named) or any(item.kind in CALLS_ANYTHING for _, item in named):
        return
    trees = [source.tree for source in closure.sources.values()]
    called = called_functions(trees, [payload.text for payload in closure.payloads])
    closure.named = [
        (place, replace(item, uncalled=bool(item.inside) and item.inside not in called)) for place, item in named
    ]


def put_in_order(closure: CodeClosure) -> None:
    """Given files first, then the others by path; what the scripts write themselves does not count."""
    files = [
        _own_output(file) if file.role is Role.READ and posixpath.basename(file.path) in closure.written else file
        for file in closure.files.values()
    ]
    given = [file for file in files if file.role is Role.GIVEN]
    others = sorted((file for file in files if file.role is not Role.GIVEN), key=lambda file: file.path)
    closure.files = {file.path: file for file in (*given, *others)}


def _own_output(file: ClosureFile) -> ClosureFile:
    return ClosureFile(file.path, file.bytes, file.role, file.place, file.assumed, Purpose.OWN_OUTPUT)
