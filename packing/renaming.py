"""Short names for everything that a script defines itself.

Strategy: the whole script is known, so every name that it binds may change: top-level names to two letters each, and
inside each function its own names to single letters in the order in which they come, so that functions look alike to
the compressor. Attributes, methods, and keywords of calls to others' functions keep their names. What this simple
picture of scopes would get wrong is refused, not guessed.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import string
from collections.abc import Iterator, Mapping

LETTERS = string.ascii_letters
MODULE_NAMES = {"__name__", "__file__"}
INNER_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Names = Mapping[str, str]


def renamed(tree: ast.Module) -> ast.Module:
    """The script with short names; ValueError for one that relies on names in a way that this cannot follow."""
    kept = _free_names(tree)
    top = dict(zip(_top_names(tree), _two_letters(kept), strict=False))
    taken = kept | set(top.values())
    defined = set(_bound_directly(tree.body)) | {each.name for each in tree.body if isinstance(each, ast.ClassDef)}
    own = {id(function): _own_names(function, defined, taken) for function in _outer_functions(tree.body)}
    renaming = _Renaming(top, own, _keywords_by_callee(tree, own), _method_names(tree))
    return ast.fix_missing_locations(ast.Module([renaming.visit(statement) for statement in tree.body], []))


def _free_names(tree: ast.Module) -> set[str]:
    """Names that are read and bound nowhere: builtins, and what Python gives a module."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    free = names - set(_bound(tree))
    if unknown := free - set(dir(builtins)) - MODULE_NAMES:
        raise ValueError(f"the script reads {', '.join(sorted(unknown))} and defines it nowhere")
    return free


def _bound(tree: ast.AST) -> Iterator[str]:
    """Every name that is bound at or below a node."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name.split(".")[0] for alias in names)
            case ast.Global() | ast.MatchAs() | ast.MatchStar() | ast.MatchMapping() | ast.AsyncFunctionDef():
                raise ValueError(f"{type(node).__name__} in a script that is renamed")


def _top_names(tree: ast.Module) -> list[str]:
    """Names that top-level statements bind, in order; dotted imports keep theirs."""
    names: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Import(names=[ast.alias(name=dotted, asname=None)]) if "." in dotted:
                pass
            case _:
                names += _bound(statement)
    return list(dict.fromkeys(names))


def _two_letters(taken: set[str]) -> Iterator[str]:
    for first in LETTERS:
        for second in LETTERS:
            if first + second not in taken and not keyword.iskeyword(first + second):
                yield first + second


def _outer_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Top-level functions and methods."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef):
            yield statement
        elif isinstance(statement, ast.ClassDef):
            yield from _outer_functions(statement.body)


def _own_names(function: ast.FunctionDef, defined: set[str], taken: set[str]) -> dict[str, str]:
    """New names of what a function, and those inside it, bind: parameters first, then as they come."""
    parameters = [node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    inside = [name for statement in function.body for name in _bound(statement)]
    own = dict.fromkeys((*parameters, *inside))
    inside_only = (own.keys() - set(parameters) - set(_bound_directly(function.body))) & defined
    if both := [name for name in inside_only if any(_reads_the_scripts(each, name) for each in function.body)]:
        raise ValueError(f"inside {function.name} and in the script there are {', '.join(sorted(both))}")
    return dict(zip(own, (*(letter for letter in LETTERS if letter not in taken), *_two_letters(taken)), strict=False))


def _bound_directly(body: list[ast.stmt]) -> Iterator[str]:
    """Names that statements bind where they stand, not inside a function, lambda or comprehension of their own."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif not isinstance(node, INNER_SCOPES):
            waiting += ast.iter_child_nodes(node)
            if isinstance(node, ast.ExceptHandler) and node.name:
                yield node.name
            elif isinstance(node, ast.Name | ast.Import | ast.ImportFrom):
                yield from _bound(node)


def _reads_the_scripts(node: ast.AST, name: str) -> bool:
    """Whether a name is read outside of the inner functions, lambdas and comprehensions that bind it."""
    if isinstance(node, (ast.FunctionDef, *INNER_SCOPES)) and name in _bound(node):
        return False
    if isinstance(node, ast.Name):
        return node.id == name
    return any(_reads_the_scripts(each, name) for each in ast.iter_child_nodes(node))


def _keywords_by_callee(tree: ast.Module, own: Mapping[int, Names]) -> dict[str, Names]:
    """New names of the parameters of functions and of classes with an __init__; others keep theirs."""
    found: dict[str, Names] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            found[statement.name] = own[id(statement)]
        elif isinstance(statement, ast.ClassDef):
            makers = [own[id(each)] for each in _outer_functions(statement.body) if each.name == "__init__"]
            found[statement.name] = makers[0] if makers else {}
    return found


def _method_names(tree: ast.Module) -> set[str]:
    classes = [statement for statement in tree.body if isinstance(statement, ast.ClassDef)]
    return {each.name for found in classes for each in _outer_functions(found.body)}


class _Renaming(ast.NodeTransformer):
    """Writes the new names: `names` of where the walk is, which inside a function are its own before the script's."""

    def __init__(self, top: Names, own: Mapping[int, Names], keywords: Mapping[str, Names], methods: set[str]) -> None:
        self.names, self.own, self.keywords, self.methods = top, own, keywords, methods
        self.in_class = False

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(node.id if self.in_class else self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self.names.get(node.arg, node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        names, in_class = self.names, self.in_class
        node.name = node.name if in_class else names.get(node.name, node.name)
        self.in_class = False
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.args.defaults = [self.visit(each) for each in node.args.defaults]
        node.args.kw_defaults = [each and self.visit(each) for each in node.args.kw_defaults]
        self.names = {**names, **self.own.get(id(node), {})}
        for each in ast.walk(node.args):
            if isinstance(each, ast.arg):
                each.arg = self.names.get(each.arg, each.arg)
        node.body = [self.visit(each) for each in node.body]
        self.names, self.in_class = names, in_class
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.bases = [self.visit(each) for each in node.bases]
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.name = self.names.get(node.name, node.name)
        self.in_class = True
        node.body = [self.visit(each) for each in node.body]
        self.in_class = False
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        node.name = self.names.get(node.name, node.name) if node.name else None
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        return ast.Nonlocal([self.names.get(name, name) for name in node.names])

    def visit_alias(self, node: ast.alias) -> ast.AST:
        bound = node.asname or node.name
        renamed = self.names.get(bound, bound)
        return ast.alias(node.name, None if renamed == node.name else renamed)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        keywords = [each for each in node.keywords if each.arg is not None]
        if isinstance(node.func, ast.Name) and node.func.id in self.keywords:
            for each in keywords:
                each.arg = self.keywords[node.func.id].get(str(each.arg), each.arg)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in self.methods and keywords:
            raise ValueError(f"the method {node.func.attr} is called with keywords, whose names change")
        return self.generic_visit(node)
