"""How many protected weights a budget holds, and which of their bytes hold no values, all counted with whole files.

Strategy: the size of a file grows nearly evenly with the number of items, so that guessing by the bytes
of the last file and then enclosing the budget takes few files. Metadata is read off the records of
format/inspection.py, of the file and of its base.
"""

from __future__ import annotations

from collections.abc import Callable

from ...compiler.rate_control.landing import Trial
from ...format.artifact import decode_contents, read_artifact
from ...format.container.container import DIRECTORY, section_name
from ...format.inspection import inspect_artifact
from ...format.tensors.matrices import stored_matrices

BUDGET_TOLERANCE = 0.01  # of the protected bytes: how near a point comes to its budget, and a control to its point
LEAST_TOLERANCE = 8  # bytes
SEARCHES = 14


def tolerance_of(budget: int) -> int:
    """How many bytes from its goal a search may end."""
    return max(LEAST_TOLERANCE, round(BUDGET_TOLERANCE * budget))


def fill_budget(
    make: Callable[[int], Trial], items: int, base: int, budget: int, least: int
) -> tuple[int, Trial | None]:
    """(n, make(n)) with the largest file found of base + least to base + budget bytes; (0, None) where
    make(1) is too large.
    """
    count, trial, size = 0, None, 0
    excess, above = items + 1, 0
    wanted = round(items * budget / base)
    for _ in range(SEARCHES):
        tried = min(max(wanted, count + 1), excess - 1)
        if tried <= count:
            break
        made = make(tried)
        spent = len(made.data) - base
        if spent > budget:
            excess, above = tried, spent
        else:
            count, trial, size = tried, made, spent
            if size >= least:
                break
        if excess > items:
            wanted = round(count * min(16.0, 0.995 * budget / size)) if size > 0 else 4 * tried
        else:
            wanted = count + round((excess - count) * min(max((0.995 * budget - size) / (above - size), 0.02), 0.98))
    return count, trial


def fill_share(make: Callable[[float], Trial], base: int, budget: int, least: int) -> Trial | None:
    """The largest file found of at most base + budget bytes, by halving the interval of the share; None
    where none is larger than the base.
    """
    low, high, best = 0.0, 1.0, None
    for _ in range(SEARCHES // 2):
        share = (low + high) / 2
        made = make(share)
        spent = len(made.data) - base
        if spent > budget:
            high = share
            continue
        low = share
        if spent > 0 and (best is None or len(made.data) > len(best.data)):
            best = made
        if spent >= least:
            break
    return best


def metadata_bytes(data: bytes, base: bytes) -> dict[str, int]:
    """Bytes of a file with protected weights beyond those of the base that hold no values of weights: sets,
    codebooks, steps, the rest.

    The remainder of the difference is what the protected weights' own integers and raw values take, and the
    change of the grids under them.
    """
    tables = [_metadata(content) for content in (data, base)]
    return {name: tables[0][name] - tables[1][name] for name in tables[0]}


def _metadata(data: bytes) -> dict[str, int]:
    """A bitmap has its share of the compressed directory, in proportion to what both are before compression."""
    found, artifact = inspect_artifact(data), read_artifact(data)
    shared = {row.name: row.bytes for row in found.shared}
    directory = next(row for row in found.sections if row.name == section_name(DIRECTORY))
    steps, in_stream = (shared.pop(name, 0) for name in ("step exponents of all tensors", "sets of all tensors"))
    bitmaps = sum(term.set_bytes for row in found.tensors for term in row.terms) - in_stream
    in_directory = directory.stored_bytes * bitmaps // directory.decoded_bytes
    words = {place for place, matrix in stored_matrices(artifact.directory).items() if matrix.name == "codewords"}
    codebooks = sum(size for place, size in decode_contents(artifact).matrix_bytes.items() if place in words)
    rest = sum(shared.values()) - in_directory
    return {"sets": in_stream + in_directory, "codebooks": codebooks, "steps": steps, "directory and headers": rest}
