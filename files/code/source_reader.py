"""Reads one syntax tree in the order in which it would run, and lists what it refers to.

Strategy: statements bind names to what `evaluation` can tell of their values; calls are handed to
`call_meaning`. Every branch is read as if it were taken and every function as if it were called, after
the module's own statements: a file too many is seen in the list, a file too few is an understated size.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .call_meaning import CallMeaning
from .evaluated_calls import bound_names
from .evaluated_values import UNKNOWN, Named, Unknown, UserFunction, bind_target
from .evaluation import Evaluator
from .references import Kind, Payload, Reference

IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "OSError"}
MAX_CALLS_IN_CALLS = 4
MAX_FOLLOWED_CALLS = 2000
FOLLOWED_CALLS = set(
    "exec eval import_module __import__ run_path spec_from_file_location CDLL run Popen call check_call check_output "
    "system popen".split()
)
DOUBTS = {Kind.COMPUTED, Kind.UNREADABLE}
FOLLOWED_KINDS = {
    Kind.EXECUTED_FILE,
    Kind.LIBRARY,
    Kind.MODULE,
    Kind.NATIVE_SOURCE,
    Kind.PROGRAM,
    Kind.STARTED_MODULE,
    Kind.STARTED_SCRIPT,
}
MAX_LOOP_NODES = 100_000  # of a loop over known items: items times syntax nodes of the body
NAMES_A_STEP = 8  # names copied for a function that cost as much as a step of evaluation
SIMPLE_LOOP = ast.Assign | ast.AugAssign | ast.Expr


class SourceReader:
    """One walk over one tree; `references` and `payloads` are its result."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.references: list[Reference] = []
        self.payloads: list[Payload] = []
        self.attributes: dict[str, Any] = {}  # of classes and objects, by their own names alone
        self.calls = CallMeaning(evaluator, self.attributes, self._found)
        self.waiting: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, dict[str, Any]]] = []
        self.optional = 0  # how many of the `try`, branches and functions around a statement make an import uncertain
        self.told = 0  # references of the kinds that a followed call is read for
        self.calls_left = MAX_FOLLOWED_CALLS
        self.calling: list[ast.AST] = []  # functions whose calls are being followed
        self.followed: set[ast.AST] = set()  # those that executed what their callers gave them
        self.calls_in: dict[ast.AST, list[ast.Call]] = {}
        self.executing: dict[ast.AST, bool] = {}

    def read(self, tree: ast.Module) -> None:
        """Read a module and then its functions, each with the names that are known after what is around it."""
        doubts: list[tuple[ast.AST, Reference]] = []  # what a function alone does not tell, and its callers may
        self._statements(tree.body, {})
        for function, around in self.waiting:  # grows: functions hold functions
            self.evaluator.steps -= len(around) // NAMES_A_STEP
            names = dict(around) if self.evaluator.steps > 0 else {}
            parameters = (item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg))
            names.update(dict.fromkeys(parameters, UNKNOWN))
            self.optional += 1
            before = len(self.references)
            self._statements(function.body, names)
            doubts += [(function, item) for item in self.references[before:] if item.kind in DOUBTS]
            self.optional -= 1
        answered = {id(item) for function, item in doubts if function in self.followed}
        self.references = [item for item in self.references if id(item) not in answered]

    def _found(self, item: Reference | Payload) -> None:
        if isinstance(item, Payload):
            self.payloads.append(item)
        else:
            self.references.append(item)
            self.told += item.kind in FOLLOWED_KINDS

    def _statements(self, statements: list[ast.stmt], names: dict[str, Any]) -> None:
        for statement in statements:
            handler = STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement, names)
            else:
                self._expressions(statement, names)

    def _expressions(self, node: ast.AST | None, names: dict[str, Any]) -> None:
        """Every call in an expression, or in a statement without a body, the inner before the outer."""
        if node is None:
            return
        if node not in self.calls_in:  # a function may be read many times
            self.calls_in[node] = [item for item in ast.walk(node) if isinstance(item, ast.Call)][::-1]
        for call in self.calls_in[node]:
            self.calls.read(call, names)
            if isinstance(call.func, ast.Name) and isinstance(names.get(call.func.id), UserFunction):
                self._follow_call(names[call.func.id], call, names)

    def _follow_call(self, function: UserFunction, call: ast.Call, names: dict[str, Any]) -> None:
        """A function that executes text is read again with what this call gives it: `install("a", "source of a")`."""
        node = function.node
        if node not in self.executing:
            self.executing[node] = any(_last_name(item) in FOLLOWED_CALLS for item in ast.walk(node))
        if not self.executing[node] or not isinstance(node, ast.FunctionDef) or node in self.calling:
            return
        if len(self.calling) >= MAX_CALLS_IN_CALLS or self.evaluator.steps <= 0 or self.calls_left <= 0:
            return
        self.calls_left -= 1
        arguments = [self.evaluator.value(item, names) for item in call.args]
        options = {item.arg: self.evaluator.value(item.value, names) for item in call.keywords if item.arg}
        before = len(self.payloads) + self.told
        self.calling.append(node)
        self._statements(node.body, bound_names(self.evaluator, function, arguments, options))
        self.calling.pop()
        if len(self.payloads) + self.told > before:
            self.followed.add(node)

    def _import(self, node: ast.Import, names: dict[str, Any]) -> None:
        for alias in node.names:
            self._found(Reference(Kind.MODULE, alias.name, node.lineno, bool(self.optional)))
            names[alias.asname or alias.name.split(".")[0]] = Named(
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def _import_from(self, node: ast.ImportFrom, names: dict[str, Any]) -> None:
        module, listed = node.module or "", tuple(alias.name for alias in node.names)
        optional = bool(self.optional)
        self._found(Reference(Kind.MODULE, module, node.lineno, optional, dots=node.level, submodules=listed))
        for alias in node.names:
            names[alias.asname or alias.name] = Named(f"{module}.{alias.name}") if not node.level else UNKNOWN

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: dict[str, Any]) -> None:
        for around in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            self._expressions(around, names)
        names[node.name] = UserFunction(node, names) if isinstance(node, ast.FunctionDef) else UNKNOWN
        self.waiting.append((node, names))

    def _class(self, node: ast.ClassDef, names: dict[str, Any]) -> None:
        for around in (*node.decorator_list, *node.bases, *(item.value for item in node.keywords)):
            self._expressions(around, names)
        inner = dict(names)
        self._statements(node.body, inner)
        for name, value in inner.items():
            if name not in names:
                self._attribute(name, value)
        names[node.name] = UNKNOWN

    def _attribute(self, name: str, value: Any) -> None:
        """An attribute with two different values is unknown."""
        if not isinstance(value, UserFunction | Unknown):
            same = name not in self.attributes or self.attributes[name] is value or self.attributes[name] == value
            self.attributes[name] = value if same else UNKNOWN

    def _assign(self, node: ast.Assign | ast.AnnAssign, names: dict[str, Any]) -> None:
        self._expressions(node.value, names)
        if node.value is None:
            return
        value = self.evaluator.value(node.value, names)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            bind_target(target, value, names)
            if isinstance(target, ast.Attribute):
                self._attribute(target.attr, value)
            if isinstance(target, ast.Subscript):
                self._provide(target, names)

    def _provide(self, target: ast.Subscript, names: dict[str, Any]) -> None:
        """`sys.modules["a.b"] = ...` makes a module that no file holds."""
        if self.evaluator.value(target.value, names) == Named("sys.modules"):
            name = self.evaluator.value(target.slice, names)
            if isinstance(name, str):
                self._found(Reference(Kind.PROVIDED_MODULE, name, target.lineno))

    def _augmented(self, node: ast.AugAssign, names: dict[str, Any]) -> None:
        self._expressions(node.value, names)
        if isinstance(node.target, ast.Name):
            sum_of_both = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
            names[node.target.id] = self.evaluator.value(sum_of_both, names)

    def _expression(self, node: ast.Expr, names: dict[str, Any]) -> None:
        self._expressions(node.value, names)
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            if node.value.func.attr in ("append", "extend"):  # grows a list that a name holds
                self.evaluator.value(node.value, names)

    def _if(self, node: ast.If | ast.While, names: dict[str, Any]) -> None:
        """Both branches, that which is not taken first where that is known."""
        self._expressions(node.test, names)
        if "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            self._branch(node.orelse, names)
            return
        if self.evaluator.value(node.test, names) is True or _is_main_guard(node.test):
            self._branch(node.orelse, names)
            self._branch(node.body, names, uncertain=False)
            return
        self._branch(node.body, names)
        following = node.orelse
        while len(following) == 1 and isinstance(following[0], ast.If):  # a chain of elif may be long
            self._expressions(following[0].test, names)
            self._branch(following[0].body, names)
            following = following[0].orelse
        self._branch(following, names)

    def _branch(self, statements: list[ast.stmt], names: dict[str, Any], uncertain: bool = True) -> None:
        """A branch may give a name a value, and leaves a known value where its own is unknown."""
        self.optional += uncertain
        before = {name: names[name] for name in _assigned_names(statements) if name in names}
        self._statements(statements, names)
        self.optional -= uncertain
        for name, value in before.items():
            if isinstance(names.get(name), Unknown):
                names[name] = value

    def _for(self, node: ast.For | ast.AsyncFor, names: dict[str, Any]) -> None:
        self._expressions(node.iter, names)
        items = self.evaluator.value(node.iter, names)
        if isinstance(items, list | tuple | str | bytes | range) and _is_short_loop(node.body, len(items)):
            for item in items:
                bind_target(node.target, item, names)
                self._statements(node.body, names)
            return
        one = items[0] if isinstance(items, list | tuple) and len(items) == 1 else UNKNOWN
        bind_target(node.target, one, names)
        self._statements(node.body, names)
        for name in _assigned_names(node.body):
            names[name] = UNKNOWN
        self._statements(node.orelse, names)

    def _with(self, node: ast.With | ast.AsyncWith, names: dict[str, Any]) -> None:
        for item in node.items:
            self._expressions(item.context_expr, names)
            if item.optional_vars is not None:
                bind_target(item.optional_vars, self.evaluator.value(item.context_expr, names), names)
        self._statements(node.body, names)

    def _try(self, node: ast.Try, names: dict[str, Any]) -> None:
        caught = {name for handler in node.handlers for name in _caught_names(handler)}
        guarded = bool(caught & IMPORT_ERRORS)
        self.optional += guarded
        self._statements(node.body, names)
        self.optional -= guarded
        for handler in node.handlers:
            self.optional += guarded  # what is imported instead is one of several, too
            self._branch(handler.body, names)
            self.optional -= guarded
        self._statements([*node.orelse, *node.finalbody], names)

    def _match(self, node: ast.Match, names: dict[str, Any]) -> None:
        self._expressions(node.subject, names)
        for case in node.cases:
            self._expressions(case.guard, names)
            self._branch(case.body, names)


