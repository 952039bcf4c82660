"""The mixing coder: its tables, what its contexts are worth, and its golden bytes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from codec_checks import WHERE, round_trip, scales_of
from numba import njit
from reference import reference_decoder
from source_tree import ROOT

from bytecap.errors import MalformedArtifact, TruncatedArtifact
from bytecap.format.codecs import mixing_tables
from bytecap.format.codecs.mixing import MAX_MAGNITUDE, Mixing, initial_cells
from bytecap.format.codecs.mixing_bits import (
    EVEN_CHANCE,
    LOW,
    POSITION,
    REFILL_BELOW,
    SPAN,
    SQUASH,
    STRETCH,
    close_window,
    code_bit,
    new_decoder,
    new_encoder,
    opened,
    refilled,
    sign_taken,
    split,
)
from bytecap.format.codecs.scale_classes import ScaleClasses


@njit
def bits_by_windows(probabilities, kinds, payload, registers, found):
    """Decisions the fast way, of which a kind of 1 is a sign."""
    window, span, position = opened(registers, payload)
    for k in range(found.size):
        if kinds[k] == 1:
            found[k], window, span = sign_taken(window, span, np.int64(1))
        else:
            bound = split(span, np.uint64(probabilities[k]))
            found[k] = window < bound
            window, span = (window, bound) if found[k] else (window - bound, span - bound)
        if span < REFILL_BELOW:
            window, span, position = refilled(window, span, position, payload)
    close_window(registers, window, span, position)


@pytest.mark.parametrize("seed", range(8))
def test_windows_decode_what_the_plain_coder_encodes_and_leave_its_registers(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, extremes = 1500, np.array([32, 65504, EVEN_CHANCE])
    kinds = random.choice(2, count, p=[0.7, 0.3])
    probabilities = np.where(random.random(count) < seed / 8, random.choice(extremes, count), 1)
    probabilities = np.where(probabilities == 1, random.integers(32, 65505, count), probabilities)
    probabilities[kinds == 1] = EVEN_CHANCE
    against = random.random(count) < seed / 16  # answers that were hardly expected take most bytes
    bits = (random.random(count) < np.where(against, 65536 - probabilities, probabilities) / 65536).astype(np.int64)
    payload, registers = new_encoder(4 * count)
    for bit, probability in zip(bits, probabilities, strict=True):
        code_bit(False, bit, probability, payload, registers)
    stream = payload[: registers[POSITION]].tobytes() + int(registers[LOW]).to_bytes(4, "big")
    data, plain = new_decoder(stream)
    assert [code_bit(True, np.int64(0), p, data, plain) for p in probabilities] == bits.tolist()
    data, fast = new_decoder(stream)
    found = np.zeros(count, np.int64)
    bits_by_windows(probabilities, kinds, data, fast, found)
    assert found.tolist() == bits.tolist()
    assert [fast[k] for k in (LOW, SPAN, POSITION)] == [plain[k] for k in (LOW, SPAN, POSITION)]


def test_smaller_than_codec_1_on_products_of_scales() -> None:
    """Rows and columns of unknown scale: what the running variances are for."""
    random = np.random.default_rng(5)
    scale = 3 * np.exp2(random.normal(0, 0.3, (300, 1)) + random.normal(0, 0.3, (1, 200)))
    codes = np.rint(random.standard_normal((300, 200)) * scale).astype(np.int32)
    scales = [scales_of(codes, 1 << 16)]
    assert len(round_trip(Mixing, [codes], scales)) < 0.998 * len(ScaleClasses.encode([codes], scales))


def test_vectors_that_repeat_cost_little() -> None:
    random = np.random.default_rng(6)
    first, other = (np.rint(random.normal(0, 6, (1, 500))).astype(np.int32) for _ in range(2))
    once = len(round_trip(Mixing, [first, other], [scales_of(first)] * 2))
    assert len(round_trip(Mixing, [first, other, first, other], [scales_of(first)] * 4)) < 1.15 * once


def test_a_vector_of_two_values_costs_about_a_bit() -> None:
    choice = np.random.default_rng(7).integers(0, 2, 1000)
    values = np.where(choice, 37, choice).astype(np.int32)[None]
    assert len(round_trip(Mixing, [values], [scales_of(values)])) < 160


def test_zeros_cost_almost_nothing_and_respect_the_amplification_bound() -> None:
    for codes in (np.zeros((2000, 500), np.int32), np.zeros((1, 200_000), np.int32)):
        assert codes.size / 16384 < len(round_trip(Mixing, [codes], [scales_of(codes)])) < 300


def test_what_cannot_be_predicted_stays_within_the_buffer() -> None:
    """Every integer the largest there is where almost zero is expected, and its opposite: the longest codes."""
    for shape in ((40, 25), (1, 1000)):
        codes = np.where(np.arange(1000) % 2, MAX_MAGNITUDE, -MAX_MAGNITUDE).astype(np.int32).reshape(shape)
        assert len(round_trip(Mixing, [codes], [scales_of(codes, -(40 << 16))])) < 40_000


def test_golden_bytes() -> None:
    """The stream of a fixed matrix and two vectors may never change: old artifacts must decode for ever."""
    codes = ((np.arange(48).reshape(6, 8) * 37) % 23 - 11).astype(np.int32)
    items = [codes, codes[:1], codes[:1] + 1]
    assert Mixing.encode(items, [scales_of(item) for item in items]).hex() == GOLDEN


GOLDEN = (
    "00007e769354882e9a18e64ab74dfd0435b7a56d567fadef6ab058ce22e5b6dd99908"
    "ec846ded98fd373f0cedb00648a565e42c7b0224cc5542cd930a6c7db4a036c9c9580"
)


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10])
@pytest.mark.parametrize("shape", [(10, 10), (1, 100)])
def test_reject_truncated(cut: int, shape: tuple[int, int]) -> None:
    codes = np.arange(-50, 50, dtype=np.int32).reshape(shape)
    payload = Mixing.encode([codes], [scales_of(codes)])
    with pytest.raises(TruncatedArtifact) as caught:
        Mixing.decode(payload[:cut], [scales_of(codes)], offset=7, where=WHERE)
    assert (caught.value.rule, caught.value.where) == ("R-STR-4", WHERE)
    assert caught.value.offset == (7 if cut < 4 else 7 + cut)


@pytest.mark.parametrize("shape", [(2, 1), (1, 1)])
def test_reject_magnitude_beyond_the_limit(shape: tuple[int, int]) -> None:
    with pytest.raises(MalformedArtifact) as caught:
        Mixing.decode(bytes(60), [scales_of(np.zeros(shape))], offset=0, where="test")
    assert caught.value.rule == "R-STR-6"
    with pytest.raises(OverflowError, match="2\\*\\*24"):
        Mixing.encode([np.array([[1 << 24]])], [scales_of(np.zeros((1, 1)))])


def test_tables_are_those_of_the_specification() -> None:
    """The page, the package and the reference decoder hold the same numbers."""
    page = (ROOT / "spec" / "codecs.md").read_text(encoding="utf-8").split("## Codec 2")[1]
    after = {
        title: [tuple(map(int, line.split())) for line in block.splitlines()]
        for title, block in re.findall(
            r"^(Knots|INITIAL\[\d\]|SCORE\[\d\]|INFORMATION)[^\n]*:\n\n```\n(.*?)```", page, re.M | re.S
        )
    }
    assert sum(after["Knots"], ()) == mixing_tables.SQUASH_KNOTS == reference_decoder.KNOTS
    for h in range(2):
        assert tuple(after[f"INITIAL[{h}]"]) == mixing_tables.INITIAL_PROBABILITIES[h] == reference_decoder.INITIAL[h]
        assert tuple(after[f"SCORE[{h}]"]) == mixing_tables.SCORES[h] == reference_decoder.SCORE[h]
    assert tuple(after["INFORMATION"]) == mixing_tables.INFORMATION == reference_decoder.INFORMATION


def test_tables_make_sense() -> None:
    assert SQUASH.tolist() == reference_decoder.SQUASHED and STRETCH.tolist() == reference_decoder.STRETCHED
    assert (np.diff(SQUASH) >= 0).all() and SQUASH[0] == 32 and SQUASH[2047] == 1 << 15 and SQUASH[-1] == 65504
    assert (np.diff(STRETCH) >= 0).all() and (
        abs(SQUASH[STRETCH[8:-8] + 2047] - (16 * np.arange(8, 4088) + 8)) < 80
    ).all()
    assert (initial_cells() & 1023 == 0).all()
