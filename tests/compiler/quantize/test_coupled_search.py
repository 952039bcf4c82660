"""The coupled search in blocks decides as one that keeps every survivor's errors in full."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.quantize.coupled_search import RECENT, search_coupled_path
from bytecap.compiler.quantize.trellis_search import BIT_COSTS, trellis_sources
from bytecap.format.codecs.scale_classes import EVEN, ODD, TRELLIS_THRESHOLD, bin_shift, class_of
from bytecap.format.codecs.trellis import TRELLISES

RATE_WEIGHT = 0.05


def cheapest(wanted: float, residue: int, scale: int) -> tuple[float, float]:
    """(cost, integer) as the search weighs them, written out again."""
    near = residue + 4 * np.rint((wanted - residue) / 4)
    kind, found = EVEN + residue % 2, []
    scale_class = class_of(scale, kind)
    first = 0 if kind == ODD else 1
    for k in (near, near - 4 if near > 0 else near + 4):
        number = int(abs(k)) >> 1
        place = ((number - first) >> bin_shift(scale_class)) + first if number >= first else 0
        found.append(
            ((wanted - k) * (wanted - k) + RATE_WEIGHT * BIT_COSTS[residue % 2, scale_class, min(place, 15)], k)
        )
    return min(found, key=lambda each: each[0])


def naive_search(targets, steps, scales, coupling, sources) -> list[int]:
    """Survivors as (cost, errors, integers); None for a state without one."""
    survivors = [(0.0, [], []), *[None] * (len(sources) - 1)]
    for i in range(len(targets)):
        wanted = [None if s is None else (targets[i] - feedback(coupling, s[1], i)) / steps[i] for s in survivors]
        following = []
        for state in range(len(sources)):
            ways = []
            for before, u in [(state, None)] if scales[i] < TRELLIS_THRESHOLD else sources[state].tolist():
                if survivors[before] is not None:
                    cost, errors, codes = survivors[before]
                    k = 2 * np.rint(wanted[before] / 2)
                    more = (wanted[before] - k) * (wanted[before] - k)
                    if u is not None:
                        more, k = cheapest(wanted[before], before % 2 + 2 * u, scales[i])
                    ways.append((cost + more, [*errors, k * steps[i] - targets[i]], [*codes, int(k)]))
            following.append(min(ways, key=lambda way: way[0], default=None))
        survivors = following
        if i >= RECENT:
            best = min((s for s in survivors if s is not None), key=lambda s: s[0])
            survivors = [s if s and s[1][i - RECENT] == best[1][i - RECENT] else None for s in survivors]
    return min((s for s in survivors if s is not None), key=lambda s: s[0])[2]


def feedback(coupling: np.ndarray, errors: list[float], i: int) -> float:
    """Summed from the oldest row to the newest, as the search does."""
    total = 0.0
    for k in range(i):
        total += coupling[k, i] * errors[k]
    return total


@pytest.mark.parametrize(
    ("rows", "bits", "spread"), [(5, 1.5, 0.5), (150, 1.2, 0.5), (150, -0.7, 1.0), (180, 2.0, 2.5)]
)
def test_blocks_change_no_integer(rows: int, bits: float, spread: float) -> None:
    generator = np.random.default_rng(rows)
    targets = generator.standard_normal(rows)
    steps = 2.0 ** (-bits + spread * generator.uniform(-1, 1, rows))
    scales = np.rint(65536 * np.log2(0.8 / steps)).astype(np.int64)
    coupling = np.triu(generator.standard_normal((rows, rows)), 1) * 0.5 / np.sqrt(rows)
    sources, found = trellis_sources(TRELLISES[8]), np.empty(rows, np.int64)
    search_coupled_path(targets, steps, scales, coupling, sources, RATE_WEIGHT, BIT_COSTS, found)
    assert found.tolist() == naive_search(targets, steps, scales, coupling, sources)
