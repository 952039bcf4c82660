"""Reads branches and loops: every branch as if it were taken, a loop turn by turn where it is short and known.

Strategy: a branch that may be taken gives its names one more value. A loop over files that the script finds in its
own folder is read file by file, with its conditions, `continue` and `break`: which of them it opens is what counts, and
a file that it passes over must not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .changed_names import AssignedNames, forget
from .evaluated_values import UNKNOWN, Unknown, bind_target, either, is_found
from .evaluation import Evaluator
from .expression_reader import ExpressionReader
from .statement_kinds import MAX_LOOP_NODES, is_main_guard, is_short_loop, is_simple, runs_something
from .tree_walk import walk


class TurnLeft(Exception):
    """A turn of a loop over found files ends early; with `is_last` the loop does."""

    def __init__(self, is_last: bool) -> None:
        self.is_last = is_last
        super().__init__()


class BranchReader(ExpressionReader):
    """The walk over branches and loops; `statements` is another class's."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__(evaluator)
        self.assigned = AssignedNames()
        self.running: dict[ast.AST, bool] = {}  # loops that execute, import or start something
        self.again = False  # whether a loop's later turns are read

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The inside of a loop or function of its own, whose `continue` leaves no turn around it."""
        before, self.deciding = self.deciding, None
        try:
            yield
        finally:
            self.deciding = before

    def _if(self, node: ast.If, names: dict[str, Any]) -> None:
        """Both branches, that which is not taken first where that is known."""
        self.expressions(node.test, names)
        if "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            self._branch(node.orelse, names)
            return
        truth = self.evaluator.value(node.test, names)
        if self._decides_turn(node.test) and not isinstance(truth, Unknown):
            self._branch(node.body if truth else node.orelse, names, uncertain=False)
            return
        if truth is True or is_main_guard(node.test):
            self._branch(node.orelse, names)
            self._branch(node.body, names, uncertain=False)
            return
        self._branch(node.body, names)
        following = node.orelse
        while len(following) == 1 and isinstance(following[0], ast.If):  # a chain of elif may be long
            self.expressions(following[0].test, names)
            self._branch(following[0].body, names)
            following = following[0].orelse
        self._branch(following, names)

    def _branch(self, statements: list[ast.stmt], names: dict[str, Any], uncertain: bool = True) -> None:
        """A branch that may be taken gives its names one more value that they may have."""
        self.optional += uncertain
        before = {name: names[name] for name in self.assigned.of(statements) if name in names}
        self.statements(statements, names)
        self.optional -= uncertain
        for name, value in before.items():
            if uncertain and names.get(name) is not value:
                names[name] = either([value, names.get(name, UNKNOWN)])
            elif isinstance(names.get(name), Unknown):
                names[name] = value

    def _for(self, node: ast.For | ast.AsyncFor, names: dict[str, Any]) -> None:
        self.expressions(node.iter, names)
        items = self.evaluator.single(node.iter, names)
        if (found := is_found(items)) and is_short_loop(node.body, len(items), MAX_LOOP_NODES):
            self._each_found(node, items, names)
            return
        with self.apart():
            self._each(node, items if not found else UNKNOWN, names)

    def _each_found(self, node: ast.For | ast.AsyncFor, items: list[Any], names: dict[str, Any]) -> None:
        """A loop over files that were found: the conditions on their names decide which of them are read."""
        before, uncertain = (self.looking, self.deciding), self.optional
        self.looking = uncertain if self.looking is None else self.looking
        self.deciding = (uncertain, self.assigned.of([node]))
        for item in items:
            bind_target(node.target, item, names)
            try:
                self.statements(node.body, names)
            except TurnLeft as left:
                self.optional = uncertain
                if left.is_last:
                    break
        self.looking, self.deciding = before
        self.statements(node.orelse, names)

    def leave_turn(self, is_last: bool) -> None:
        """`continue` and `break` where they are certain to be met."""
        if self.deciding is not None and self.optional == self.deciding[0]:
            raise TurnLeft(is_last)

    def _decides_turn(self, test: ast.expr) -> bool:
        """Whether a condition hangs on the file that a loop over found files has come to."""
        if self.deciding is None or self.optional != self.deciding[0]:
            return False
        return any(isinstance(item, ast.Name) and item.id in self.deciding[1] for item in walk(test))

    def _each(self, node: ast.For | ast.AsyncFor, items: Any, names: dict[str, Any]) -> None:
        if isinstance(items, list | tuple | str | bytes | range) and is_short_loop(node.body, len(items)):
            for item in items:
                bind_target(node.target, item, names)
                self.statements(node.body, names)
            return
        one = items[0] if isinstance(items, list | tuple) and len(items) == 1 else UNKNOWN
        bind_target(node.target, one, names)
        self._turns(node, names)

    def _while(self, node: ast.While, names: dict[str, Any]) -> None:
        """A loop whose condition is known is run, as long as it is simple and short."""
        self.expressions(node.test, names)
        with self.apart():
            self._rounds(node, names)

    def _rounds(self, node: ast.While, names: dict[str, Any]) -> None:
        condition = self.evaluator.value(node.test, names)
        runs = not isinstance(condition, Unknown) and condition and is_simple(node.body)
        left, cost = (MAX_LOOP_NODES, len(walk(node))) if runs else (0, 0)
        while not isinstance(condition, Unknown) and condition and left > 0:
            self.statements(node.body, names)
            left -= cost
            condition = self.evaluator.value(node.test, names)
        if isinstance(condition, Unknown) or condition:
            self._turns(node, names)
        else:
            self.statements(node.orelse, names)

    def _turns(self, node: ast.For | ast.AsyncFor | ast.While, names: dict[str, Any]) -> None:
        """A loop of unknown turns: the first with the names of before it, a later one without what it changes."""
        changed = self.assigned.of(node.body)
        if not self.again:
            self._branch(node.body, names, uncertain=False)
        if node not in self.running:
            self.running[node] = runs_something(node.body)
        reads_again = not self.again and self.running[node]
        for name in changed:
            forget(name, names)
        if reads_again or self.again:
            before, self.again = self.again, True
            self._branch(node.body, names, uncertain=False)
            self.again = before
            for name in changed:
                forget(name, names)
        self.statements(node.orelse, names)
