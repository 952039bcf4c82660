"""A piece of work in a process of its own, which does nothing else, so that its time and peak memory are its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any


def answer_alone(what: str, work: Callable[..., None], *arguments: object) -> Any:
    """What `work(*arguments, answers)` puts into `answers`; SystemExit, which names `what`, where it fails."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=work, args=(*arguments, answers))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{what} ended with {process.exitcode}")
    return answers.get()
