"""Raw planes: layout byte by byte, rounding to each storage, and the two rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import InvalidArtifact, MalformedArtifact
from bytecap.format.tensors.raw_planes import (
    ITEM_BYTES,
    STORAGES,
    decode_raw_planes,
    encode_raw_planes,
    from_storage,
    plane_slices,
    to_storage,
)

LARGEST = {"float32": 3.4028234663852886e38, "float16": 65504.0, "bfloat16": 3.3895313892515355e38}


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# (values, storage) in directory order, the section's bytes
SECTION_BYTES = [
    ([], ""),
    ([(floats(1.0), "float32")], "3f 80 00 00"),
    ([(floats(1.0, -2.5), "float32")], "3fc0 8020 0000 0000"),
    ([(floats(1.0, -2.5), "float16")], "3cc1 0000"),
    ([(floats(1.0, -2.5), "bfloat16")], "3fc0 8020"),
    # float32 first, then float16, then bfloat16, each in directory order and each over all its tensors
    (
        [
            (floats(1.0), "bfloat16"),
            (floats(0.5), "float16"),
            (floats(2.0), "float32"),
            (floats(-0.0), "bfloat16"),
            (floats(4.0), "float32"),
        ],
        "4040 0080 0000 0000  38 00  3f80 8000",
    ),
]

# value, storage, word: rounding half to even, subnormals, signed zeros
WORDS = [
    (1.0 + 2.0**-11, "float16", 0x3C00),  # halfway, to the even one below
    (1.0 + 3 * 2.0**-11, "float16", 0x3C02),  # halfway, to the even one above
    (1.0 + 2.0**-11 + 2.0**-20, "float16", 0x3C01),
    (2.0**-24, "float16", 0x0001),
    (2.0**-25, "float16", 0x0000),
    (3 * 2.0**-25, "float16", 0x0002),
    (-(2.0**-24), "float16", 0x8001),
    (65519.0, "float16", 0x7BFF),
    (1.0 + 2.0**-8, "bfloat16", 0x3F80),
    (1.0 + 3 * 2.0**-8, "bfloat16", 0x3F82),
    (1.0 + 2.0**-8 + 2.0**-20, "bfloat16", 0x3F81),
    (2.0**-133, "bfloat16", 0x0001),  # a subnormal float32 as well
    (2.0**-134, "bfloat16", 0x0000),
    (3 * 2.0**-134, "bfloat16", 0x0002),
    (-0.0, "bfloat16", 0x8000),
    (2.0**-149, "float32", 0x00000001),
    (-1.0, "float32", 0xBF800000),
]


@pytest.mark.parametrize(("arrays", "data"), SECTION_BYTES)
def test_a_section_is_these_bytes(arrays, data: str) -> None:
    data = bytes.fromhex(data)
    assert encode_raw_planes(arrays) == data
    decoded = decode_raw_planes(data, [(values.size, storage) for values, storage in arrays])
    assert [values.tobytes() for values in decoded] == [values.tobytes() for values, _ in arrays]
    assert all(values.dtype == np.float32 for values in decoded)


@pytest.mark.parametrize(("value", "storage", "word"), WORDS)
def test_rounding(value: float, storage: str, word: int) -> None:
    assert int(to_storage(floats(value), storage)[0]) == word


def float32_bits() -> st.SearchStrategy[np.ndarray]:
    """Any finite float32 by its bits: subnormals and exact halves are as likely as anything else."""
    halves = st.builds(
        lambda high, low: high << 16 | low,
        st.integers(0, 0xFFFF),
        st.sampled_from([0x8000, 0x7FFF, 0x8001, 0, 0xFFFF, 0x1000]),
    )
    words = st.lists(st.integers(0, 0xFFFFFFFF) | halves, min_size=1, max_size=40)
    return words.map(lambda w: np.array(w, np.uint32).view(np.float32)).filter(lambda v: np.isfinite(v).all())


@given(float32_bits())
def test_bfloat16_rounds_as_torch_does(values: np.ndarray) -> None:
    expected = torch.from_numpy(values.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    words = to_storage(values, "bfloat16")
    assert words.dtype == np.uint16 and np.array_equal(words, expected)


@given(
    float32_bits().map(lambda v: np.ldexp(v, -100).astype(np.float32))
    | st.lists(st.floats(-70000, 70000, width=32), min_size=1).map(np.float32)
)
def test_float16_rounds_as_torch_does(values: np.ndarray) -> None:
    expected = torch.from_numpy(values.copy()).to(torch.float16).view(torch.int16).numpy().view(np.uint16)
    with np.errstate(over="ignore"):
        assert np.array_equal(to_storage(values, "float16"), expected)


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_every_word_survives(storage: str) -> None:
    """All 65,536 words, subnormals included: widening and rounding back is the identity on finite values."""
    words = np.arange(65536, dtype=np.uint16)
    values = from_storage(words, storage)
    finite = np.isfinite(values)
    assert finite.sum() == {"float16": 63488, "bfloat16": 65280}[storage]
    assert np.array_equal(to_storage(values[finite], storage), words[finite])


def test_slices_stand_where_the_bytes_of_a_plane_are() -> None:
    """Plane 0 is the most significant byte of each word, whatever stands before it in the section."""
    wanted = [("bfloat16", 3), ("float32", 2), ("float16", 1), ("float32", 4), ("bfloat16", 2)]
    random = np.random.default_rng(0)
    arrays = [(random.normal(size=elements).astype(np.float32), storage) for storage, elements in wanted]
    data = encode_raw_planes(arrays)
    slices = list(plane_slices([(elements, storage) for storage, elements in wanted]))
    assert sorted((each.index, each.plane) for each in slices) == [
        (index, plane) for index, (storage, _) in enumerate(wanted) for plane in range(ITEM_BYTES[storage])
    ]
    assert [each.start for each in slices] == [0, *np.cumsum([each.length for each in slices])[:-1].tolist()]
    for each in slices:
        words = to_storage(*arrays[each.index])
        expected = words >> (8 * (words.itemsize - 1 - each.plane)) & 0xFF
        assert data[each.start : each.start + each.length] == expected.astype(np.uint8).tobytes()


@st.composite
def sections(draw) -> list[tuple[np.ndarray, str]]:
    arrays = []
    for storage in draw(st.lists(st.sampled_from(STORAGES), max_size=6)):
        top = LARGEST[storage]
        values = draw(st.lists(st.floats(-top, top, width=32), min_size=1, max_size=9))
        arrays.append((np.array(values, np.float32), storage))
    return arrays


@given(sections())
def test_round_trip(arrays: list[tuple[np.ndarray, str]]) -> None:
    data = encode_raw_planes(arrays)
    assert len(data) == sum(values.size * ITEM_BYTES[storage] for values, storage in arrays)
    decoded = decode_raw_planes(data, [(values.size, storage) for values, storage in arrays])
    for (values, storage), again in zip(arrays, decoded, strict=True):
        rounded = from_storage(to_storage(values, storage), storage)
        assert again.tobytes() == rounded.tobytes()
        if storage == "float32":
            assert again.tobytes() == values.tobytes()
    assert encode_raw_planes([(values, storage) for values, (_, storage) in zip(decoded, arrays, strict=True)]) == data


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ([], 1),
        ([(3, "float32")], 11),
        ([(3, "float32")], 13),
        ([(1, "float16"), (2, "bfloat16")], 5),
        ([(1, "float16"), (2, "bfloat16")], 7),
        ([(1, "float32")], 0),
    ],
)
def test_reject_a_section_of_another_size(wanted, size: int) -> None:
    with pytest.raises(MalformedArtifact) as caught:
        decode_raw_planes(bytes(size), wanted)
    assert (caught.value.rule, caught.value.offset, caught.value.where) == ("R-RAW-2", 0, "raw")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 4])
def test_reject_a_value_that_is_not_finite(storage: str, value: float, place: int) -> None:
    values = np.zeros(5, np.float32)
    values[place] = value
    data = encode_raw_planes([(floats(1.0), "float32"), (values, storage)])
    with pytest.raises(InvalidArtifact, match=storage) as caught:
        decode_raw_planes(data, [(1, "float32"), (5, storage)])
    assert caught.value.rule == "R-RAW-3"


def test_the_largest_values_are_accepted() -> None:
    arrays = [(floats(top, -top), storage) for storage, top in LARGEST.items()]
    decoded = decode_raw_planes(encode_raw_planes(arrays), [(2, storage) for storage in LARGEST])
    assert [values.tolist() for values in decoded] == [[top, -top] for top in LARGEST.values()]
