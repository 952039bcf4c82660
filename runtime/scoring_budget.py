"""What scoring takes of memory and of a core's time, and what it may take.

Strategy: multiply-adds and memory are known from the program before anything runs. Where one sequence with the weights
is beyond the memory, or the time below what the fastest core needs, nothing is begun; where several sequences at once
are, fewer run at once, which changes no number. The rest of the time is watched: after every step of a program, and by
a forecast from what has been scored so far. Time is that of the process's cores, so that a busy machine stops nothing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BudgetError
from ..files.numbers import integer
from ..format.program.program import Program, validate_program
from ..format.program.work import program_work
from ..format.tensors.terms import TensorEntry
from ..progress import StageProgress
from .interpreter import Interpreter
from .machine_memory import memory_bytes
from .sequence_plan import sequence_bytes

FASTEST = 1 << 38  # multiply-adds of float32 that no core makes in a second
FORECAST_FROM = 0.1  # of the seconds, from when on a forecast is believed
FORECAST_SLACK = 1.5
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class ScoringBudget:
    """What scoring may take.

    seconds : float or None        of a core, from the first probe of a document on; None for no limit
    memory_bytes : int or None     for weights and running sequences; None for what this process may have
    """

    seconds: float | None = None
    memory_bytes: int | None = None

    @property
    def memory(self) -> int | None:
        """The bytes that count; None where the machine does not tell its own."""
        return memory_bytes() if self.memory_bytes is None else self.memory_bytes


NO_BUDGET = ScoringBudget()


@dataclass(frozen=True, slots=True)
class ScoringWork:
    """What scoring takes at most.

    multiply_adds : int      of all positions together
    weight_bytes : int       tensors, and the vectors that operations spread or repeat
    sequence_bytes : int     of each sequence that runs at the same time
    threads : int            sequences at the same time
    """

    multiply_adds: int
    weight_bytes: int
    sequence_bytes: int
    threads: int

    @property
    def memory_bytes(self) -> int:
        """Everything together, beside what Python and its libraries take."""
        return self.weight_bytes + self.threads * self.sequence_bytes


def scoring_work(model: Interpreter, positions: int, length: int, threads: int, budget: ScoringBudget) -> ScoringWork:
    """The work of running `positions` tokens in sequences of `length`, on as many threads as the memory allows.

    Raises BudgetError where one sequence is too much, or no core could be in time.
    """
    weights = sum(tensor.nbytes for tensor in model.tensors) + 4 * model.shapes.vector_floats
    each = sequence_bytes(model.program, model.shapes, length)
    memory = budget.memory
    if memory is not None and weights + each > memory:
        raise _over_memory(weights + each, memory, f"weights and one sequence of {integer(length)} tokens", budget)
    if memory is not None:
        threads = max(1, min(threads, (memory - weights) // each))
    shapes = [tensor.shape for tensor in model.tensors]
    once = program_work(model.program.instructions, model.shapes.widths, shapes, length).multiply_adds
    work = ScoringWork(positions * once, weights, each, threads)
    if budget.seconds is not None and work.multiply_adds > budget.seconds * FASTEST:
        raise _over_seconds(f"{positions * once:.3g} multiply-adds take", work.multiply_adds / FASTEST, budget.seconds)
    return work


def check_program_memory(program: Program, directory: tuple[TensorEntry, ...], budget: ScoringBudget) -> None:
    """Raise BudgetError where the weights of an artifact are beyond the memory, before they are decoded."""
    shapes = validate_program(program, [entry.shape for entry in directory])
    needed = 4 * (sum(entry.elements for entry in directory) + shapes.vector_floats)
    memory = budget.memory
    if memory is not None and needed > memory:
        raise _over_memory(needed, memory, "the weights", budget)


class CoreClock:
    """Watches the seconds of a core that are spent from now on, of this process or as `spent` counts them."""

    def __init__(self, seconds: float, spent: Callable[[], float] | None = None) -> None:
        self._seconds, self._spent = seconds, spent or time.process_time
        self._began = self._spent()

    def check(self) -> None:
        """Raise BudgetError when they are spent."""
        if self._spent() - self._began > self._seconds:
            raise BudgetError(
                f"scoring took the {self._seconds:g} seconds of a core that it may, and was not done; "
                "score fewer tokens, or allow more",
                argument="seconds",
            )

    def check_forecast(self, done: int, total: int) -> None:
        """Raise BudgetError when `done` of `total` took so long that the rest will clearly be too much."""
        spent = self._spent() - self._began
        forecast = spent / done * total
        if spent > FORECAST_FROM * self._seconds and forecast > FORECAST_SLACK * self._seconds:
            raise _over_seconds(f"{done:,} of {total:,} sequences say that all take", forecast, self._seconds)


def watched(model: Interpreter, clock: CoreClock | None) -> Interpreter:
    """The same model, which stops between two instructions when the clock says so."""
    if clock is None:
        return model
    found = copy.copy(model)
    found.clock = clock
    return found


def watched_progress(progress: StageProgress | None, clock: CoreClock | None) -> StageProgress | None:
    """The same progress, with a forecast at every call."""
    if clock is None:
        return progress

    def tell(done: int, total: int) -> None:
        clock.check()
        clock.check_forecast(done, total)
        if progress is not None:
            progress(done, total)

    return tell


def _over_memory(needed: int, there: int, what: str, budget: ScoringBudget) -> BudgetError:
    owner = "this process may have" if budget.memory_bytes is None else "the budget is"
    shorter = "" if what == "the weights" else "choose shorter sequences, or "
    return BudgetError(
        f"{what} take {_amount(needed)} of memory, and {owner} {_amount(there)}; {shorter}allow more",
        argument="memory",
    )


def _amount(n_bytes: int) -> str:
    """`2.40 GiB`; of little memory the bytes, which would be 0.00 GiB."""
    return f"{n_bytes / GIB:,.2f} GiB" if n_bytes >= GIB / 10 else f"{n_bytes:,} bytes"


def _over_seconds(what: str, seconds: float, allowed: float) -> BudgetError:
    return BudgetError(
        f"{what} at least {seconds:,.3g} seconds of a core, and the budget is {allowed:g}; "
        f"score at most {min(1.0, allowed / seconds):.1%} of the tokens, or allow more",
        argument="seconds",
    )
