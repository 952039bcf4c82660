"""The values of a pickle, read without executing anything.

Strategy: a pickle is a program for a small stack machine. This one runs it on inert records: where Python's would
import a name there is only the name, where it would call something there is what would be called and with what. The
standard library's pickletools splits the bytes into opcodes, and only those that occur in plain data are known here.
Source: the comments of pickletools, which are the protocol's specification.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...errors import DataError

MARK = object()


@dataclass(eq=False)
class Made:
    """What a pickle would make: `call` (such as "torch._utils._rebuild_tensor_v2") of `arguments`, then the `state`."""

    call: str
    arguments: tuple = ()
    state: Any = None


@dataclass(eq=False)
class Name:
    """What a pickle would import."""

    name: str


@dataclass
class Machine:
    """The stack of values and the memory of those that come again."""

    stack: list = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def since_mark(self) -> list:
        """The values above the topmost mark, taken with it."""
        place = next(index for index in range(len(self.stack) - 1, -1, -1) if self.stack[index] is MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values


def read_pickle(data: bytes, source: str) -> Any:
    """The value that a pickle stands for: numbers, text, bytes, lists, tuples, sets and dicts, and `Made` for the rest.

    Raises DataError for bytes that are no pickle, that need an opcode of no plain data, or whose keys are no values.
    """
    machine = Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.stack.pop()
            step(machine, opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, StopIteration, UnicodeDecodeError) as error:
        raise DataError(f"{source} is not a pickle of plain values ({error or type(error).__name__})") from error
    raise DataError(f"{source} ends before its value is complete; copy it again")


def step(machine: Machine, name: str, argument: Any) -> None:
    """One opcode."""
    if name in CONSTANTS:
        machine.stack.append(CONSTANTS[name]())
    elif name in LITERALS:
        machine.stack.append(argument)
    else:
        STEPS[name](machine, argument)


def _tuple(count: int) -> Callable[[Machine, Any], None]:
    def run(machine: Machine, _: Any) -> None:
        values = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.stack.append(values)

    return run


def _set_items(machine: Machine, _: Any) -> None:
    values = machine.since_mark()
    _update(machine.stack[-1], list(zip(values[::2], values[1::2], strict=True)))


def _set_item(machine: Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _update(machine.stack[-1], [(key, value)])


def _update(target: Any, pairs: list) -> None:
    (target.state if isinstance(target, Made) and isinstance(target.state, dict) else target).update(pairs)


def _reduce(machine: Machine, _: Any) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    name = function.name if isinstance(function, Name) else str(function)
    made = Made(name, arguments)
    if name == "collections.OrderedDict":
        made.state = {}
    machine.stack.append(made)


def _build(machine: Machine, _: Any) -> None:
    state = machine.stack.pop()
    machine.stack[-1].state = state


def _put(machine: Machine, place: Any) -> None:
    machine.memory[len(machine.memory) if place is None else int(place)] = machine.stack[-1]


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(Name(f"{module}.{name}"))


def _append(machine: Machine, _: Any) -> None:
    value = machine.stack.pop()
    machine.stack[-1].append(value)


def _nothing(machine: Machine, _: Any) -> None:
    pass


LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
    "MARK": lambda: MARK,
}
STEPS: dict[str, Callable[[Machine, Any], object]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "DICT": lambda machine, _: machine.stack.append(dict(zip(*[iter(machine.since_mark())] * 2, strict=True))),
    "FROZENSET": lambda machine, _: machine.stack.append(frozenset(machine.since_mark())),
    "APPEND": _append,
    "APPENDS": lambda machine, _: (lambda values: machine.stack[-1].extend(values))(machine.since_mark()),
    "ADDITEMS": lambda machine, _: (lambda values: machine.stack[-1].update(values))(machine.since_mark()),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GET": lambda machine, place: machine.stack.append(machine.memory[int(place)]),
    "BINGET": lambda machine, place: machine.stack.append(machine.memory[place]),
    "LONG_BINGET": lambda machine, place: machine.stack.append(machine.memory[place]),
    "GLOBAL": lambda machine, name: machine.stack.append(Name(".".join(name.split(" ")))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "BUILD": _build,
    "BINPERSID": lambda machine, _: machine.stack.append(Made("persistent", (machine.stack.pop(),))),
}
