"""What a pickle of weights would import and which tensors it describes, read by a machine that imports nothing.

Strategy: the opcodes run on inert records (`runtime/tokenizers/pickled_values.py`); every name that Python would look
up is kept, also where its value is thrown away again, since that is how code hides. Tensors are what
torch.save and numpy write: a call of a known function with a storage, a shape and a type. Neither
their bytes nor any other file is needed for that.
Source: torch/_utils.py, `_rebuild_tensor_v2` and its siblings; torch/serialization.py, the older format.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from ..runtime.tokenizers.pickled_values import Machine, Made, Name, step

MOST_VALUES = 500_000  # looked at in search of tensors
OLD_TORCH = 0x1950A86A20F9469CFC6C
PLAIN_NAMES = re.compile(
    r"collections\.OrderedDict|torch\.Size|torch\.device|torch\.(?:\w+)?Storage|torch\.storage\.(?:Un)?[Tt]yped\w*"
    r"|torch\.(?:float|bfloat|int|uint|half|double|long|short|bool|complex)\w*|torch\.(?:serialization\.)?_get_layout"
    r"|torch\._utils\._rebuild_(?:tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|numpy\.(?:_?core\.multiarray\.)?(?:_reconstruct|scalar|ndarray|dtype)|_codecs\.encode"
    r"|numpy\._?core\.numeric\._frombuffer"
)
STORAGE_TYPES = {"Char": "int8", "Byte": "uint8", "Half": "float16", "BFloat16": "bfloat16", "Float": "float32"}
STORAGE_TYPES |= {"Double": "float64", "Int": "int32", "Long": "int64", "Short": "int16", "Bool": "bool"}


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor that a pickle describes: where it stands, its type by torch's name, its shape."""

    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Pickled:
    """value : what the pickle stands for, of inert records;  names : what Python would import, sorted
    tensors : every one that was found;  is_old : whether it is torch's format without a zip archive
    """

    value: Any
    names: tuple[str, ...]
    tensors: tuple[PickledTensor, ...]
    is_old: bool = False

    @property
    def other_names(self) -> tuple[str, ...]:
        """The names that weights do not need."""
        return tuple(name for name in self.names if not PLAIN_NAMES.fullmatch(name))


def read_pickled(data: bytes, source: str) -> Pickled:
    """A pickle, or the five that older files of torch.save begin with. Raises DataError for bytes that are none."""
    names: set[str] = set()
    stream = io.BytesIO(data)
    value = _one_pickle(stream, names, source)
    is_old = value == OLD_TORCH
    for _ in range(2 if is_old else 0):  # the protocol's number, then facts about the machine
        _one_pickle(stream, names, source)
    if is_old:  # and behind the value the keys of its storages, which torch.load runs as well
        value = _one_pickle(stream, names, source)
        _one_pickle(stream, names, source)
    return Pickled(value, tuple(sorted(names)), tuple(_tensors(value)), is_old)


def _one_pickle(stream: io.BytesIO, names: set[str], source: str) -> Any:
    machine = Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return machine.stack.pop()
            if opcode.name == "INST":  # the oldest way to call something, which no weights need
                names.add(".".join(str(argument).split(" ")))
            step(machine, opcode.name, argument)
            if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                names.add(str(machine.stack[-1].name))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, StopIteration, OverflowError) as error:
        told = f"; it would import {', '.join(sorted(names)[:5])}" if names else ""
        raise DataError(f"{source}: not a pickle of plain values ({error or type(error).__name__}){told}") from error
    raise DataError(f"{source}: the pickle ends before its value is complete")


def _tensors(value: Any) -> Iterator[PickledTensor]:
    """Every tensor in a value, each record once however often it stands there."""
    waiting: list[tuple[str, Any]] = [("", value)]
    seen: set[int] = set()
    looked_at = 0
    while waiting and looked_at < MOST_VALUES:
        path, each = waiting.pop()
        looked_at += 1
        if isinstance(each, Made | dict | list | tuple | set | frozenset):
            if id(each) in seen:
                continue
            seen.add(id(each))
        if isinstance(each, Made) and (tensor := _tensor(each, path)) is not None:
            yield tensor
            continue
        waiting += reversed([*_parts(each, path)])


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{path}.{key}" if path else str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((path, part) for part in value)
    elif isinstance(value, Made):
        yield from ((path, part) for part in (*_as_tuple(value.arguments), value.state))


def _as_tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else ()


def _tensor(made: Made, path: str) -> PickledTensor | None:
    """The tensor that a call makes; None where it makes something else."""
    arguments = _as_tuple(made.arguments)
    if made.call in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state") and arguments:
        return _tensor(arguments[0], path) if isinstance(arguments[0], Made) else None
    if not made.call.startswith("torch._utils._rebuild_tensor") or len(arguments) < 3:
        return None
    storage, shape = arguments[0], arguments[2]
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and 0 <= side < 1 << 40 for side in shape):
        return None
    typed = [part.name for part in arguments[3:] if isinstance(part, Name) and part.name.startswith("torch.")]
    dtype = typed[0].removeprefix("torch.") if typed else _storage_type(storage)
    return PickledTensor(path, dtype, shape)


def _storage_type(storage: Any) -> str:
    """The type of a persistent storage, ("storage", torch.FloatStorage, key, location, count)."""
    told = _as_tuple(storage.arguments)[0] if isinstance(storage, Made) and _as_tuple(storage.arguments) else None
    kind = _as_tuple(told)[1] if len(_as_tuple(told)) > 1 else None
    name = kind.name.rpartition(".")[2].removesuffix("Storage") if isinstance(kind, Name) else ""
    return STORAGE_TYPES.get(name, name or "unknown")
