"""Reads the expressions of a script: every call in them, those of its own functions with what each caller gives.

Strategy: the inner calls before the outer, each handed to `call_meaning`. What a comprehension or a lambda binds is
bound while its inside is read, so that no name of outside stands for it. A function that runs code is read again with
the arguments of each call; one that is handed on as a value (`map(exec, texts)`) is read as the call that will come,
where that is known, and said where it is not.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from . import call_names, network_names
from .bounded_functions import CHANGING
from .call_meaning import CallMeaning
from .changed_names import AssignedNames, ChangingFunctions, forget, last_name
from .evaluated_calls import bound_names
from .evaluated_values import UNKNOWN, Named, OneOf, Unknown, UserFunction, bind_target, is_found
from .evaluation import Evaluator
from .expression_parts import COMPREHENSIONS, RUNS_CODE, Parts, given_to, parts_of
from .references import Kind, Payload, Reference
from .tree_walk import walk

MAX_CALLS_IN_CALLS = 4
MAX_FOLLOWED_CALLS = 2000
MAX_ITEMS = 64  # of a comprehension or a `map` whose calls are read one by one
MAX_FOUND = 2000  # the same of files that were found
NAMES_A_STEP = 8  # names copied for a function that cost as much as a step of evaluation
FOLLOWED_CALLS = set(
    "exec eval import_module __import__ run_path spec_from_file_location CDLL run Popen call check_call check_output "
    "system popen open load fromfile memmap read_bytes read_text".split()
)
FOLLOWED_KINDS = {
    Kind.EXECUTED_FILE,
    Kind.LIBRARY,
    Kind.MODULE,
    Kind.NATIVE_SOURCE,
    Kind.PROGRAM,
    Kind.READ_FILE,
    Kind.STARTED_MODULE,
    Kind.STARTED_SCRIPT,
}
HANDED_ON = RUNS_CODE | call_names.STARTERS | call_names.OPENERS | call_names.READERS | network_names.FUNCTIONS
MAPPING = {"map", "imap", "imap_unordered", "map_async", "filter", "starmap"}
TARGETING = {"Thread", "Process", "Timer"}
RUNNING = {"partial", "submit", "register", "apply", "apply_async", "call_soon", "call_later", "run_in_executor"}
RUNNING |= {"to_thread", "finalize", "run_sync", "partialmethod"}
COMPARING = {
    "isinstance",
    "issubclass",
    "type",
    "id",
    "print",
    "callable",
    "repr",
    "str",
    "getattr",
    "setattr",
    "hasattr",
}


class ExpressionReader(ABC):
    """Reads expressions; `references` and `payloads` are what was found, `followed` the functions that ran code."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.references: list[Reference] = []
        self.payloads: list[Payload] = []
        self.attributes: dict[str, Any] = {}  # of classes and objects, by their own names alone
        self.calls = CallMeaning(evaluator, self.attributes, self.found)
        self.changing = ChangingFunctions(ast.Module([], []), AssignedNames())
        self.loads_libraries = False  # whether ctypes was imported
        self.inside = ""  # the plain function whose body is read
        self.told = 0  # references of the kinds that a followed call is read for
        self.calls_left = MAX_FOLLOWED_CALLS
        self.calling: list[ast.AST] = []  # functions whose calls are being followed
        self.followed: set[ast.AST] = set()  # those that executed what their callers gave them
        self.parts: dict[ast.AST, Parts] = {}
        self.as_statements: dict[ast.expr, ast.Expr] = {}
        self.executing: dict[ast.AST, bool] = {}
        self.optional = 0  # how many of the `try`, branches and functions around a statement make it uncertain
        self.looking: int | None = None  # how many there were around the loop over found files that is read
        self.deciding: tuple[int, frozenset[str]] | None = None  # they, and the names whose values decide a turn of it
        self.statement: ast.AST | None = None  # the call that is a statement of its own: `a.append(b)`

    def found(self, item: Reference | Payload) -> None:
        if isinstance(item, Payload):
            self.payloads.append(item)
        else:
            if self.inside and item.kind is Kind.NETWORK and not self.calling:
                item = replace(item, inside=self.inside)
            if self.looking is not None and item.kind is Kind.READ_FILE:
                item = replace(item, listed=True, possible=self.optional > self.looking)
            self.loads_libraries |= item.kind is Kind.MODULE and item.name.startswith("ctypes")
            self.references.append(item)
            self.told += item.kind in FOLLOWED_KINDS

    @abstractmethod
    def statements(self, statements: list[ast.stmt], names: dict[str, Any]) -> None:
        """Read statements; the walk over them is another class's."""

    def expressions(self, node: ast.AST | None, names: dict[str, Any]) -> None:
        """Every call in an expression, or in a statement without a body."""
        if node is None:
            return
        if node not in self.parts:  # a function may be read many times
            self.parts[node] = parts_of(node)
        parts = self.parts[node]
        for scope in parts.scopes:
            self._scope(scope, names)
        for call in parts.calls:
            self._call(self._expanded(call, names), names)
        for item in parts.subscripts if self.loads_libraries else ():
            self.calls.loaded(item, names)
        for name, setting in parts.settings:
            self.calls.environment(name, self.evaluator.value(setting, names), setting.lineno)
        for value in parts.values:
            if value is not node and self._runs_code(value, names):
                self._doubt(f"{self.evaluator.value(value, names).name} is used as a value, which", value)

    def as_statement(self, node: ast.expr) -> ast.Expr:
        """An expression as a statement, in which it is a value itself; the same each time."""
        if node not in self.as_statements:
            self.as_statements[node] = ast.Expr(node)
        return self.as_statements[node]

    def _call(self, call: ast.Call, names: dict[str, Any]) -> None:
        if isinstance(call.func, ast.Attribute) and call.func.attr in CHANGING:
            self._forget_changed(call, names)
        self.calls.read(call, names)
        callee = self.evaluator.alternatives(call.func, names)
        handed = any(self._runs_code(item, names) for item in given_to(call))
        functions = callee.values if isinstance(callee, OneOf) else (callee,)
        for function in functions:
            if isinstance(function, UserFunction):
                self._follow_call(function, call, names, handed)
        if not all(isinstance(function, UserFunction) for function in functions):
            self._hand_on(call, names)
        self.changing.forget(call, names)

    def _forget_changed(self, call: ast.Call, names: dict[str, Any]) -> None:
        """`x = a.pop()`: a list that changes inside an expression is not known after it."""
        if (
            call is not self.statement
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
        ):
            forget(call.func.value.id, names, only_content=True)

    def _runs_code(self, node: ast.expr, names: dict[str, Any]) -> bool:
        value = self.evaluator.value(node, names) if isinstance(node, ast.Name | ast.Attribute) else UNKNOWN
        return isinstance(value, Named) and value.name in RUNS_CODE

    def _doubt(self, what: str, node: ast.expr) -> None:
        self.found(Reference(Kind.UNREADABLE, f"{what} is not followed", node.lineno))

    def _hand_on(self, call: ast.Call, names: dict[str, Any]) -> None:
        """A function as an argument: the calls that come of it, or that they are not known."""
        for function in given_to(call):
            value = self.evaluator.value(function, names) if isinstance(function, ast.Name | ast.Attribute) else UNKNOWN
            if not isinstance(value, Named | UserFunction) or (
                isinstance(value, Named) and value.name not in HANDED_ON
            ):
                continue
            coming = self._coming_calls(call, function, names)
            before = self.looking
            if any(is_found(self.evaluator.value(item, names)) for item in call.args[1:]):
                self.looking = self.optional if before is None else before
            for each in coming or ():
                if isinstance(value, UserFunction):
                    self._follow_call(value, each, names, False)
                else:
                    self.calls.read(each, names)
            self.looking = before
            if coming is None and isinstance(value, Named) and value.name in RUNS_CODE:
                if last_name(call.func) not in COMPARING:
                    self._doubt(f"{value.name} is handed on to {last_name(call.func) or 'a function'}, which", call)

    def _coming_calls(self, call: ast.Call, function: ast.expr, names: dict[str, Any]) -> list[ast.Call] | None:
        """The calls of `function` that a call which is given it makes; None where they are not known."""
        name = last_name(call.func)
        following = call.args[call.args.index(function) + 1 :] if function in call.args else []
        if name in MAPPING and following:
            items = self.evaluator.value(following[0], names)
            if not isinstance(items, list | tuple) or len(items) > most_items(items):
                return None
            return [_made_call(call, function, item if name == "starmap" else [item]) for item in items]
        if name in TARGETING:
            arguments = next((item.value for item in call.keywords if item.arg == "args"), None)
            items = self.evaluator.value(arguments, names) if arguments is not None else []
            return [_made_call(call, function, items)] if isinstance(items, list | tuple) else None
        if name in RUNNING:
            made = ast.Call(function, following, call.keywords)
            return [ast.copy_location(made, call)]
        return None

    def _expanded(self, call: ast.Call, names: dict[str, Any]) -> ast.Call:
        """A call whose `*items` and `**items` are known, with these as its arguments."""
        if not any(isinstance(item, ast.Starred) for item in call.args) and all(item.arg for item in call.keywords):
            return call
        arguments: list[ast.expr] = []
        for item in call.args:
            value: Any = self.evaluator.value(item.value, names) if isinstance(item, ast.Starred) else UNKNOWN
            known = isinstance(value, list | tuple) and len(value) <= MAX_ITEMS
            arguments += [_carried(part, call) for part in value] if known else [item]
        keywords: list[ast.keyword] = []
        for keyword in call.keywords:
            value = UNKNOWN if keyword.arg else self.evaluator.value(keyword.value, names)
            known = isinstance(value, dict) and all(isinstance(key, str) for key in value)
            keywords += [ast.keyword(key, _carried(part, call)) for key, part in value.items()] if known else [keyword]
        return ast.copy_location(ast.Call(call.func, arguments, keywords), call)

    def _scope(self, node: ast.expr, names: dict[str, Any]) -> None:
        """The inside of a comprehension or a lambda, with the names that it binds."""
        self.evaluator.steps -= len(names) // NAMES_A_STEP
        inner = dict(names) if self.evaluator.steps > 0 else {}
        if isinstance(node, ast.Lambda):
            inner.update(dict.fromkeys((item.arg for item in walk(node.args) if isinstance(item, ast.arg)), UNKNOWN))
            self.expressions(node.body, inner)
        elif isinstance(node, COMPREHENSIONS):
            self._comprehension(node, inner)

    def _comprehension(self, node: Any, inner: dict[str, Any]) -> None:
        items: Any = UNKNOWN
        for generator in node.generators:
            self.expressions(generator.iter, inner)
            items = self.evaluator.value(generator.iter, inner)
            bind_target(generator.target, UNKNOWN, inner)
        conditions = [condition for generator in node.generators for condition in generator.ifs]
        inside = [*conditions, *([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])]
        one_by_one = len(node.generators) == 1 and isinstance(items, list | tuple) and len(items) <= most_items(items)
        before, uncertain = self.looking, self.optional
        self.looking = uncertain if one_by_one and is_found(items) and self.looking is None else self.looking
        for item in items if one_by_one else [UNKNOWN]:
            bind_target(node.generators[-1].target, item, inner)
            told = [self.evaluator.value(test, inner) for test in conditions] if is_found(items) else []
            left_out = any(not isinstance(each, Unknown) and not each for each in told)
            self.optional += any(isinstance(each, Unknown) for each in told)
            for part in conditions if left_out else inside:
                self.expressions(part, inner)
            self.optional = uncertain
        self.looking = before

    def _follow_call(self, function: UserFunction, call: ast.Call, names: dict[str, Any], handed: bool) -> None:
        """A function that executes text is read again with what this call gives it: `install("a", "source of a")`."""
        node = function.node
        if node not in self.executing:
            self.executing[node] = any(last_name(item) in FOLLOWED_CALLS for item in walk(node))
        if not (self.executing[node] or handed) or node in self.calling:
            return
        if len(self.calling) >= MAX_CALLS_IN_CALLS or self.evaluator.steps <= 0 or self.calls_left <= 0:
            return
        self.calls_left -= 1
        arguments = [self.evaluator.alternatives(item, names) for item in call.args]
        options = {item.arg: self.evaluator.alternatives(item.value, names) for item in call.keywords if item.arg}
        before = len(self.payloads) + self.told
        self.calling.append(node)
        deciding, self.deciding = self.deciding, None
        inner = bound_names(self.evaluator, function, arguments, options)
        if isinstance(node, ast.Lambda):
            self.expressions(node.body, inner)
        else:
            self.statements(node.body, inner)
        self.deciding = deciding
        self.calling.pop()
        if len(self.payloads) + self.told > before:
            self.followed.add(node)


def most_items(items: Any) -> int:
    """How many items of a comprehension or a `map` are read one by one."""
    return MAX_FOUND if is_found(items) else MAX_ITEMS


def _carried(value: Any, place: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Constant(value), place)


def _made_call(place: ast.Call, function: ast.expr, values: Any) -> ast.Call:
    made = ast.Call(function, [_carried(value, place) for value in values], [])
    return ast.copy_location(made, place)
