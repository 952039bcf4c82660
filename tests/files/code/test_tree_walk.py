"""The quick walk meets the nodes of `ast.walk` in its order, but for operators and contexts."""

from __future__ import annotations

import ast

import pytest
from source_tree import ROOT

from bytecap.files.code.tree_walk import children, walk

LEFT_OUT = ast.expr_context | ast.operator | ast.unaryop | ast.boolop | ast.cmpop
SYNTAX = """
match a:
    case {"x": 1, **rest} | [1, *_] | Point(x=0) as p if not b:
        async def f(a: int, /, b=1, *c, d=lambda: 0, **e) -> None: yield (await x)[1:2, ::3]
try: del a, b[0]
except* (A, B) as error: raise error from None
with open(f"{x!r:>{width}}") as (a, *b), c: global d; d += {**e, 1: [i for i in j if k]}; assert (m := 1) < 2 < 3, a
"""


def expected(nodes):
    return [node for node in nodes if not isinstance(node, LEFT_OUT)]


@pytest.mark.parametrize(
    "text", [SYNTAX, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "files").rglob("*.py")))]
)
def test_the_nodes_are_those_of_ast_in_their_order(text):
    tree = ast.parse(text)
    assert walk(tree) == expected(ast.walk(tree))
    assert all(children(node) == expected(ast.iter_child_nodes(node)) for node in walk(tree))
