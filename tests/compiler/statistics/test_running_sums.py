"""Sums of batches from several threads: in the order of the batches, and nobody waits for one that failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics.running_sums import RunningSums
from bytecap.compiler.statistics.symmetric_sums import pack_lower, unpack_lower

PARTS = torch.from_numpy(
    np.random.default_rng(0).standard_normal((6, 80, 80)).astype(np.float32)
    * 10.0 ** np.arange(6)[:, None, None].astype(np.float32)
)


@pytest.mark.parametrize("on_disk", [False, True])
def test_batches_add_up_in_their_order_whoever_comes_first(on_disk: bool) -> None:
    expected = PARTS[0].clone()
    for part in PARTS[1:]:
        expected += part
    with ScratchFile() as scratch, ThreadPoolExecutor(len(PARTS)) as pool:
        sums = RunningSums(scratch if on_disk else None)

        def run(batch: int) -> None:
            sums.add(batch, ("moments", 1), PARTS[batch])
            if batch % 2:
                sums.add(batch, ("sometimes", 2), PARTS[batch])
            sums.finish(batch)

        list(pool.map(run, reversed(range(len(PARTS)))))
        lower = expected.double().tril()
        assert torch.equal(sums.load(("moments", 1)), lower + lower.tril(-1).T)
        assert torch.equal(sums.load(("sometimes", 2)), PARTS[1].double() + PARTS[3].double() + PARTS[5].double())
        assert sums.names("moments") == [1] and ("moments", 2) not in sums


def test_a_failure_ends_the_waiting() -> None:
    sums = RunningSums()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sums.add, 1, ("moments", 1), PARTS[1])
        sums.fail()
        with pytest.raises(RuntimeError, match="earlier batch"):
            waiting.result(timeout=20)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 200])
def test_a_second_moment_is_kept_as_its_lower_half(rows: int) -> None:
    """What stands above the diagonal counts for nothing; sums of float32 numbers, element by element."""
    random = np.random.default_rng(rows)
    first, second = (random.standard_normal((rows, rows)).astype(np.float32) for _ in range(2))
    packed = pack_lower(first) + pack_lower(second)
    assert packed.dtype == np.float32 and np.array_equal(packed, (first + second)[np.tril_indices(rows)])
    found, lower = unpack_lower(packed), np.tril(first + second).astype(np.float64)
    assert found.dtype == np.float64 and np.array_equal(found, lower + np.tril(lower, -1).T)


def test_sums_are_taken_over_from_a_run_before() -> None:
    with ScratchFile() as scratch:
        begun = RunningSums(scratch)
        for name in (("moments", 1), ("sometimes", 2)):
            begun.add(0, name, PARTS[0])
        begun.finish(0)
        kept = {name: value if isinstance(value, np.ndarray) else value.load() for name, value in begun.state().items()}
        later = RunningSums()
        later.restore(kept, 1)
        for name in (("moments", 1), ("sometimes", 2)):
            for sums in (begun, later):
                sums.add(1, name, PARTS[1])
            assert torch.equal(begun.load(name), later.load(name))
