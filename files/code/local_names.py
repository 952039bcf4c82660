"""Short names for the local variables of functions, so that a script packs smaller.

Strategy: one mapping for the whole module from old names to new ones, which no identifier of the
module has yet. It is one to one and applied only where a name means a local variable of a function
or of a comprehension, so no two variables can fall together and nothing is captured. Parameters
keep their names (callers may use them as keywords), and so does every variable of a function that
can look its own variables up by name (`locals`, `eval`, `exec`, ...).
"""

from __future__ import annotations

import ast
import builtins
import keyword
import string
from collections import Counter
from collections.abc import Iterator

from .tree_walk import children, walk

LOOKS_NAMES_UP = {"locals", "eval", "exec", "vars", "dir", "currentframe", "_getframe", "nonlocals"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Scope:
    """A module, class, function or comprehension: what it binds, and the places where it says a name."""

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node, self.parent = node, parent
        self.bound: set[str] = set()
        self.kept: set[str] = set()  # bound in a way that fixes the name: parameters, `import a.b`, definitions
        self.elsewhere: dict[str, bool] = {}  # global (True) and nonlocal (False) statements
        self.places: list[tuple[str, ast.AST, str, int | None]] = []  # name, node, field, index in the field's list
        self.looks_names_up = False

    @property
    def holds_locals(self) -> bool:
        return isinstance(self.node, FUNCTIONS | COMPREHENSIONS)

    def owner(self, name: str) -> Scope | None:
        """The function or comprehension whose local variable `name` is here; None for anything else."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            says_global = scope.elsewhere.get(name)
            if says_global:
                return None
            if name in scope.bound and says_global is None and (first or not isinstance(scope.node, ast.ClassDef)):
                return scope if scope.holds_locals else None
            scope, first = scope.parent, False
        return None


def shorten_local_names(tree: ast.Module) -> None:
    """Rename local variables of functions in place, the most frequent to the shortest names."""
    collector = _Collector(tree)
    fixed = set(collector.never_renamed).union(*(scope.kept | scope.elsewhere.keys() for scope in collector.scopes))
    renamed: list[tuple[str, ast.AST, str, int | None]] = []
    for scope in collector.scopes:
        for place in scope.places:
            owner = scope.owner(place[0])
            if (
                owner is not None
                and not owner.looks_names_up
                and not (place[0] in owner.kept or place[0] in collector.never_renamed)
            ):
                renamed.append(place)
            else:
                fixed.add(place[0])
    counts = Counter(name for name, *_ in renamed)
    short = _short_names(fixed | set(dir(builtins)))
    names = {name: next(short) for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}
    for name, node, field, index in renamed:
        if index is None:
            setattr(node, field, names[name])
        else:
            getattr(node, field)[index] = names[name]


def _short_names(taken: set[str]) -> Iterator[str]:
    """a, b, ..., Z, aa, ab, ... without keywords and what is taken."""
    alphabet = string.ascii_letters + "_"
    length = 1
    while True:
        for number in range(len(alphabet) ** length):
            name = ""
            for _ in range(length):
                number, digit = divmod(number, len(alphabet))
                name = alphabet[digit] + name
            if name not in taken and not keyword.iskeyword(name) and name not in keyword.softkwlist:
                yield name
        length += 1


class _Collector(ast.NodeVisitor):
    """Every scope of a module with its bindings and places, in one walk."""

    def __init__(self, tree: ast.Module) -> None:
        self.scope = Scope(tree, None)
        self.scopes = [self.scope]
        self.never_renamed: set[str] = set()
        self.generic_visit(tree)

    def generic_visit(self, node: ast.AST) -> None:
        for child in children(node):
            self.visit(child)

    def _say(self, name: str, node: ast.AST, field: str, index: int | None = None, *, binds: bool) -> None:
        self.scope.places.append((name, node, field, index))
        if binds:
            self._binding_scope(node).bound.add(name)
        if name.startswith("__") or name in LOOKS_NAMES_UP:
            self.scope.kept.add(name)
        if name in LOOKS_NAMES_UP:
            self._keep_names_around()

    def _binding_scope(self, node: ast.AST) -> Scope:
        """A walrus inside a comprehension binds in the function around it."""
        scope = self.scope
        while getattr(node, "is_walrus_target", False) and isinstance(scope.node, COMPREHENSIONS) and scope.parent:
            scope = scope.parent
        return scope

    def _keep_names_around(self) -> None:
        scope: Scope | None = self.scope
        while scope is not None:
            scope.looks_names_up = True
            scope = scope.parent

    def _keep(self, name: str) -> None:
        self.scope.bound.add(name)
        self.scope.kept.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        self._say(node.id, node, "id", binds=not isinstance(node.ctx, ast.Load))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in LOOKS_NAMES_UP - {"eval", "dir"}:  # model.eval() is no lookup
            self._keep_names_around()
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        node.target.is_walrus_target = True  # type: ignore[attr-defined]
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg == "locals":  # numba types local variables by name
            self.never_renamed |= {str(key.value) for key in walk(node.value) if isinstance(key, ast.Constant)}
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.elsewhere.update(dict.fromkeys(node.names, True))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.elsewhere.update(dict.fromkeys(node.names, False))
        for index, name in enumerate(node.names):
            self._say(name, node, "names", index, binds=False)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.asname:
                self._say(alias.asname, alias, "asname", binds=True)
            else:
                if alias.name == "*":
                    self._keep_names_around()
                self._keep(alias.name.split(".")[0])

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._say(node.name, node, "name", binds=True)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._say(node.name, node, "name", binds=True)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._say(node.rest, node, "rest", binds=True)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._keep(node.name)
        for around in (*node.decorator_list, *_argument_values(node.args), node.returns):
            self._visit_optional(around)
        self._enter(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for default in _argument_values(node.args):
            self._visit_optional(default)
        self._enter(node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._keep(node.name)
        for around in (*node.decorator_list, *node.bases, *(item.value for item in node.keywords)):
            self.visit(around)
        self._enter(node, node.body)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inside = [first.target, *first.ifs]
        for generator in others:
            inside += [generator.target, generator.iter, *generator.ifs]
        self._enter(node, [*inside, *results])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _visit_optional(self, node: ast.AST | None) -> None:
        if node is not None:
            self.visit(node)

    def _enter(self, node: ast.AST, inside: list) -> None:
        for parameter in getattr(node, "type_params", []):  # Python 3.12: names of types, in a scope of their own
            self.never_renamed.add(parameter.name)
            self.generic_visit(parameter)
        outer, self.scope = self.scope, Scope(node, self.scope)
        self.scopes.append(self.scope)
        if isinstance(node, FUNCTIONS):
            for argument in _arguments(node.args):
                self._keep(argument.arg)
        for child in inside:
            self.visit(child)
        self.scope = outer


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    optional = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *optional]


def _argument_values(arguments: ast.arguments) -> list[ast.expr | None]:
    """Defaults and annotations: they belong to the scope around the function."""
    annotations = [argument.annotation for argument in _arguments(arguments)]
    return [*arguments.defaults, *arguments.kw_defaults, *annotations]
