"""Walks over syntax trees, quick ones: reading a script is mostly going from nodes to the nodes below them.

Strategy: `ast.iter_child_nodes` asks every field of a node, also those that hold names, numbers and operators. Which
fields of a class may hold nodes that anything here looks at is found out once; the order is that of `ast.walk`.
"""

from __future__ import annotations

import ast
from typing import Any

PLAIN_FIELDS = frozenset(
    "ctx op ops id attr arg level module kind conversion type_comment is_async simple asname lineno".split()
)
NODE_FIELDS: dict[type, tuple[str, ...]] = {ast.Constant: ()}  # of the classes that were met


def children(node: ast.AST) -> list[Any]:
    """The nodes directly below a node, in the order of its fields; operators and contexts are left out."""
    kind = type(node)
    fields = NODE_FIELDS.get(kind)
    if fields is None:
        fields = NODE_FIELDS[kind] = tuple(name for name in node._fields if name not in PLAIN_FIELDS)
    found: list[Any] = []
    for name in fields:
        value = getattr(node, name, None)
        if not value:  # most lists are empty
            continue
        if value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def walk(node: ast.AST) -> list[Any]:
    """A node and all below it, level by level; operators and contexts are left out."""
    nodes = [node]
    for item in nodes:  # grows
        nodes += children(item)
    return nodes
