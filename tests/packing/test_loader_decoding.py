"""The decoding half of the loader gives the very bits that format/ gives, in all ways to run its kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from random_artifacts import artifact_sources, chain_program

from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.codecs import INTEGER_CODECS, mixing, mixing_bits, scale_classes
from bytecap.format.codecs.trellis import TRELLISES
from bytecap.format.container.container import DIGEST, make_section, write_container
from bytecap.format.tensors.grid import EIGHTH_OCTAVES, GridValues
from bytecap.format.tensors.member_sets import ENCODINGS
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import TERMS_BY_ID, GridInStream, RawValues
from bytecap.packing.decoding_needs import decoding_constants, decoding_tables, stored_plainly
from bytecap.packing.kernel_text import ENTRIES, kernel_text
from bytecap.packing.loader import class_tables, decoding, integer_streams, kernel_ways, mixing_tables, term_values

CODECS = 1, 2, 3


@pytest.fixture(scope="module")
def calls():
    """Every way that is tried, with all kernels: compiled once."""
    before, kernel_ways.KERNELS = kernel_ways.KERNELS, kernel_text(CODECS)
    yield {way: kernel_ways.choose_way(way) for way in ("numba", "c", "python")}
    kernel_ways.KERNELS = before


def loaded(data, call):
    """What the loader decodes of bytes, its kernels run in one way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integer_streams, "choose_way", lambda _: call)
        return decoding.decode_artifact(data)


def same_bits(data, call):
    """Whether the loader's arrays are those of format/."""
    *_, arrays, way = loaded(stored_plainly(data), call)
    expected = decode_tensors(read_artifact(data))
    assert [a.shape for a in arrays] == [e.shape for e in expected]
    assert way == call[1]
    return all(a.tobytes() == e.tobytes() for a, e in zip(arrays, expected, strict=True))


@pytest.mark.parametrize("way", ["c", "python"])
@settings(max_examples=15)
@given(source=artifact_sources())
@pytest.mark.parametrize("codec", CODECS)
def test_random_artifacts(calls, way, codec, source):
    data = assemble_artifact(source.program, source.tensors, None, codec)
    assert same_bits(data, calls[way])


def wide_artifact(codec, trellis_states=0):
    """Matrices large enough for escapes, low bits and many adaptations, in three streams."""
    random = np.random.default_rng(codec)
    tensors = []
    for k, spread in enumerate((0.4, 9.0, 3000.0)):
        codes = np.rint(random.standard_t(3, (70, 90)) * spread).astype(np.int32)
        if trellis_states:
            codes &= ~np.int32(1)
            codes[:] = walk(codes, trellis_states)
        sides = random.integers(-9, 9, 70), np.full(90, -3) if k else None
        grid = GridValues(codes, *sides, 0.01, 2, trellis_states, 40 if trellis_states else None)
        tensors.append(TensorSource(f"table {k}", (70, 90), "float32", (GridInStream(grid, k + 1),)))
    vector = RawValues(random.standard_normal(90).astype(np.float32), "bfloat16")
    tensors.insert(2, TensorSource("scale", (90,), "float32", (vector,)))
    return assemble_artifact(chain_program(2, 70), tensors, None, codec)


def walk(codes, n_states):
    """The integers with those parities that the trellis asks for where it always runs."""
    codes = codes.copy()
    for column in codes.T:
        state = 0
        for i in range(column.size):
            column[i] += state & 1
            state = TRELLISES[n_states][state, ((column[i] & 3) - (state & 1)) >> 1]
    return codes


@pytest.mark.parametrize("trellis_states", [0, 8, 64])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("way", ["numba", "c", "python"])
def test_matrices_that_need_everything_of_a_codec(calls, way, codec, trellis_states):
    assert same_bits(wide_artifact(codec, trellis_states), calls[way])


def test_tables_are_those_of_the_format():
    known = mixing_tables.mixing_tables()
    parts = (
        mixing_bits.SQUASH,
        mixing_bits.STRETCH,
        mixing_bits.SLOW_RATES,
        mixing_bits.FAST_RATES,
        mixing.RECIPROCALS,
        mixing.LEVELS,
        mixing.SCORES.ravel(),
        mixing.INFORMATION.ravel(),
    )
    assert np.array_equal(known[: -mixing.N_CELLS], np.concatenate(parts))
    used = np.arange(mixing.N_CELLS) % 16 < mixing.N_DECISIONS
    assert np.array_equal(known[-mixing.N_CELLS :][used], mixing.initial_cells()[used])
    distributions = class_tables.starting_distributions()
    assert np.array_equal(distributions[:-288], scale_classes.INITIAL_CUMULATIVE.ravel())
    assert not distributions[-288:].any()
    assert term_values.FRACTIONS.tobytes() == EIGHTH_OCTAVES.tobytes()


def test_no_number_of_a_table_depends_on_how_a_machine_rounds(monkeypatch):
    """All that is rounded lies further from a half than any machine's functions err."""
    seen = []
    for module in (mixing_tables, class_tables):
        monkeypatch.setattr(module, "round", lambda value: seen.append(float(value)) or round(value), raising=False)
    mixing_tables.mixing_tables.__wrapped__()
    class_tables.starting_distributions.__wrapped__()
    seen += (2 ** (14.96875 - np.arange(16) / 16)).tolist()
    distances = np.abs(np.array(seen) % 1 - 0.5)
    assert len(seen) > 1500
    assert distances.min() > 1e-4


def test_the_loader_knows_every_term_set_and_codec():
    assert set(term_values.TERMS) == set(TERMS_BY_ID)
    assert set(term_values.SETS) == set(range(len(ENCODINGS)))
    assert set(integer_streams.CODECS) == set(ENTRIES) == set(INTEGER_CODECS)


def test_what_an_artifact_needs():
    artifact = read_artifact(wide_artifact(2))
    tables = decoding_tables(artifact)
    assert tables["TERMS"] == {0, 1}
    assert tables["SETS"] == set()
    assert tables["CODECS"] == {stream.codec for stream in artifact.streams}
    assert tables["TOGETHER"] == set()
    assert decoding_constants(artifact)["KERNELS"].count("def k2(") == 1


def test_other_tensors_than_those_stored_are_told(calls):
    artifact = read_artifact(stored_plainly(wide_artifact(2)))
    sections = [make_section(s.id, bytes(32)) if s.id == DIGEST else s for s in artifact.sections]
    with pytest.raises(ValueError, match="not those that were stored"):
        loaded(write_container(sections), calls["c"])


def test_damaged_bytes_are_told():
    data = bytearray(stored_plainly(wide_artifact(2)))
    data[-40] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        decoding.decode_artifact(bytes(data))


def test_compressed_sections_are_told():
    with pytest.raises(ValueError, match="compressed"):
        decoding.decode_artifact(wide_artifact(2))
