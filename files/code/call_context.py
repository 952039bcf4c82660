"""What calls, statements of functions and forms of their own ask of the evaluator of expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Protocol


class CallContext(Protocol):
    """What calls ask of the evaluator of expressions."""

    files_read: list[str]
    decoders: dict[str, None]

    @property
    def read_file(self) -> Callable[[str], bytes | None]:
        """Gives the bytes of a file that the script may read, None for others."""

    @property
    def file_exists(self) -> Callable[[str], bool]:
        """Tells whether there is a file or folder."""

    @property
    def files_below(self) -> Callable[[str], list[str]]:
        """Names the files in a folder and in those below it, relative to it."""

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression."""

    def alternatives(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression, or `OneOf` those that it may have."""

    def single(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression if it can have but one."""

    def known(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression; CannotDecode where it cannot be told."""

    def spend(self, steps: int) -> None:
        """Count work."""

    def assign(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        """Do an assignment."""
