"""Syntax of Python 3.12 to 3.14 rewritten so that an older parser reads it, each thing on its own lines.

Strategy: tree-sitter finds the places. Type parameters are dropped, a `type` statement becomes an
assignment, `except A, B:` gets its parentheses, and a formatted string that this interpreter refuses
becomes a call of a name that nobody uses, with its texts and expressions as arguments; after parsing,
`restore_texts` makes it a formatted string again. One analysis then serves all versions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

TEXT_CALL = "formatted_text_of_a_newer_python"
PLACES = {
    "type_alias_statement": "alias",
    "except_clause": "except",
    "string": "string",
    "concatenated_string": "strings",
}
MAX_DEPTH = 1000  # Python's own parser refuses less


@dataclass(frozen=True, slots=True)
class NewerSyntax:
    """A construct that this interpreter does not know: its line, the version that brought it, and what it is."""

    line: int
    version: tuple[int, int]
    name: str


def rewrite_newer_syntax(text: str) -> tuple[str, list[NewerSyntax]]:
    """The text with what is newer rewritten in its lines, and what that was; an empty list where nothing is.

    Raises RecursionError for a source that is nested more than `MAX_DEPTH` deep.
    """
    import tree_sitter
    import tree_sitter_python

    language = tree_sitter.Language(tree_sitter_python.language())
    source = text.encode("utf-8", "surrogatepass")
    root = tree_sitter.Parser(language).parse(source).root_node
    captures = _captured(root)
    rewriter = _Rewriter(source, captures)
    return rewriter.rewritten(root.start_byte, len(source), 0).decode("utf-8", "surrogatepass"), sorted(
        rewriter.newer, key=lambda syntax: syntax.line
    )


def _captured(root: Node) -> dict[str, list[Node]]:
    """The nodes of interest by name, in one walk (a query takes quadratic time in hostile trees)."""
    captures: dict[str, list[Node]] = {}
    cursor, depth = root.walk(), 0
    while True:
        node = cursor.node
        if node is not None and node.type in PLACES:
            captures.setdefault(PLACES[node.type], []).append(node)
        elif node is not None and node.type in ("function_definition", "class_definition"):
            if (parameters := node.child_by_field_name("type_parameters")) is not None:
                captures.setdefault("parameters", []).append(parameters)
        if cursor.goto_first_child():
            depth += 1
            if depth > MAX_DEPTH:
                raise RecursionError
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return captures
            depth -= 1


def restore_texts(tree: ast.Module) -> ast.Module:
    """Calls that stand for formatted strings become `ast.JoinedStr`; raises RecursionError for too deep a tree."""
    return _TextRestorer().visit(tree)


class _TextRestorer(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == TEXT_CALL and len(node.keywords) == 1):
            return node
        kinds = node.keywords[0].value
        parts: list[ast.expr] = []
        for argument, kind in zip(node.args, str(getattr(kinds, "value", "")), strict=False):
            if kind == "t":
                parts.append(argument)
            else:
                parts.append(ast.copy_location(ast.FormattedValue(argument, -1, None), argument))
        return ast.copy_location(ast.JoinedStr(parts), node)


class _Rewriter:
    """Rewrites byte ranges of a source whose places of interest are known."""

    def __init__(self, source: bytes, captures: dict[str, list[Node]]) -> None:
        self.source = source
        self.newer: list[NewerSyntax] = []
        places = [(node.start_byte, -node.end_byte, name, node) for name, nodes in captures.items() for node in nodes]
        inside_strings = {child.id for node in captures.get("strings", []) for child in node.children}
        self.places = sorted(
            (place for place in places if place[3].id not in inside_strings), key=lambda place: place[:2]
        )

    def rewritten(self, start: int, end: int, first: int) -> bytes:
        """The bytes from `start` to `end` with the outermost places in them rewritten, from place number `first` on."""
        pieces, position = [], start
        for number in range(first, len(self.places)):
            place_start, negative_end, name, node = self.places[number]
            if place_start >= end:
                break
            if place_start < position or -negative_end > end:
                continue
            replacement = self._replacement(name, node, number + 1)
            if replacement is None:
                continue
            old = self.source[place_start:-negative_end]
            lines_lost = old.count(b"\n") - replacement.count(b"\n")
            pieces += [self.source[position:place_start], _with_lines(replacement, lines_lost)]
            position = -negative_end
        return b"".join([*pieces, self.source[position:end]])

    def _replacement(self, name: str, node: Node, following: int) -> bytes | None:
        text = self.source[node.start_byte : node.end_byte]
        if name == "parameters":
            self._say(node, (3, 13) if b"=" in text else (3, 12), "type parameters")
            return b""
        if name == "alias":
            self._say(node, (3, 12), "type statement")
            return self._alias(node, following)
        if name == "except":
            return self._except(node, following)
        return self._text(node, text, following)

    def _alias(self, node: Node, following: int) -> bytes | None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return None
        variable = self.source[left.start_byte : left.end_byte].partition(b"[")[0]
        return variable + b" = (" + self.rewritten(right.start_byte, right.end_byte, following) + b")"

    def _except(self, node: Node, following: int) -> bytes | None:
        values = node.children_by_field_name("value")
        between = self.source[node.start_byte : values[-1].end_byte] if len(values) > 1 else b""
        if not between or b"(" == self.source[values[0].start_byte - 1 : values[0].start_byte]:
            return None
        self._say(node, (3, 14), "except without parentheses")
        head = self.source[node.start_byte : values[0].start_byte]
        listed = self.source[values[0].start_byte : values[-1].end_byte]
        return head + b"(" + listed + b")" + self.rewritten(values[-1].end_byte, node.end_byte, following)

    def _text(self, node: Node, text: bytes, following: int) -> bytes | None:
        strings = node.children if node.type == "concatenated_string" else [node]
        prefixes = [self.source[item.start_byte : item.start_byte + 3].lower() for item in strings]
        is_template = any(b"t" in prefix.partition(b'"')[0].partition(b"'")[0] for prefix in prefixes)
        if not is_template and (_parses(text) or not any(_interpolations(item) for item in strings)):
            return None
        self._say(node, *(((3, 14), "template string") if is_template else ((3, 12), "nested quotes in an f-string")))
        arguments, kinds = [], ""
        for item in strings:
            for kind, piece in self._parts(item, following):
                arguments.append(piece)
                kinds += kind
        listed = b"".join(argument + b", " for argument in arguments)
        return TEXT_CALL.encode() + b"(" + listed + b"kinds='" + kinds.encode() + b"')"

    def _parts(self, string: Node, following: int) -> Iterator[tuple[str, bytes]]:
        """("t", a literal) and ("e", an expression), as the string has them; format specifications are left out."""
        position = string.children[0].end_byte
        for part in _interpolations(string):
            yield from self._literal(position, part.start_byte)
            expression = part.child_by_field_name("expression")
            if expression is not None:
                yield "e", b"(" + self.rewritten(expression.start_byte, expression.end_byte, following) + b")"
            position = part.end_byte
        yield from self._literal(position, string.children[-1].start_byte)

    def _literal(self, start: int, end: int) -> Iterator[tuple[str, bytes]]:
        text = self.source[start:end].decode("utf-8", "surrogatepass").replace("{{", "{").replace("}}", "}")
        if text:
            yield "t", ascii(_unescaped(text)).encode()

    def _say(self, node: Node, version: tuple[int, int], name: str) -> None:
        self.newer.append(NewerSyntax(node.start_point[0] + 1, version, name))


def _interpolations(string: Node) -> list[Node]:
    return [child for child in string.children if child.type == "interpolation"]


def _with_lines(replacement: bytes, count: int) -> bytes:
    """A replacement with `count` more line ends, inside its last bracket, else joined by backslashes."""
    if count <= 0:
        return replacement
    if replacement.endswith(b")"):
        return replacement[:-1] + b"\n" * count + b")"
    return replacement + b"\\\n" * count


def _parses(text: bytes) -> bool:
    try:
        ast.parse(b"(" + text + b")")
    except (SyntaxError, ValueError):
        return False
    return True


def _unescaped(text: str) -> str:
    """What the escapes in a literal's text mean; the text itself where they mean nothing."""
    if "\\" not in text:
        return text
    try:
        return str(ast.literal_eval('"""' + text.replace('"', '\\"') + '"""'))
    except (SyntaxError, ValueError):
        return text
