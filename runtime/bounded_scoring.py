"""A model and the options of its score, held within a budget: what every command asks before it scores."""

from __future__ import annotations

from dataclasses import replace

from ..format.parallel import usable_cores
from .evaluation import ScoringData, ScoringOptions
from .interpreter import Interpreter
from .scoring import target_count
from .scoring_budget import CoreClock, ScoringWork, scoring_work, watched, watched_progress


def bound_scoring(
    model: Interpreter, data: ScoringData, options: ScoringOptions
) -> tuple[Interpreter, ScoringOptions, ScoringWork]:
    """The model and the options with which it is scored within `options.budget`, and what that takes.

    Raises BudgetError where it is known that the budget does not allow it; the model and the progress raise it later.
    """
    length = model.program.sequence_length if options.sequence_length is None else options.sequence_length
    again = -(-length // (options.stride or length))  # windows that a token is in
    positions = target_count(data.tokens, length, options.max_tokens) * again
    budget, threads = options.budget, options.threads or usable_cores()
    work = scoring_work(model, positions, length, threads, budget)
    clock = None if budget.seconds is None else CoreClock(budget.seconds)
    chosen = replace(options, threads=work.threads, progress=watched_progress(options.progress, clock))
    return watched(model, clock), chosen, work
