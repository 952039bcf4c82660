"""Whole artifacts: what is assembled is what is decoded, one valid encoding, and every damage noticed."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_artifacts import ArtifactSource, artifact_sources, chain_program
from rewritten_artifacts import SHAPE, VOCABULARY, rewritten, small_artifact, small_tensors, streams_of

from bytecap.errors import ArtifactError, ChecksumMismatch, InvalidArtifact, MalformedArtifact, TruncatedArtifact
from bytecap.format import artifact as artifact_module
from bytecap.format.artifact import (
    PROVENANCE_DEPTH,
    Artifact,
    decode_contents,
    decode_tensors,
    encode_provenance,
    is_provenance,
    read_artifact,
    tensors_digest,
    write_artifact,
)
from bytecap.format.assembly import EncodedStreams, artifact_size, assemble_artifact
from bytecap.format.container.container import (
    CODES,
    DIGEST,
    DIRECTORY,
    PROGRAM,
    PROVENANCE,
    RAW,
    make_section,
    read_container,
    write_container,
)
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.program.program import encode_program
from bytecap.format.tensors.directory import write_directory
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.matrices import in_streams, stored_matrices
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import Grid, GridInStream, RawValues, TensorEntry


def content(section_id: int) -> bytes:
    return read_artifact(small_artifact()).section(section_id).decoded


def decode(data: bytes) -> Artifact:
    """Read everything, integers included."""
    artifact = read_artifact(data)
    decode_tensors(artifact)
    return artifact


def refused(data: bytes) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        decode(data)
    return caught.value


@settings(max_examples=60)
@given(artifact_sources())
def test_what_is_assembled_is_what_is_decoded(source: ArtifactSource) -> None:
    data = assemble_artifact(source.program, source.tensors, {})
    artifact = read_artifact(data)
    assert write_artifact(artifact) == data
    assert artifact.program == source.program and artifact.provenance == {}
    assert [(e.name, e.shape, e.dtype) for e in artifact.directory] == [
        (t.name, t.shape, t.dtype) for t in source.tensors
    ]
    decoded = decode_contents(artifact)
    for found, expected in zip(decoded.arrays, source.arrays, strict=True):
        assert found.dtype == np.float32 and found.flags.c_contiguous and found.shape == expected.shape
        assert found.tobytes() == np.ascontiguousarray(expected).tobytes()
    parts = {(i, t): part for i, tensor in enumerate(source.tensors) for t, part in enumerate(tensor.parts)}
    assert set(decoded.grids) == {key for key, part in parts.items() if isinstance(part, GridInStream)}
    for key, grid in decoded.grids.items():
        assert (
            np.array_equal(grid.codes, parts[key].grid.codes) and grid.trellis_states == parts[key].grid.trellis_states
        )


@settings(max_examples=60)
@given(artifact_sources())
def test_shares_of_the_tensors_add_up_to_the_streams(source: ArtifactSource) -> None:
    artifact = read_artifact(assemble_artifact(source.program, source.tensors))
    code_bytes = decode_contents(artifact).code_bytes
    coded = in_streams(stored_matrices(artifact.directory))
    assert set(code_bytes) == {entry for entry, *_ in coded} and all(share >= 0 for share in code_bytes.values())
    assert sum(code_bytes.values()) == sum(len(stream.payload) for stream in artifact.streams[1:])
    for index, stream in enumerate(artifact.streams[1:], start=1):
        members = {entry for (entry, *_), matrix in coded.items() if matrix.record.stream == index}
        if len(members) == 1 and all(
            matrix.record.stream == index for (entry, *_), matrix in coded.items() if entry in members
        ):
            assert code_bytes[members.pop()] == len(stream.payload)


def test_the_same_input_gives_the_same_bytes() -> None:
    again = assemble_artifact(chain_program(2, VOCABULARY), small_tensors(), {"seed": 3, "made": "by a test"})
    assert again == small_artifact()


def test_the_digest_is_the_one_of_the_specification() -> None:
    artifact = read_artifact(small_artifact())
    expected = hashlib.sha256()
    for entry, values in zip(artifact.directory, decode_tensors(artifact), strict=True):
        name = entry.name.encode()
        expected.update(struct.pack(f"<I{len(name)}sI", len(name), name, len(entry.shape)))
        expected.update(struct.pack(f"<{len(entry.shape)}I", *entry.shape))
        expected.update(struct.pack(f"<{values.size}f", *values.ravel().tolist()))
    assert artifact.digest == expected.digest() == tensors_digest(artifact.directory, decode_tensors(artifact))


def test_reject_a_wrong_digest() -> None:
    digest = bytearray(content(DIGEST))
    digest[31] ^= 1
    data = rewritten(digest=bytes(digest))
    error = refused(data)
    assert isinstance(error, ChecksumMismatch) and error.rule == "R-DIG-1"
    unchecked = decode_tensors(read_artifact(data), check_digest=False)
    expected = decode_tensors(read_artifact(small_artifact()))
    assert all(np.array_equal(a, b) for a, b in zip(unchecked, expected, strict=True))


def test_the_digest_covers_names_and_values() -> None:
    artifact = read_artifact(small_artifact())
    renamed = (replace(artifact.directory[0], name="tabel"), *artifact.directory[1:])
    assert refused(rewritten(directory=write_directory(renamed))).rule == "R-DIG-1"
    raw = bytearray(content(RAW))
    raw[-1] ^= 1  # the last place of one value
    assert refused(rewritten(raw=bytes(raw))).rule == "R-DIG-1"


def test_reject_a_program_in_another_encoding(monkeypatch) -> None:
    """Each field has one form by its own rule, so no bytes reach this check; a writer that differs from
    the reader does.
    """
    for name in ("encode_program", "write_directory"):
        with monkeypatch.context() as patch:
            patch.setattr(artifact_module, name, lambda content: b"another form")
            with pytest.raises(MalformedArtifact) as caught:
                read_artifact(small_artifact())
            assert caught.value.rule == "R-CAN-1"
            assert caught.value.where == ("program" if name == "encode_program" else "directory")


@pytest.mark.parametrize(
    "provenance",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a":1.50}',
        '{"a":"é"}'.encode(),
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_reject_provenance_that_is_not_canonical(provenance: bytes) -> None:
    error = refused(rewritten(provenance=provenance))
    assert (type(error), error.rule, error.where) == (MalformedArtifact, "R-PRV-1", "provenance")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_provenance_round_trip(provenance) -> None:
    data = rewritten(provenance=encode_provenance(provenance))
    artifact = read_artifact(data)
    assert artifact.provenance == provenance and write_artifact(artifact) == data
    assert is_provenance(provenance)


@pytest.mark.parametrize(
    "value",
    [{"a": float("nan")}, {"a": "\ud800"}, {1: "a key that is no text"}, {"a": (1, 2)}, {"a": b"bytes"}, {"a": "b"}],
    ids=str,
)
def test_what_comes_back_as_it_was_is_a_provenance(value) -> None:
    assert is_provenance(value) == (value == {"a": "b"})


@pytest.mark.parametrize(("depth", "kept"), [(PROVENANCE_DEPTH - 1, True), (PROVENANCE_DEPTH, False)])
def test_a_provenance_is_not_too_deep(depth, kept) -> None:
    value: object = 1
    for _ in range(depth):
        value = [value]
    assert is_provenance({"a": value}) == kept


def test_without_provenance_there_is_no_section() -> None:
    artifact = read_artifact(assemble_artifact(chain_program(2, VOCABULARY), small_tensors()))
    assert artifact.section(PROVENANCE) is None and artifact.provenance == {}
    assert [s.id for s in artifact.sections] == [PROGRAM, DIRECTORY, RAW, CODES, DIGEST]


@pytest.mark.parametrize("keep", [[], [0], [0, 1], [0, 1, 2, 2], [0, 1, 2, 2, 2]])
def test_reject_a_number_of_streams_that_recipes_do_not_name(keep) -> None:
    payloads = [stream.payload for stream in read_artifact(small_artifact()).streams]
    error = refused(rewritten(codes=streams_of(*(payloads[i] for i in keep))))
    assert (type(error), error.rule) == (InvalidArtifact, "R-STR-7")


@pytest.mark.parametrize("number", [0, 3, 2**32 - 1])
def test_reject_a_recipe_that_names_no_stream(number: int) -> None:
    directory = read_artifact(small_artifact()).directory
    grid = replace(directory[0].terms[0], stream=number)
    error = refused(rewritten(directory=write_directory((replace(directory[0], terms=(grid,)), *directory[1:]))))
    assert (type(error), error.rule) == (InvalidArtifact, "R-STR-7")


def test_reject_streams_without_a_grid() -> None:
    tensors = [
        TensorSource(t.name, t.shape, t.dtype, (RawValues(np.zeros(t.shape, np.float32), "float32"),))
        for t in small_tensors()
    ]
    data = assemble_artifact(chain_program(2, VOCABULARY), tensors)
    assert read_artifact(data).streams == ()
    sections = [
        make_section(s.id, streams_of(b"\0\0\0\0") if s.id == CODES else s.decoded) for s in read_container(data)
    ]
    assert refused(write_container(sections)).rule == "R-STR-7"


def test_reject_a_small_stream_that_claims_many_integers() -> None:
    """Tensors of 2^26 weights over streams of a few bytes: refused before anything of that size exists."""
    entries = [
        TensorEntry(t, (1 << 13, 1 << 13), "float32", (Grid(1.0, 0, 0, None, None, 0, 1),))
        for t in ("table", "copy", "head")
    ]
    gain = TensorEntry("gain", (1 << 13,), "float32", (Grid(1.0, 0, 0, None, None, 0, 1),))
    program = chain_program(2, 1 << 13)
    data = rewritten(
        program=encode_program(program),
        directory=write_directory([entries[0], entries[1], gain, entries[2]]),
        raw=b"",
        codes=streams_of(b"\0" * 4, b"\0" * 64),
    )
    error = refused(data)
    assert (type(error), error.rule, error.where) == (MalformedArtifact, "R-STR-3", "codes / stream 1")


def test_reject_a_step_exponent_beyond_the_bound() -> None:
    bound = GridValues(np.zeros(SHAPE, np.int32), np.array([80, 0, 0, 0, 0, -80]), None, 1.0, 2)
    tensors = (replace(small_tensors()[0], parts=(GridInStream(bound, 1),)), *small_tensors()[1:])
    decode(assemble_artifact(chain_program(2, VOCABULARY), tensors))
    beyond = replace(bound, row_exponents=np.array([81, 0, 0, 0, 0, 0]))
    tensors = (replace(small_tensors()[0], parts=(GridInStream(beyond, 1),)), *small_tensors()[1:])
    with pytest.raises(InvalidArtifact) as caught:
        assemble_artifact(chain_program(2, VOCABULARY), tensors)
    assert caught.value.rule == "R-GRD-2" and caught.value.where == "codes / stream 0"


@pytest.mark.parametrize("change", [-1, 1])
def test_reject_a_raw_section_of_another_size(change: int) -> None:
    raw = content(RAW)
    error = refused(rewritten(raw=raw[:-1] if change < 0 else raw + b"\0"))
    assert (type(error), error.rule) == (MalformedArtifact, "R-RAW-2")


def test_the_writer_refuses_what_the_reader_would() -> None:
    head = TensorSource("head", SHAPE, "float32", (RawValues(np.full(SHAPE, 1e6, np.float32), "float16"),))
    with np.errstate(over="ignore"), pytest.raises(InvalidArtifact) as caught:
        assemble_artifact(chain_program(2, VOCABULARY), (*small_tensors()[:3], head))
    assert caught.value.rule == "R-RAW-3"
    with pytest.raises(InvalidArtifact) as caught:
        assemble_artifact(chain_program(2, VOCABULARY), (*small_tensors(), replace(small_tensors()[3], name="extra")))
    assert caught.value.rule == "R-DIR-6"


def test_limits_of_the_caller_hold() -> None:
    elements = sum(int(np.prod(t.shape)) * len(t.parts) for t in small_tensors())
    read_artifact(small_artifact(), replace(DEFAULT_LIMITS, elements=elements, tensors=4, streams=3))
    for name, limit, rule in (("elements", elements, "R-DIR-4"), ("tensors", 4, "R-DIR-1"), ("streams", 3, "R-STR-1")):
        with pytest.raises(ArtifactError) as caught:
            read_artifact(small_artifact(), replace(DEFAULT_LIMITS, **{name: limit - 1}))
        assert caught.value.rule == rule


def test_reject_every_prefix() -> None:
    data = small_artifact()
    for length in range(len(data)):
        assert isinstance(refused(data[:length]), TruncatedArtifact)


def test_reject_every_flipped_byte() -> None:
    """Checksums cover the whole file: no change of one byte survives."""
    data = small_artifact()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF if place % 2 else 1 << place // 2 % 8
        refused(bytes(damaged))


@pytest.mark.parametrize("name", ["program", "directory", "raw", "codes", "digest", "provenance"])
def test_a_flipped_byte_under_right_checksums_is_refused_or_another_artifact(name: str) -> None:
    """What is accepted is the one encoding of something; with weights, names or shapes changed it is refused."""
    section = {
        "program": PROGRAM,
        "directory": DIRECTORY,
        "raw": RAW,
        "codes": CODES,
        "digest": DIGEST,
        "provenance": PROVENANCE,
    }[name]
    original = content(section)
    expected = decode_tensors(read_artifact(small_artifact()))
    accepted = 0
    for place in range(len(original)):
        for mask in (0x01, 0x40, 0x80, 0xFF):
            damaged = bytearray(original)
            damaged[place] ^= mask
            data = rewritten(**{name: bytes(damaged)})
            try:
                artifact = decode(data)
            except ArtifactError:
                continue
            accepted += 1
            assert write_artifact(artifact) == data
            assert all(np.array_equal(a, b) for a, b in zip(decode_tensors(artifact), expected, strict=True))
    assert (accepted == 0) == (name in ("raw", "codes", "digest"))


def test_the_size_is_known_without_the_artifact_and_streams_are_remembered() -> None:
    program, tensors, provenance = chain_program(2, VOCABULARY), small_tensors(), {"made": "by a test"}
    encoded = EncodedStreams()
    data = assemble_artifact(program, tensors, provenance)
    assert artifact_size(program, tensors, provenance) == len(data)
    assert artifact_size(program, tensors, provenance, encoded=encoded) == len(data)
    assert assemble_artifact(program, tensors, provenance, encoded=encoded) == data
    index, grid = next((k, t.parts[0].grid) for k, t in enumerate(tensors) if isinstance(t.parts[0], GridInStream))
    other = replace(tensors[index], parts=(GridInStream(replace(grid, codes=np.zeros_like(grid.codes)), 1),))
    changed = [*tensors[:index], other, *tensors[index + 1 :]]
    assert assemble_artifact(program, changed, provenance, encoded=encoded) == assemble_artifact(
        program, changed, provenance
    )
    assert assemble_artifact(program, tensors, provenance, encoded=encoded) == data
