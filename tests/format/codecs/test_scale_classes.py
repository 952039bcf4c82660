"""The scale-class coder: its tables, what its expectations are worth, and its golden bytes."""

from __future__ import annotations

import numpy as np
import pytest
from codec_checks import round_trip, scales_of
from reference import reference_decoder

from bytecap.errors import MalformedArtifact
from bytecap.format.codecs import ExpectedScales
from bytecap.format.codecs.scale_classes import ScaleClasses, initial_model
from bytecap.format.codecs.trellis import TRELLISES


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
def test_trellis_states_are_a_permutation_code(n_states: int) -> None:
    """Every state has two ways out and two ways in, and the reference decoder has the same table."""
    table = TRELLISES[n_states]
    assert np.array_equal(np.bincount(table.ravel(), minlength=n_states), np.full(n_states, 2))
    assert table.tolist() == [[reference_decoder.next_state(n_states, s, u) for u in range(2)] for s in range(n_states)]


def test_known_steps_are_worth_bits() -> None:
    """Rows whose steps differ by octaves cost less when the coder is told so."""
    octaves = np.random.default_rng(2).integers(-3, 4, (300, 1))
    codes = np.rint(np.random.default_rng(3).standard_normal((300, 8)) * np.exp2(octaves + 1)).astype(np.int32)
    told = ExpectedScales((octaves[:, 0].astype(np.int64) + 1) << 16, np.zeros(8, np.int64))
    assert len(round_trip(ScaleClasses, [codes], [told])) < 0.9 * len(
        round_trip(ScaleClasses, [codes], [scales_of(codes, 1 << 16)])
    )


def test_zeros_cost_almost_nothing_and_respect_the_amplification_bound() -> None:
    codes = np.zeros((2000, 1000), np.int32)
    payload = round_trip(ScaleClasses, [codes], [scales_of(codes)])
    assert codes.size / 16384 < len(payload) < 400


def test_golden_bytes() -> None:
    """The stream of a fixed matrix may never change: old artifacts must decode for ever."""
    codes = ((np.arange(48).reshape(6, 8) * 37) % 23 - 11).astype(np.int32)
    assert ScaleClasses.encode([codes], [scales_of(codes)]).hex() == GOLDEN


GOLDEN = "ffeeb814912c30d7eb76ba4c371408e167fe4809518bc785de7f72ade5cc67859e181e0873e60934086741a600"


def test_distributions_start_normalized() -> None:
    cumulative, counts = initial_model()
    assert (cumulative[:, -1] == 1 << 30).all() and (np.diff(cumulative >> 14, axis=1) >= 1).all() and not counts.any()


def test_reject_magnitude_beyond_the_limit() -> None:
    with pytest.raises(MalformedArtifact) as caught:
        ScaleClasses.decode(b"\xff" * 40, [scales_of(np.zeros((1, 1)))], offset=0, where="test")
    assert caught.value.rule == "R-STR-6"
    with pytest.raises(OverflowError, match="2\\*\\*24"):
        ScaleClasses.encode([np.array([[1 << 24]])], [scales_of(np.zeros((1, 1)))])
