"""Sets of rows, columns and elements: gaps and bits both ways, what a writer chooses, and what a reader refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_artifacts import member_lists

from bytecap.errors import InvalidArtifact
from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.tensors.member_sets import (
    BITMAP,
    DIFFERENCE,
    FINEST,
    GAPS,
    MAX_GAP,
    PREFIX,
    SAME,
    MemberSet,
    decode_bitmap,
    decode_gaps,
    decode_set,
    encode_bitmap,
    encode_gaps,
    finest_members,
    gap_scales,
)
from bytecap.format.tensors.set_choice import SetChooser

UNIVERSE = 400


@given(st.integers(2, 70).flatmap(lambda n: st.tuples(st.just(n), member_lists(n))))
def test_bits_and_gaps_both_ways(case):
    universe, members = case
    assert decode_bitmap(encode_bitmap(members, universe)).tolist() == members.tolist()
    assert len(encode_bitmap(members, universe)) == -(-universe // 8)
    gaps = encode_gaps(members)
    assert gaps.shape == (1, members.size) and gaps.dtype == np.int32
    assert decode_gaps(gaps, universe).tolist() == members.tolist()
    if members[-1] + 1 < universe:
        assert decode_gaps(gaps, int(members[-1]) + 1).tolist() == members.tolist()
    with pytest.raises(InvalidArtifact) as caught:
        decode_gaps(gaps, int(members[-1]))
    assert caught.value.rule == "R-SET-6"


@given(st.lists(st.integers(-(1 << 24) + 1, (1 << 24) - 1), min_size=1, max_size=9))
def test_any_gaps_are_ascending_members(integers):
    universe = 1 << 40
    members = decode_gaps(np.array(integers, np.int32), universe)
    assert members[0] >= 0 and (np.diff(members) > 0).all()
    assert encode_gaps(members).ravel().tolist() == integers


def test_the_largest_gap_fits_an_integer_of_a_stream():
    integers = encode_gaps(np.array([MAX_GAP - 1, 2 * MAX_GAP - 1]))
    for codec in INTEGER_CODECS.values():
        scales = [gap_scales(2, 1 << 28)]
        (decoded,), _ = codec.decode(codec.encode([integers], scales), scales, offset=0, where="")
        assert np.array_equal(decoded, integers)


def chosen(members, *, exponents=None, chooser: SetChooser | None = None, place=(0, 0)):
    """The record chosen, after it has been decoded again."""
    chooser = SetChooser() if chooser is None else chooser
    earlier = dict(pair for pairs in chooser.earlier.values() for pair in pairs)
    told = chooser.choose(np.asarray(members), UNIVERSE, exponents, place)
    assert told.record.count == len(members)
    assert decode_set(told.record, UNIVERSE, told.integers, exponents, earlier).tolist() == list(members)
    return told.record


RANDOM = np.random.default_rng(3)
SCATTERED = np.sort(RANDOM.choice(UNIVERSE, 12, replace=False))
HALF = np.sort(RANDOM.choice(UNIVERSE, 200, replace=False))


def test_each_set_is_told_the_short_way():
    assert chosen(range(150)) == MemberSet(PREFIX, 150)
    exponents = RANDOM.integers(-9, 9, UNIVERSE)
    assert chosen(finest_members(exponents, 37), exponents=exponents) == MemberSet(FINEST, 37)
    assert chosen(SCATTERED) == MemberSet(GAPS, 12)
    assert chosen(HALF).encoding == BITMAP
    assert chosen(range(8, UNIVERSE)).encoding in (BITMAP, GAPS)


def test_earlier_sets_are_named():
    chooser = SetChooser()
    chosen(HALF, chooser=chooser, place=(3, 1))
    assert chosen(HALF, chooser=chooser, place=(4, 0)) == MemberSet(SAME, 200, named=(3, 1))
    changed = np.setxor1d(HALF, SCATTERED[:4])
    record = chosen(changed, chooser=chooser, place=(5, 0))
    assert record == MemberSet(DIFFERENCE, changed.size, named=(3, 1), changes=4)
    assert chosen(changed, chooser=chooser, place=(6, 0)) == MemberSet(SAME, changed.size, named=(5, 0))


@given(st.lists(member_lists(UNIVERSE), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_whatever_is_chosen_is_decoded(sets, seed):
    chooser, exponents = SetChooser(), np.random.default_rng(seed).integers(-3, 3, UNIVERSE)
    for entry, members in enumerate(sets):
        chosen(members, exponents=exponents, chooser=chooser, place=(entry, 0))


@pytest.mark.parametrize("members", [[], [3, 2], [1, 1], [-1, 4], [0, UNIVERSE], range(UNIVERSE), [[1, 2]]])
def test_what_is_no_set_is_refused(members):
    with pytest.raises(ValueError, match="ascending members"):
        SetChooser().choose(np.array(members, np.int64), UNIVERSE, None, (0, 0))


def test_gaps_cost_about_their_entropy():
    """The price of telling a random set by gaps: at most 4 % above log2 of the number of such sets, and
    the stream's end.
    """
    universe, members = 20_000, np.sort(np.random.default_rng(1).choice(20_000, 1_000, replace=False))
    scales = [gap_scales(members.size, universe)]
    sizes = [len(codec.encode([encode_gaps(members)], scales)) for codec in INTEGER_CODECS.values()]
    share = members.size / universe
    entropy = -universe * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) / 8
    assert min(sizes) < 1.04 * entropy + 4
