"""What the name of a tensor says of its place in a model: the layer it belongs to and the role it has
in every layer.
"""

from __future__ import annotations


def role_of(name: str) -> str:
    """A tensor's name with its numbers replaced: blocks.3.mlp.fc.weight is one of blocks.*.mlp.fc.weight."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def layer_of(name: str) -> int | None:
    """The first number in a tensor's name."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)
