"""How far a sequential walk has come, in a work folder: its settled matrices, and what tuning made of the rest.

Strategy: between two groups of matrices a walk is its settled matrices with their prices, the tensors that are still
float, and the averages of their gradients. Settled matrices are kept in parts, each written once; the rest in one state
that is replaced. Both models' activations are not kept: going through the program again with the settled weights makes
the same ones. The last group is always walked again, so that the last matrix is open as in any walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Protocol

import numpy as np

from ..quantize.refiner import Refiner
from ..quantize.representation import Quantized
from ..quantize.sequential import Target, Walk
from ..quantize.stored_quantized import decode_quantized, encode_quantized
from ..resume.work_folder import Memory
from ..statistics.matrix_statistics import MatrixStatistics
from .walk_plan import WalkPlan

STAGE, PART = "walk", "walked"


def memory_of_walk(memory: Memory, plan: WalkPlan, *how: object) -> Memory:
    """The memory for a walk with such a plan; how : what else decides it."""
    errors = {index: plan.error(index) for index in plan.sizes}
    kept = {index: quantized.weights for index, quantized in plan.kept.items()}
    return memory.bound_to(plan.byte_price, plan.size, plan.sizes, errors, kept, how)


class Accounts(Protocol):
    """What a walk has settled, for how much: SequentialWalk."""

    plan: WalkPlan
    settled: Mapping[int, tuple[int, float]]
    targets: Mapping[int, Target]

    def settle(self, index: int, result: Quantized, n_bytes: int, byte_price: float, target: Target | None) -> None: ...


class WalkBookmark:
    """The bookmark of one walk; `Bookmark` of quantize/sequential.py."""

    def __init__(self, memory: Memory, accounts: Accounts, refiner: Refiner | None) -> None:
        """memory : of this walk alone, see memory_of_walk"""
        self._memory, self._accounts, self._refiner = memory, accounts, refiner
        self._parts: list[int] = []  # how many matrices each holds

    def open(self, walk: Walk) -> dict[int, Quantized]:
        """Take over what a run before has settled."""
        state = self._memory.recall(STAGE) or {"parts": []}
        parts = [self._memory.recall(PART, number) or [] for number in range(len(state["parts"]))]
        if not parts or [len(part) for part in parts] != state["parts"]:
            return {}  # one is damaged, or was written anew by a run that was killed before it had come this far
        rows = [row for part in parts for row in part]
        found = {row["index"]: decode_quantized(row["quantized"]) for row in rows}
        for row in rows:
            target = _decode_target(row["target"])
            self._accounts.settle(row["index"], found[row["index"]], row["bytes"], row["byte_price"], target)
        walk.restore(state["walk"], {index: quantized.weights for index, quantized in found.items()})
        if self._refiner is not None:
            self._refiner.restore(state["refiner"])
        self._parts = state["parts"]
        self._memory.took(f"{len(rows)} of {len(self._accounts.plan.sizes)} matrices of a walk")
        return found

    def leave(self, walk: Walk, results: Mapping[int, Quantized]) -> None:
        """Keep the walk where it is time to, and always before its last group."""
        new = list(results)[sum(self._parts) :]
        if not new or not (self._memory.due() or walk.groups_left == 1):
            return
        self._memory.keep(PART, len(self._parts), state=[self._row(index, results[index]) for index in new])
        self._parts = [*self._parts, len(new)]
        refiner = None if self._refiner is None else self._refiner.state()
        self._memory.keep(STAGE, state={"parts": self._parts, "walk": walk.state(results), "refiner": refiner})

    def _row(self, index: int, quantized: Quantized) -> dict[str, object]:
        n_bytes, byte_price = self._accounts.settled[index]
        row = {"index": index, "bytes": n_bytes, "byte_price": float(byte_price)}
        target = _encode_target(self._accounts.targets.get(index))
        return row | {"quantized": encode_quantized(quantized), "target": target}


def _encode_target(target: Target | None) -> dict[str, object] | None:
    if target is None:
        return None
    weights, known = target
    return {"weights": weights, **{field.name: getattr(known, field.name) for field in fields(known)}}


def _decode_target(state: Mapping | None) -> Target | None:
    if state is None:
        return None
    values = {name: None if value is None else np.array(value) for name, value in state.items()}
    return values.pop("weights"), MatrixStatistics(**values)
