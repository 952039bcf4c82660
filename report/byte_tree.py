"""A file's bytes as a tree, file > section > role or layer > tensor, of which every node is the sum of its children."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..format.byte_account import NO_LAYER, Inspection, TensorRow

HEAD = "header and section table"


@dataclass(frozen=True, slots=True)
class Node:
    """Bytes under one name; `tensor` is the number of the tensor that a leaf belongs to, None of other leaves."""

    name: str
    bytes: int
    children: tuple[Node, ...] = ()
    tensor: int | None = None


def parent(name: str, children: Sequence[Node]) -> Node:
    """A node over those of its children that have bytes, the largest first."""
    kept = tuple(sorted((child for child in children if child.bytes), key=lambda child: (-child.bytes, child.name)))
    return Node(name, sum(child.bytes for child in kept), kept)


def role_name(row: TensorRow) -> str:
    return row.role


def layer_name(row: TensorRow) -> str:
    return NO_LAYER if row.layer is None else f"layer {row.layer}"


def artifact_tree(found: Inspection, group: Callable[[TensorRow], str]) -> Node:
    """The tree of an artifact, tensors by `group` within their section."""
    raw = [sum(term.raw_bytes for term in row.terms) for row in found.tensors]
    coded = [row.bytes - planes for row, planes in zip(found.tensors, raw, strict=True)]
    together = {row.name: row.bytes for row in found.shared}
    sections = [Node(HEAD, found.header_bytes)]
    for row in found.sections:
        own = {"raw": raw, "codes": coded}.get(row.name)
        if own is None or not any(own):
            sections.append(Node(row.name, row.stored_bytes))
            continue
        groups = tensor_groups(found.tensors, own, group)
        if row.name == "codes":
            names = ("step exponents of all tensors", "sets of all tensors", "table of streams")
            groups += [Node(name, together.get(name, 0)) for name in names]
        sections.append(parent(row.name, groups))
    return parent("file", sections)


def tensor_groups(rows: Sequence[TensorRow], sizes: Sequence[int], group: Callable[[TensorRow], str]) -> list[Node]:
    """Tensors of these sizes as leaves under their groups."""
    groups: dict[str, list[Node]] = {}
    for number, (row, size) in enumerate(zip(rows, sizes, strict=True)):
        groups.setdefault(group(row), []).append(Node(row.name, size, tensor=number))
    return [parent(name, leaves) for name, leaves in groups.items()]
