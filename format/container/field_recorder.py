"""A cursor that remembers what it has read: where each field stands, what the reader calls it and what it holds.

Strategy: the readers of programs, directories and streams are given this cursor in place of a plain one, so that the
map of a section is drawn by the very code that reads it. A field that is read through others (a varint byte by byte, a
text after its length) is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .cursor import Cursor

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Field:
    """`length` bytes from `offset`; `name` as the reader calls it, "" when it does not; `where` the reader was then."""

    offset: int
    length: int
    name: str
    where: str
    value: object


class FieldRecorder(Cursor):
    """A Cursor that lists its fields in `fields`."""

    __slots__ = ("_within", "fields")

    def __init__(self, data: bytes | memoryview, *, origin: int = 0, where: str = "") -> None:
        super().__init__(data, origin=origin, where=where)
        self.fields: list[Field] = []
        self._within = False

    def take(self, count: int, name: str = "") -> memoryview:
        return self._recorded(name, lambda: Cursor.take(self, count))

    def u8(self, name: str = "") -> int:
        return self._recorded(name, lambda: Cursor.u8(self))

    def f32(self, name: str = "") -> float:
        return self._recorded(name, lambda: Cursor.f32(self))

    def varint(self, name: str = "") -> int:
        return self._recorded(name, lambda: Cursor.varint(self))

    def signed_varint(self, name: str = "") -> int:
        return self._recorded(name, lambda: Cursor.signed_varint(self))

    def text(self, name: str = "") -> str:
        return self._recorded(name, lambda: Cursor.text(self))

    def _recorded(self, name: str, read: Callable[[], Value]) -> Value:
        if self._within:
            return read()
        start, where, self._within = self.offset, self.where, True
        try:
            value = read()
        finally:
            self._within = False
        if self.offset > start:
            self.fields.append(Field(start, self.offset - start, name, where, value))
        return value
