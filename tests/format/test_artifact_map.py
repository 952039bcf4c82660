"""The map of an artifact: regions tile the file, nested regions tile what sections decompress to, texts are true."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from random_artifacts import artifact_sources
from source_tree import ROOT
from tiny_artifacts import tiny_artifact

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_contents, read_artifact
from bytecap.format.artifact_map import describe_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.container.container import SECTION_NAMES, read_container, section_name
from bytecap.format.container.cursor import Writer
from bytecap.format.container.field_recorder import FieldRecorder


def readable(path) -> bool:
    try:
        decode_contents(read_artifact(path.read_bytes()))
    except ArtifactError:
        return False
    return True


VECTORS = [path for path in sorted((ROOT / "spec" / "vectors").glob("good-*.bcap")) if readable(path)]


def assert_tiled(regions, length: int) -> None:
    place = 0
    for region in regions:
        assert region.offset == place and region.length > 0 and region.name and region.text, region
        place += region.length
    assert place == length


def assert_mapped(data: bytes) -> None:
    regions = describe_artifact(data)
    assert_tiled(regions, len(data))
    decoded = {f"section {section_name(s.id)}": s.decoded for s in read_container(data)}
    known = {f"section {name}" for name in SECTION_NAMES.values()}
    for region in regions:
        if region.name in decoded and region.name in known:
            assert_tiled(region.nested, len(decoded[region.name]))
        else:
            assert not region.nested


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(artifact_sources())
def test_regions_tile_the_file_and_nested_ones_each_section(source):
    assert_mapped(assemble_artifact(source.program, source.tensors, {"made": "by a test"}))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_vector_is_mapped(path):
    assert len(VECTORS) > 10
    assert_mapped(path.read_bytes())


def test_fields_are_named_with_what_they_hold():
    regions = describe_artifact(tiny_artifact())
    nested = {region.name: {each.name: each for each in region.nested} for region in regions if region.nested}
    program = nested["section program"]
    assert (program["vocabulary size"].text, program["instructions"].text) == ("420", "3")
    assert program["r1 shift by"].text == "1"
    assert program["r2 linear weight"].text == "head"
    directory = nested["section directory"]
    assert directory["embedding kind of term"].text == "0 (raw)"
    assert directory["embedding storage"].text == "1 (float16)"
    assert directory["head base step"].text == "0.125"
    assert directory["head column steps"].text == "0 (none)"
    codes = [(each.name, each.text) for region in regions for each in region.nested if region.name == "section codes"]
    assert codes[-1] == ("head", "420 x 8 integers")
    assert nested["section raw"]["embedding"].text == "bytes of plane 1 of 3,360 float16 values"
    assert nested["section provenance"]["provenance"].text == '{"made":"a test"}'


def test_a_recorder_reads_as_a_cursor_does_and_lists_each_field_once():
    writer = Writer()
    writer.varint(300)
    writer.text("name")
    writer.f32(0.5)
    writer.signed_varint(-70)
    writer.raw(b"xyz")
    cursor = FieldRecorder(writer.bytes(), where="here")
    values = [cursor.varint("a"), cursor.text("b"), cursor.f32("c"), cursor.signed_varint(), bytes(cursor.take(3, "e"))]
    assert values == [300, "name", 0.5, -70, b"xyz"]
    assert [(f.offset, f.length, f.name) for f in cursor.fields] == [
        (0, 2, "a"),
        (2, 5, "b"),
        (7, 4, "c"),
        (11, 2, ""),
        (13, 3, "e"),
    ]
    assert {f.where for f in cursor.fields} == {"here"}
    with pytest.raises(ArtifactError):
        cursor.u8()
    assert len(cursor.fields) == 5


def test_damage_is_an_artifact_error():
    with pytest.raises(ArtifactError):
        describe_artifact(tiny_artifact()[:-1])
