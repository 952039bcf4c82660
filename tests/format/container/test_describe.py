"""The annotated map: it covers every byte once, and says what the reader reads."""

from __future__ import annotations

import pytest

from bytecap.errors import ArtifactError
from bytecap.format.container.container import (
    CODES,
    DIGEST,
    DIRECTORY,
    PROGRAM,
    RAW,
    make_section,
    read_container,
    write_container,
)
from bytecap.format.container.describe import describe_container

DATA = write_container(
    [
        make_section(PROGRAM, b"program" * 9),
        make_section(DIRECTORY, b"directory"),
        make_section(RAW, b""),
        make_section(CODES, b"\x00"),
        make_section(DIGEST, bytes(32)),
        make_section(200, b"from the future"),
    ]
)


def test_the_map_covers_every_byte_once():
    end = 0
    for region in describe_container(DATA):
        assert region.offset == end
        assert region.length > 0
        end += region.length
    assert end == len(DATA)


def test_the_map_names_fields_and_sections():
    regions = {region.name: region for region in describe_container(DATA)}
    assert (regions["magic"].offset, regions["magic"].length) == (0, 8)
    assert regions["section count"].text.startswith("6 ")
    assert regions["section program: stored length"].offset == 14
    assert regions["section 200: id"].text.startswith("200 ")
    assert "section raw" not in regions
    for section in read_container(DATA):
        region = regions.get(f"section {section.id}") or regions.get(
            {
                PROGRAM: "section program",
                DIRECTORY: "section directory",
                CODES: "section codes",
                DIGEST: "section digest",
            }.get(section.id)
        )
        stored = b"" if region is None else DATA[region.offset : region.offset + region.length]
        assert stored == section.stored
    assert regions["section program"].text == "brotli, 63 bytes decoded"
    assert regions["section digest"].text == "stored"


def test_the_map_of_a_broken_file_is_its_error():
    with pytest.raises(ArtifactError, match=r"\[R-SEC-8\]"):
        describe_container(DATA[:-1])
