"""One script out of several modules, with nothing in it that its artifact does not need.

Strategy: the modules' statements are put one after the other without their imports of each other, docstrings and
annotations. Tables by number lose the entries that are not used, then every top-level definition goes that nothing left
refers to. Only definitions whose right side is harmless are ever dropped: functions, classes, imports, assignments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

Constant = str | int


def joined(sources: Sequence[str], constants: Mapping[str, Constant] | None = None) -> ast.Module:
    """The statements of modules in order, as one; `constants` replace what top-level names are assigned.

    ValueError when two modules define one name, or a constant is assigned nowhere.
    """
    body: list[ast.stmt] = []
    for source in sources:
        body += [statement for statement in ast.parse(source).body if not _is_left_out(statement)]
    body = _without_repeated_imports(body)
    _refuse_repeated_names(body)
    tree = _Plain().visit(ast.Module(body, []))
    for name, value in (constants or {}).items():
        _assignment(tree, name).value = ast.Constant(value)
    return ast.fix_missing_locations(tree)


def shaken(tree: ast.Module, used: Mapping[str, AbstractSet[int]]) -> ast.Module:
    """The script without the entries of the tables `used` that are not named there, and without what then is unused.

    used : by a table's name the keys that stay; ValueError for a table that is not there or lacks one of them
    """
    for name, keys in used.items():
        _prune(_assignment(tree, name), name, keys)
    needed = _reachable(tree.body)
    kept = [statement for statement in tree.body if (names := _defined(statement)) is None or names & needed]
    for statement in kept:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            statement.names = [alias for alias in statement.names if _bound(alias) in needed]
    return ast.Module(kept, [])


def _is_left_out(statement: ast.stmt) -> bool:
    """Docstrings, imports of neighbours and of the future, and what only a type checker reads."""
    if isinstance(statement, ast.ImportFrom):
        return statement.level > 0 or statement.module == "__future__"
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) == "TYPE_CHECKING"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _without_repeated_imports(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Each name imported once, and all imports in front."""
    imports: dict[str, ast.stmt] = {}
    rest: list[ast.stmt] = []
    for statement in body:
        singles: list[ast.stmt] = []
        if isinstance(statement, ast.Import):
            singles = [ast.Import([alias]) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            singles = [ast.ImportFrom(statement.module, [alias], 0) for alias in statement.names]
        else:
            rest.append(statement)
        imports |= {ast.unparse(single): single for single in singles}
    return [*imports.values(), *rest]


def _refuse_repeated_names(body: Sequence[ast.stmt]) -> None:
    seen: set[str] = set()
    for statement in body:
        names = _defined(statement) or set()
        if names & seen:
            raise ValueError(f"the script would define {', '.join(sorted(names & seen))} twice")
        seen |= names


class _Plain(ast.NodeTransformer):
    """Drops docstrings and annotations; fields of dataclasses and named tuples keep theirs, which they are made of."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if each is not None:
                each.annotation = None
        node.body = _without_docstring(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = bool(node.decorator_list or node.bases)
        node.body = _without_docstring(node.body)
        kept = {id(each) for each in node.body if fields and isinstance(each, ast.AnnAssign)}
        node.body = [each if id(each) in kept else self.visit(each) for each in node.body]
        node.body = [each for each in node.body if each is not None] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign([node.target], node.value, lineno=node.lineno)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return (body[1:] or [ast.Pass()]) if said else body


def _defined(statement: ast.stmt) -> set[str] | None:
    """The names that a top-level statement defines and is droppable for; None for one that does something."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {_bound(alias) for alias in names}
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return None


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _reachable(body: Sequence[ast.stmt]) -> set[str]:
    """Names that what the script does refers to, by way of definitions too."""
    refers: dict[str, set[str]] = {}
    needed: set[str] = set()
    for statement in body:
        found = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        names = _defined(statement)
        if names is None:
            needed |= found
        for name in names or ():
            refers[name] = found
    waiting = list(needed)
    while waiting:
        more = refers.get(waiting.pop(), set()) - needed
        needed |= more
        waiting += more
    return needed


def _assignment(tree: ast.Module, name: str) -> ast.Assign:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return statement
    raise ValueError(f"the script assigns no {name}")


def _prune(assignment: ast.Assign, name: str, keys: AbstractSet[int]) -> None:
    table = assignment.value
    if not isinstance(table, ast.Dict):
        raise ValueError(f"{name} is no table")
    entries = {ast.literal_eval(key): (key, value) for key, value in zip(table.keys, table.values, strict=True) if key}
    if missing := keys - entries.keys():
        raise ValueError(f"the table {name} has no {', '.join(map(str, sorted(missing)))}")
    table.keys, table.values = [], []
    for number, (key, value) in entries.items():
        if number in keys:
            table.keys.append(key)
            table.values.append(value)
