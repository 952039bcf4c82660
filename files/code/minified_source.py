"""The same Python program in fewer bytes.

Strategy: rewrite the syntax tree (no docstrings, no annotations, short local names), write it with
`ast.unparse`, then take out spaces and join simple statements on one line. The text that comes out
must parse to the very tree that went in; where it does not, the plainer text is kept. What a program
can see of itself stays: annotations of decorated functions and of classes with decorators or bases
(`@triton.jit`, `@dataclass`, `NamedTuple`), docstrings where `__doc__` is read, and everything where
a function's source is compiled (`torch.jit.script`).
"""

from __future__ import annotations

import ast
import re

from .local_names import shorten_local_names
from .tree_walk import walk

READS_DOCSTRINGS = {"__doc__", "getdoc"}
READS_ANNOTATIONS = {"__annotations__", "get_type_hints", "signature", "get_annotations", "script", "typechecked"}
HARMLESS_DECORATORS = {
    "staticmethod",
    "classmethod",
    "property",
    "setter",
    "no_grad",
    "inference_mode",
    "lru_cache",
    "cache",
    "cached_property",
    "njit",
    "contextmanager",
    "abstractmethod",
}
HARMLESS_BASES = {"Module", "Optimizer", "Exception", "ABC", "object"}
STATEMENT_LISTS = ("body", "orelse", "finalbody")
HOLDS_STATEMENTS = (ast.stmt, ast.mod, ast.excepthandler, ast.match_case)
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef
# A string literal as ast.unparse writes it, or spaces beside an operator or bracket.
STRING_OR_SPACED_OPERATOR = re.compile(
    r"""([rRbBuUfF]{0,2}(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))"""
    r"""|[ ]*([-+*/%<>=!&|^~,:;(){}\[\]@]+)[ ]*"""
)


def minify_source(source: str, *, verify: bool = True) -> str:
    """A shorter text of the same program, without a newline at the end.

    Without `verify` the text is not parsed again: for its size alone, in half the time.

    Raises SyntaxError, ValueError, RecursionError or MemoryError as `ast.parse` and `ast.unparse` do.
    """
    tree = ast.parse(source)
    nodes = walk(tree)
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    if not names & READS_DOCSTRINGS:
        _drop_docstrings(nodes)
    if not names & READS_ANNOTATIONS:
        _drop_annotations(tree, nodes)
    _drop_constant_statements(nodes)
    shorten_local_names(tree)
    return tight_source(tree) if verify else _joined(_tight(ast.unparse(tree)))


def tight_source(tree: ast.Module) -> str:
    """The text of a program in few characters, names as they are, without a newline at the end."""
    plain = ast.unparse(tree)
    wanted = ast.dump(ast.parse(plain))
    for rewrite in (lambda text: _joined(_tight(text)), _tight):
        text = rewrite(plain)
        if _parses_to(text, wanted):
            return text
    return plain


def _parses_to(text: str, wanted: str) -> bool:
    try:
        return ast.dump(ast.parse(text)) == wanted
    except (SyntaxError, ValueError):
        return False


def _drop_docstrings(nodes: list[ast.AST]) -> None:
    for node in nodes:
        if (
            isinstance(node, DEFINITIONS | ast.ClassDef | ast.Module)
            and ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]


def _drop_constant_statements(nodes: list[ast.AST]) -> None:
    """Statements that are a bare constant do nothing, and neither does a `pass` beside others; `0` fills a body."""
    for node in nodes:
        if not isinstance(node, HOLDS_STATEMENTS):
            continue
        for field in STATEMENT_LISTS:
            statements = getattr(node, field, None)
            if not isinstance(statements, list):
                continue
            first = statements[:1] if _is_docstring_of(node, statements) else []
            kept = first + [item for item in statements[len(first) :] if not _does_nothing(item)]
            if not kept and (statements or field == "body") and not isinstance(node, ast.Module):
                kept = [ast.Expr(ast.Constant(0))]
            setattr(node, field, kept)


