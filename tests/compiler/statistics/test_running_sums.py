"""Sums of batches from several threads: in the order of the batches, and nobody waits for one that failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics.running_sums import RunningSums

PARTS = torch.from_numpy(
    np.random.default_rng(0).standard_normal((6, 80, 80)).astype(np.float32)
    * 10.0 ** np.arange(6)[:, None, None].astype(np.float32)
)


@pytest.mark.parametrize("on_disk", [False, True])
def test_batches_add_up_in_their_order_whoever_comes_first(on_disk: bool) -> None:
    expected = PARTS[0].double().clone()
    for part in PARTS[1:]:
        expected += part.double()
    with ScratchFile() as scratch, ThreadPoolExecutor(len(PARTS)) as pool:
        sums = RunningSums(scratch if on_disk else None)

        def run(batch: int) -> None:
            sums.add(batch, ("moments", 1), PARTS[batch])
            if batch % 2:
                sums.add(batch, ("sometimes", 2), PARTS[batch])
            sums.finish(batch)

        list(pool.map(run, reversed(range(len(PARTS)))))
        assert torch.equal(sums.load(("moments", 1)), expected)
        assert torch.equal(sums.load(("sometimes", 2)), PARTS[1].double() + PARTS[3].double() + PARTS[5].double())
        assert sums.names("moments") == [1] and ("moments", 2) not in sums


def test_a_failure_ends_the_waiting() -> None:
    sums = RunningSums()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sums.add, 1, ("moments", 1), PARTS[1])
        sums.fail()
        with pytest.raises(RuntimeError, match="earlier batch"):
            waiting.result(timeout=20)