def _is_short_loop(body: list[ast.stmt], turns: int) -> bool:
    simple = all(isinstance(statement, SIMPLE_LOOP) for statement in body)
    limit = MAX_LOOP_NODES if simple else MAX_LOOP_NODES // 10
    return turns * sum(1 for statement in body for _ in ast.walk(statement)) <= limit


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_main_guard(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _assigned_names(statements: list[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _caught_names(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}


STATEMENTS: dict[type, Callable[[SourceReader, Any, dict[str, Any]], None]] = {
    ast.Import: SourceReader._import,
    ast.ImportFrom: SourceReader._import_from,
    ast.FunctionDef: SourceReader._function,
    ast.AsyncFunctionDef: SourceReader._function,
    ast.ClassDef: SourceReader._class,
    ast.Assign: SourceReader._assign,
    ast.AnnAssign: SourceReader._assign,
    ast.AugAssign: SourceReader._augmented,
    ast.Expr: SourceReader._expression,
    ast.If: SourceReader._if,
    ast.While: SourceReader._if,
    ast.For: SourceReader._for,
    ast.AsyncFor: SourceReader._for,
    ast.With: SourceReader._with,
    ast.AsyncWith: SourceReader._with,
    ast.Try: SourceReader._try,
    ast.TryStar: SourceReader._try,
    ast.Match: SourceReader._match,
}