def _is_docstring_of(node: ast.AST, statements: list[ast.stmt]) -> bool:
    return (
        isinstance(node, DEFINITIONS | ast.ClassDef | ast.Module)
        and statements is node.body
        and ast.get_docstring(node, clean=False) is not None
    )


def _does_nothing(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Pass)


def _drop_annotations(tree: ast.Module, nodes: list[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, DEFINITIONS) and {_last_name(item) for item in node.decorator_list} <= HARMLESS_DECORATORS:
            node.returns = None
            for argument in (item for item in walk(node.args) if isinstance(item, ast.arg)):
                argument.annotation = None
        if isinstance(node, HOLDS_STATEMENTS) and (not isinstance(node, ast.ClassDef) or _has_plain_fields(node)):
            for field in STATEMENT_LISTS:
                statements = getattr(node, field, None)
                if isinstance(statements, list):
                    statements[:] = [_without_annotation(statement) for statement in statements]
    others = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and _is_annotations_future(node))]
    if len(others) < len(tree.body) and not any(_has_annotation(node) for node in walk(tree)):
        tree.body = others


def _is_annotations_future(node: ast.ImportFrom) -> bool:
    return node.module == "__future__" and [alias.name for alias in node.names] == ["annotations"]


def _has_annotation(node: ast.AST) -> bool:
    return getattr(node, "annotation", None) is not None or getattr(node, "returns", None) is not None


def _last_name(node: ast.expr) -> str:
    """The name that a decorator or base ends in: `torch.no_grad()` is no_grad."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _has_plain_fields(node: ast.ClassDef) -> bool:
    """Whether nothing reads the annotations of a class's fields, as dataclasses and named tuples do."""
    plain = not node.decorator_list and not node.keywords
    return plain and all(_last_name(base) in HARMLESS_BASES for base in node.bases)


def _without_annotation(statement: ast.stmt) -> ast.stmt:
    """`x: int = 3` to `x = 3`; a declaration alone makes a name local, so it stays with the shortest annotation."""
    if not isinstance(statement, ast.AnnAssign):
        return statement
    if statement.value is None:
        statement.annotation = ast.Constant(0)
        return statement
    return ast.copy_location(ast.Assign([statement.target], statement.value), statement)


def _tight(text: str) -> str:
    """Without spaces beside operators, and with one space a level of indentation."""
    lines = []
    for line in text.split("\n"):
        body = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(body)) // 4) + STRING_OR_SPACED_OPERATOR.sub(_without_spaces, body))
    return "\n".join(lines)


def _without_spaces(match: re.Match[str]) -> str:
    return match.group(1) or match.group(2)


def _joined(text: str) -> str:
    """Simple statements of one block on one line, behind the header where the whole block is simple."""
    lines = [(len(line) - len(line.lstrip(" ")), line.lstrip(" ")) for line in text.split("\n") if line.strip()]
    return "\n".join(" " * level + line for level, line in _joined_block(lines))


def _joined_block(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    block: list[tuple[int, str]] = []
    simple: list[str] = []  # statements that wait to be joined
    place = 0
    while place < len(lines):
        level, line = lines[place]
        end = place + 1
        while end < len(lines) and lines[end][0] > level:
            end += 1
        if end == place + 1 and not line.startswith("@"):
            simple.append(line)
        else:
            block += [(level, ";".join(simple))] if simple else []
            simple = []
            inner = _joined_block(lines[place + 1 : end])
            if len(inner) == 1 and line.endswith(":") and _is_simple(inner[0][1], lines[place + 1 : end]):
                block.append((level, line + inner[0][1]))
            else:
                block += [(level, line), *inner]
        place = end
    return block + ([(lines[-1][0] if not block else lines[0][0], ";".join(simple))] if simple else [])


def _is_simple(joined: str, lines: list[tuple[int, str]]) -> bool:
    """Whether a block that became one line has no header of its own."""
    return len({level for level, _ in lines}) == 1 and not joined.startswith("@")
