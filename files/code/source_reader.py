"""Reads one syntax tree in the order in which it would run, and lists what it refers to.

Strategy: statements bind names to what `evaluation` can tell of their values; calls are handed to
`call_meaning`. Every branch is read as if it were taken and every function as if it were called, after
the module's own statements: a file too many is seen in the list, a file too few is an understated size.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from . import call_names, network_names
from .branch_reader import BranchReader
from .called_functions import is_plain_function
from .changed_names import ChangingFunctions, forget, last_name
from .evaluated_assignments import bind
from .evaluated_functions import bind_imports
from .evaluated_values import UNKNOWN, Named, OneOf, Unknown, UserFunction
from .evaluation import Evaluator
from .expression_reader import NAMES_A_STEP
from .references import Kind, Reference
from .statement_kinds import caught_names
from .tree_walk import walk

IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "OSError"}
IMPORT_HOOKS = ("meta_path", "path_hooks", "path_importer_cache")  # of the module sys
DOUBTS = {Kind.COMPUTED, Kind.COMPUTED_FILE, Kind.UNREADABLE}


class SourceReader(BranchReader):
    """One walk over one tree; `references` and `payloads` are its result."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__(evaluator)
        self.methods: set[ast.AST] = set()
        self.waiting: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, dict[str, Any]]] = []

    def read(self, tree: ast.Module, names: Mapping[str, Any] | None = None) -> None:
        """Read a module and then its functions, each with the names that are known after what is around it.

        `names` are those that text which a script executes finds there.
        """
        doubts: list[tuple[ast.AST, Reference]] = []  # what a function alone does not tell, and its callers may
        self.changing = ChangingFunctions(tree, self.assigned)
        self.calls.own_functions = self.changing.functions
        self.statements(tree.body, {"__doc__": ast.get_docstring(tree, clean=False), **(names or {})})
        for function, around in self.waiting:  # grows: functions hold functions
            self.evaluator.steps -= len(around) // NAMES_A_STEP
            inner = dict(around) if self.evaluator.steps > 0 else {}
            parameters = (item.arg for item in walk(function.args) if isinstance(item, ast.arg))
            inner.update(dict.fromkeys(parameters, UNKNOWN))
            self.optional += 1
            before = len(self.references)
            self.inside = function.name if is_plain_function(function) and function not in self.methods else ""
            self.statements(function.body, inner)
            doubts += [(function, item) for item in self.references[before:] if item.kind in DOUBTS]
            self.optional -= 1
        answered = {id(item) for function, item in doubts if function in self.followed}
        self.references = [item for item in self.references if id(item) not in answered]

    def statements(self, statements: list[ast.stmt], names: dict[str, Any]) -> None:
        for statement in statements:
            handler = STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement, names)
            else:
                self.expressions(statement, names)

    def _import(self, node: ast.Import, names: dict[str, Any]) -> None:
        for alias in node.names:
            self.found(Reference(Kind.MODULE, alias.name, node.lineno, bool(self.optional)))
        bind_imports(node, names)

    def _import_from(self, node: ast.ImportFrom, names: dict[str, Any]) -> None:
        module, listed = node.module or "", tuple(alias.name for alias in node.names)
        optional = bool(self.optional)
        self.found(Reference(Kind.MODULE, module, node.lineno, optional, dots=node.level, submodules=listed))
        bind_imports(node, names)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: dict[str, Any]) -> None:
        for around in (*node.args.defaults, *node.args.kw_defaults):
            self.expressions(around, names)
        self._decorators(node, names)
        names[node.name] = UserFunction(node, names) if isinstance(node, ast.FunctionDef) else UNKNOWN
        self.waiting.append((node, names))

    def _class(self, node: ast.ClassDef, names: dict[str, Any]) -> None:
        for around in (*node.bases, *(item.value for item in node.keywords)):
            self.expressions(around, names)
        self._decorators(node, names)
        for base in node.bases:
            if (named := getattr(self.evaluator.value(base, names), "name", "")) in network_names.BASES:
                self.found(Reference(Kind.NETWORK, f"a class of {named}", node.lineno))
        inner = dict(names)
        self.methods.update(node.body)
        self.statements(node.body, inner)
        for name, value in inner.items():
            if name not in names:
                self._attribute(name, value)
        names[node.name] = UNKNOWN

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, names: dict[str, Any]) -> None:
        for decorator in node.decorator_list:
            self.expressions(
                self.as_statement(decorator), names
            )  # a decorator is called: it is a value of the statement

    def _attribute(self, name: str, value: Any) -> None:
        """An attribute with two different values is unknown."""
        if not isinstance(value, UserFunction | Unknown | OneOf):
            same = name not in self.attributes or self.attributes[name] is value or self.attributes[name] == value
            self.attributes[name] = value if same else UNKNOWN

    def _assign(self, node: ast.Assign | ast.AnnAssign, names: dict[str, Any]) -> None:
        self.expressions(node.value, names)
        if node.value is None:
            return
        value = self.evaluator.alternatives(node.value, names)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            bind(self.evaluator, target, value, names)
            if isinstance(target, ast.Attribute):
                self._attribute(target.attr, value)
                self._replace(target, names)
            self._extend_path(target, node.value, names)
            if isinstance(target, ast.Subscript):
                self._provide(target, value, names)
            if not isinstance(target, ast.Name):
                self.expressions(
                    self.as_statement(node.value), names
                )  # a function that runs code leaves what is followed

    def _replace(self, target: ast.Attribute, names: dict[str, Any]) -> None:
        """`builtins.__import__ = mine`: what follows means something else."""
        replaced = f"{getattr(self.evaluator.value(target.value, names), 'name', '')}.{target.attr}"
        if replaced in call_names.REPLACED:
            self.found(Reference(Kind.UNREADABLE, f"{replaced} is replaced by a function of its own", target.lineno))

    def _provide(self, target: ast.Subscript, value: Any, names: dict[str, Any]) -> None:
        """`sys.modules["a.b"] = ...` makes a module that no file holds; variables may name files that run."""
        owner, name = self.evaluator.value(target.value, names), self.evaluator.value(target.slice, names)
        if owner == Named("sys.modules") and isinstance(name, str):
            self.found(Reference(Kind.PROVIDED_MODULE, name, target.lineno))
        elif owner in (Named("builtins.__dict__"), Named("builtins")) and f"builtins.{name}" in call_names.REPLACED:
            what = f"builtins.{name} is replaced by a function of its own"
            self.found(Reference(Kind.UNREADABLE, what, target.lineno))
        elif owner == Named("os.environ") and isinstance(name, str):
            self.calls.environment(name, value, target.lineno)

    def _extend_path(self, target: ast.expr, value: ast.expr, names: dict[str, Any]) -> None:
        """`sys.path = [...]`, `sys.path[:0] = [...]`, `sys.path += [...]`, and the same of import hooks."""
        owner = target.value if isinstance(target, ast.Subscript) else target
        if last_name(owner) not in ("path", *IMPORT_HOOKS):
            return
        held = self.evaluator.value(owner, names)
        if held == Named("sys.path"):
            self.calls.import_paths(value, names)
        elif owner is not target and isinstance(held, Named) and held.name.removeprefix("sys.") in IMPORT_HOOKS:
            self.found(Reference(Kind.UNREADABLE, f"an import hook of its own ({held.name})", target.lineno))

    def _augmented(self, node: ast.AugAssign, names: dict[str, Any]) -> None:
        self.expressions(node.value, names)
        grown = ast.Subscript(node.target, node.value, ast.Store())
        self._extend_path(ast.copy_location(grown, node), node.value, names)
        self.evaluator.assign(node, names)

    def _expression(self, node: ast.Expr, names: dict[str, Any]) -> None:
        self.statement = node.value
        self.expressions(node.value, names)
        self.evaluator.assign(node, names)

    def _delete(self, node: ast.Delete, names: dict[str, Any]) -> None:
        for name in self.assigned.of([node]):
            forget(name, names)

    def _next_turn(self, node: ast.Continue, names: dict[str, Any]) -> None:
        self.leave_turn(is_last=False)

    def _last_turn(self, node: ast.Break, names: dict[str, Any]) -> None:
        self.leave_turn(is_last=True)

    def _with(self, node: ast.With | ast.AsyncWith, names: dict[str, Any]) -> None:
        for item in node.items:
            self.expressions(item.context_expr, names)
            if item.optional_vars is not None:
                bind(self.evaluator, item.optional_vars, self.evaluator.alternatives(item.context_expr, names), names)
        self.statements(node.body, names)

    def _try(self, node: ast.Try, names: dict[str, Any]) -> None:
        caught = {name for handler in node.handlers for name in caught_names(handler)}
        guarded = bool(caught & IMPORT_ERRORS)
        self.optional += guarded
        self.statements(node.body, names)
        self.optional -= guarded
        for handler in node.handlers:
            self.optional += guarded  # what is imported instead is one of several, too
            self._branch(handler.body, names)
            self.optional -= guarded
        self.statements([*node.orelse, *node.finalbody], names)

    def _match(self, node: ast.Match, names: dict[str, Any]) -> None:
        self.expressions(node.subject, names)
        for case in node.cases:
            self.expressions(case.guard, names)
            self._branch(case.body, names)


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
    ast.While: SourceReader._while,
    ast.Continue: SourceReader._next_turn,
    ast.Break: SourceReader._last_turn,
    ast.Delete: SourceReader._delete,
    ast.For: SourceReader._for,
    ast.AsyncFor: SourceReader._for,
    ast.With: SourceReader._with,
    ast.AsyncWith: SourceReader._with,
    ast.Try: SourceReader._try,
    ast.TryStar: SourceReader._try,
    ast.Match: SourceReader._match,
}
