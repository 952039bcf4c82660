"""The annotated map of an artifact: what every byte of the file is.

Strategy: the map is drawn from the same declarations that read and write the records, so it cannot say anything else
than the reader does. It goes as deep as the container; an unknown ancillary section is one region like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from construct import Construct

from .bytes_codecs import BYTES_CODECS
from .container import SectionEntry, read_container, read_section_table, section_name
from .layout import CHECKSUM_BYTES, HEADER, HEADER_CHECKSUM, SECTION_ENTRY, table_end
from .limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Region:
    """`length` bytes of the file from `offset`: the field's `name` and, in words, its value and meaning.

    nested : of a section, the regions of what it decompresses to, with offsets in that
    """

    offset: int
    length: int
    name: str
    text: str
    nested: tuple[Region, ...] = ()


def describe_container(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> list[Region]:
    """Regions in file order that cover every byte exactly once.

    Raises ArtifactError for bytes that `read_container` refuses.
    """
    data = memoryview(data).cast("B")
    read_container(data, limits)
    entries = read_section_table(data, limits)
    regions = list(_fields(data, 0, HEADER, ""))
    for entry in entries:
        regions += _fields(data, entry.offset, SECTION_ENTRY, f"section {section_name(entry.id)}: ")
    regions += _fields(data, table_end(len(entries)) - CHECKSUM_BYTES, HEADER_CHECKSUM, "")
    regions += [_section_region(entry) for entry in entries if entry.stored_length]
    return regions


def _fields(data: memoryview, offset: int, record: Construct, prefix: str) -> Iterator[Region]:
    """One region a field of the record at `offset`, in its declared order."""
    values = record.parse(data[offset : offset + record.sizeof()])
    for field in record.subcons:
        length = field.sizeof()
        yield Region(offset, length, prefix + field.name.replace("_", " "), _field_text(field, values[field.name]))
        offset += length


def _field_text(field: Construct, value: int | bytes) -> str:
    if isinstance(value, bytes):
        return field.docs
    return f"{value:#010x} ({field.docs})" if field.name.endswith("checksum") else f"{value} ({field.docs})"


def _section_region(entry: SectionEntry) -> Region:
    codec = BYTES_CODECS[entry.codec].name
    text = f"{codec}, {entry.decoded_length} bytes decoded" if entry.stored_length != entry.decoded_length else codec
    return Region(entry.start, entry.stored_length, entry.where, text)
