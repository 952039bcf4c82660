"""The tensor directory: bytes both ways, every rule, limits at the edge, and references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_artifacts import terms

from bytecap.errors import (
    ArtifactError,
    InvalidArtifact,
    LimitExceeded,
    MalformedArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.tensors.directory import MAX_TERMS, check_references, read_directory, write_directory
from bytecap.format.tensors.grid import GridValues, matrix_shape
from bytecap.format.tensors.raw_planes import STORAGES
from bytecap.format.tensors.terms import Alias, Grid, GridInStream, Raw, TensorEntry

A_VECTOR = TensorEntry("b", (3,), "bfloat16", (Raw("float32"),))

# entries, their bytes field by field
DIRECTORY_BYTES = [
    ([], "00"),
    ([A_VECTOR], "01  01 62  02  01 03  01  00 00"),
    ([TensorEntry("s", (), "float32", (Raw("bfloat16"),))], "01  01 73  00  00  01  00 02"),
    ([TensorEntry("é", (300, 2), "float16", (Raw("float16"),))], "01  02 c3a9  01  02 ac02 02  01  00 01"),
    (
        [TensorEntry("w", (2, 3), "float32", (Grid(1.0, 1, 0, 0, None, -2, 1), Raw("float16")))],
        "01  01 77  00  02 02 03  02  01 0000803f 01 00 01 00 00 03 01  00 01",
    ),
    (
        [A_VECTOR, replace(A_VECTOR, name="c", terms=(Alias(0),))],
        "02  01 62 02 01 03 01 00 00  01 63 02 01 03 01 02 00",
    ),
]

# bytes, error, rule, offset of the field at fault (None: no single byte)
BROKEN = {
    "more tensors than bytes": ("02 01 62 02 00 01 00", LimitExceeded, "R-DIR-1", 0),
    "a huge number of tensors": ("ffffffff0f 01 62 02 00 01 00 00", LimitExceeded, "R-DIR-1", 0),
    "a name twice": ("02  01 62 02 00 01 00 00  01 62 02 00 01 00 00", MalformedArtifact, "R-DIR-2", 8),
    "dtype 3": ("01 01 62 03 00 01 00 00", MalformedArtifact, "R-DIR-3", 3),
    "9 dimensions": ("01 01 62 00 09 01 01 01 01 01 01 01 01 01 01 00 00", LimitExceeded, "R-DIR-4", 4),
    "a dimension beyond the limit": ("01 01 62 00 01 ffffffff0f 01 00 00", LimitExceeded, "R-DIR-4", 4),
    "a product beyond 2^64": ("01 01 62 00 03 ffffffff0f ffffffff0f ffffffff0f 01 00 00", LimitExceeded, "R-DIR-4", 4),
    "a size of 0": ("01 01 62 00 02 03 00 01 00 00", InvalidArtifact, "R-DIR-5", 4),
    "a size of 0 after a large one": ("01 01 62 00 02 80808040 00 01 00 00", InvalidArtifact, "R-DIR-5", 4),
    "no term": ("01 01 62 00 00 00 00 00", MalformedArtifact, "R-REC-2", 5),
    "9 terms": ("01 01 62 00 00 09" + " 00 00" * 9, MalformedArtifact, "R-REC-2", 5),
    "unknown term": ("01 01 62 00 00 01 09", UnsupportedArtifact, "R-REC-1", 6),
    "unknown storage": ("01 01 62 00 00 01 00 03", MalformedArtifact, "R-RAW-1", 7),
    "a base of 0": ("01 01 62 00 00 01 01 00000000 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 7),
    "a step mode of 2": ("01 01 62 00 00 01 01 0000803f 00 00 02 00 00 01", MalformedArtifact, "R-GRD-2", 13),
    "a trellis of 4 states": ("01 01 62 00 00 01 01 0000803f 00 04 00 00 00 01", UnsupportedArtifact, "R-GRD-4", 12),
    "an initial scale of 257": ("01 01 62 00 00 01 01 0000803f 00 00 00 00 8204 01", InvalidArtifact, "R-GRD-3", 15),
    "alias of itself": ("01 01 62 00 00 01 02 00", InvalidArtifact, "R-REC-3", 5),
    "alias of a later tensor": ("02 01 62 00 00 01 02 01  01 63 00 00 01 00 00", InvalidArtifact, "R-REC-3", 5),
    "alias of another shape": (
        "02 01 62 00 01 03 01 00 00  01 63 00 02 01 03 01 02 00",
        InvalidArtifact,
        "R-REC-3",
        15,
    ),
    "an empty name": ("01 00 00 00 01 00 00 00", MalformedArtifact, "R-TXT-1", 1),
    "a name that is not UTF-8": ("01 01 ff 00 00 01 00 00", MalformedArtifact, "R-TXT-2", 1),
    "a name with a line feed": ("01 01 0a 00 00 01 00 00", MalformedArtifact, "R-TXT-3", 1),
    "a size not in its shortest form": ("01 01 62 00 01 8300 01 00 00", MalformedArtifact, "R-VAR-2", 5),
    "a byte after the last field": ("01 01 62 02 00 01 00 00 00", MalformedArtifact, "R-END-2", 8),
}


@pytest.mark.parametrize(("entries", "data"), DIRECTORY_BYTES)
def test_a_directory_is_these_bytes(entries, data: str) -> None:
    assert write_directory(entries) == bytes.fromhex(data)
    assert read_directory(bytes.fromhex(data), DEFAULT_LIMITS) == tuple(entries)


@pytest.mark.parametrize("case", BROKEN)
def test_reject_a_broken_directory(case: str) -> None:
    data, error, rule, offset = BROKEN[case]
    with pytest.raises(error) as caught:
        read_directory(bytes.fromhex(data), DEFAULT_LIMITS)
    assert (type(caught.value), caught.value.rule, caught.value.offset) == (error, rule, offset)
    assert caught.value.where.startswith("directory")


def test_an_error_inside_an_entry_names_the_tensor() -> None:
    with pytest.raises(MalformedArtifact, match="tensor 'b'"):
        read_directory(bytes.fromhex(BROKEN["dtype 3"][0]), DEFAULT_LIMITS)


@pytest.mark.parametrize(("entries", "data"), DIRECTORY_BYTES)
def test_reject_every_truncation(entries, data: str) -> None:
    data = bytes.fromhex(data)
    for length in range(len(data)):
        with pytest.raises((TruncatedArtifact, LimitExceeded)) as caught:
            read_directory(data[:length], DEFAULT_LIMITS)
        assert caught.value.rule in ("R-END-1", "R-DIR-1")


def vectors(*sizes: int) -> bytes:
    return write_directory([TensorEntry(f"t{i}", (n,), "float32", (Raw("float32"),)) for i, n in enumerate(sizes)])


def refusal(data: bytes, **limits: int) -> tuple[type, str] | None:
    """None when the directory is accepted."""
    try:
        read_directory(data, replace(DEFAULT_LIMITS, **limits))
    except ArtifactError as error:
        return type(error), error.rule
    return None


def test_limit_on_tensors() -> None:
    assert refusal(vectors(1, 1, 1), tensors=3) is None
    assert refusal(vectors(1, 1, 1), tensors=2) == (LimitExceeded, "R-DIR-1")


def test_limit_on_dimensions() -> None:
    data = write_directory([TensorEntry("t", (1,) * 4, "float32", (Raw("float32"),))])
    assert refusal(data, dimensions=4) is None
    assert refusal(data, dimensions=3) == (LimitExceeded, "R-DIR-4")
    for count in (DEFAULT_LIMITS.dimensions, DEFAULT_LIMITS.dimensions + 1):
        data = write_directory([TensorEntry("t", (1,) * count, "float32", (Raw("float32"),))])
        assert (refusal(data) is None) == (count == DEFAULT_LIMITS.dimensions)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 2, 3)])
def test_limit_on_the_weights_of_one_tensor(shape) -> None:
    data = write_directory([TensorEntry("t", shape, "float32", (Raw("float32"),))])
    assert refusal(data, elements=12) is None
    assert refusal(data, elements=11) == (LimitExceeded, "R-DIR-4")


def test_limit_on_all_weights_together() -> None:
    assert refusal(vectors(5, 6, 1), elements=12) is None
    assert refusal(vectors(5, 6, 1), elements=11) == (LimitExceeded, "R-DIR-4")


def grids(*shapes: tuple[int, int]) -> bytes:
    grid = GridInStream(GridValues(np.zeros((1, 1), np.int32), None, None, 0.5, 0), 1).record()
    entries = [TensorEntry(f"matrix {k}", shape, "float32", (grid,)) for k, shape in enumerate(shapes)]
    return write_directory(entries)


def test_models_of_the_usual_small_sizes_are_within_the_limits() -> None:
    """The tables and maps of a model with 268 million weights and a vocabulary of 262,144, four times over."""
    maps = [(2048, 640), (2048, 640), (640, 2048), (1024, 640), (256, 640), (256, 640), (640, 1024)]
    shapes = [(262_144, 640), *maps * 18] * 4
    assert 1.0e9 < sum(rows * columns for rows, columns in shapes) <= DEFAULT_LIMITS.elements
    assert refusal(grids(*shapes)) is None


def test_limit_on_the_sides_of_matrices_in_streams() -> None:
    assert refusal(grids((3, 4), (5, 1)), sides=13) is None
    assert refusal(grids((3, 4), (5, 1)), sides=12) == (LimitExceeded, "R-DIR-7")
    assert refusal(vectors(5, 6, 1), sides=0) is None  # in planes


def test_number_of_terms() -> None:
    for count in (1, MAX_TERMS):
        assert refusal(write_directory([replace(A_VECTOR, terms=(Raw("float16"),) * count)])) is None
    for count in (0, MAX_TERMS + 1, 255):
        assert refusal(write_directory([replace(A_VECTOR, terms=(Raw("float16"),) * count)])) == (
            MalformedArtifact,
            "R-REC-2",
        )


def test_longest_name() -> None:
    assert refusal(write_directory([replace(A_VECTOR, name="n" * 255)])) is None
    with pytest.raises(ValueError, match="255"):
        write_directory([replace(A_VECTOR, name="n" * 256)])


def test_elements() -> None:
    assert [replace(A_VECTOR, shape=shape).elements for shape in ((), (7,), (2, 3, 4))] == [1, 7, 24]


CHAIN = [
    replace(A_VECTOR, name="a"),
    replace(A_VECTOR, name="b", terms=(Alias(0), Raw("float16"))),
    replace(A_VECTOR, name="c", terms=(Alias(1),)),
    replace(A_VECTOR, name="d"),
]


@pytest.mark.parametrize("used", [{0, 1, 2, 3}, {2, 3}])
def test_sources_of_used_aliases_are_used(used) -> None:
    check_references(CHAIN, used)


@pytest.mark.parametrize(("used", "unused"), [(set(), "a"), ({0, 1, 2}, "d"), ({1, 3}, "c"), ({0, 3}, "b")])
def test_reject_a_tensor_that_nothing_uses(used, unused) -> None:
    with pytest.raises(InvalidArtifact, match=f"'{unused}'") as caught:
        check_references(CHAIN, used)
    assert caught.value.rule == "R-DIR-6"


@st.composite
def directories(draw) -> list[TensorEntry]:
    names = draw(st.lists(st.text("abß.0", min_size=1, max_size=6), max_size=5, unique=True))
    entries: list[TensorEntry] = []
    for index, name in enumerate(names):
        shape = tuple(draw(st.lists(st.integers(1, 9), max_size=4)))
        same = [i for i in range(index) if entries[i].shape == shape]
        kinds = terms(matrix_shape(shape), sources=st.sampled_from(same) if same else None)
        recipe = draw(st.lists(kinds, min_size=1, max_size=MAX_TERMS))
        entries.append(TensorEntry(name, shape, draw(st.sampled_from(STORAGES)), tuple(recipe)))
    return entries


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(directories())
def test_round_trip(entries: list[TensorEntry]) -> None:
    data = write_directory(entries)
    assert read_directory(data, DEFAULT_LIMITS) == tuple(entries)


@settings(max_examples=60)
@given(directories(), st.data())
def test_a_changed_byte_gives_another_directory_or_an_error(entries: list[TensorEntry], choice: st.DataObject) -> None:
    """One encoding a directory: whatever is accepted is written back byte for byte."""
    data = bytearray(write_directory(entries))
    data[choice.draw(st.integers(0, len(data) - 1))] ^= choice.draw(st.integers(1, 255))
    try:
        read = read_directory(bytes(data), DEFAULT_LIMITS)
    except ArtifactError:
        return
    assert write_directory(read) == bytes(data) and read != tuple(entries)
