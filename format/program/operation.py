"""What all operations of a program have in common: their base class and what it derives from a declaration.

Strategy: an operation declares its operands by annotation; `operation` derives its name and the list of
operand kinds, which is all that the encoding, the executors and `inspect` need to treat operations
alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, ClassVar, TypeVar, cast, get_type_hints

from .operands import FloatOperand, Operand, RegisterOperand, RegistersOperand, round_binary32


class Operation:
    """Base of all operations: the operand kinds of the class, and what an instance refers to."""

    wire_id: ClassVar[int]
    since: ClassVar[int]
    name: ClassVar[str]
    operands: ClassVar[tuple[tuple[str, Operand], ...]]
    inputs: ClassVar[tuple[tuple[str, RegisterOperand | RegistersOperand], ...]]

    def __post_init__(self) -> None:
        """Round floats to binary32, so that a program equals its own decoding."""
        for name, operand in self.operands:
            if isinstance(operand, FloatOperand):
                object.__setattr__(self, name, round_binary32(getattr(self, name)))

    def values(self) -> Iterator[tuple[str, Operand, Any]]:
        """(name, kind, value) of each operand, in wire order."""
        return ((name, operand, getattr(self, name)) for name, operand in self.operands)

    @property
    def minor_version(self) -> int:
        """The least minor version of the format in which this instruction can be written."""
        return max(self.since, *(kind.since(value) for _, kind, value in self.values() if hasattr(kind, "since")), 0)

    @property
    def registers(self) -> tuple[int, ...]:
        """Registers read, in operand order."""
        return tuple(r for name, kind in self.inputs for r in kind.registers(getattr(self, name)))

    @property
    def tensors(self) -> tuple[int, ...]:
        """Tensors read, in operand order."""
        return tuple(t for _, kind, value in self.values() if hasattr(kind, "tensors") for t in kind.tensors(value))


OperationClass = TypeVar("OperationClass", bound=type[Operation])


def operation(wire_id: int, since: int = 0) -> Callable[[OperationClass], OperationClass]:
    """Class decorator: give an operation its wire id, its kebab-case name and its operand kinds.

    since : minor version of the format that brought it
    """

    def decorate(cls: OperationClass) -> OperationClass:
        hints = get_type_hints(cls, include_extras=True)
        cls.wire_id, cls.since = wire_id, since
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        cls.operands = tuple((field.name, hints[field.name].__metadata__[0]) for field in fields(cast(Any, cls)))
        kinds = (RegisterOperand, RegistersOperand)
        cls.inputs = tuple((name, kind) for name, kind in cls.operands if isinstance(kind, kinds))
        return cls

    return decorate
