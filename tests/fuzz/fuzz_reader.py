"""The reader's one promise, tried with mutated artifacts: it answers or raises ArtifactError, and nothing else happens.

    python tests/fuzz/fuzz_reader.py --mutations 1000000
    python tests/fuzz/fuzz_reader.py --seed 3 --first 4711 --mutations 1     # one mutation again

Invariant: whatever the bytes, the reader returns what it read or raises ArtifactError with a rule; it raises nothing
else, writes back what it accepted byte for byte, and its memory stays within what its limits imply.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path += [
    str(Path(__file__).resolve().parents[1] / folder) for folder in ("support", "vectors")
]  # run as a script, too

from fuzz_mutations import SEEDS, Mutation, mutations

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_tensors, read_artifact, write_artifact
from bytecap.format.container.container import read_container, read_minor_version, write_container
from bytecap.format.container.limits import Limits

# Small enough that a reader which ignores one of them is noticed by its memory.
FUZZ_LIMITS = Limits(
    section_bytes=1 << 20, metadata_bytes=1 << 16, elements=1 << 16, products=1 << 22, tensors=1000, instructions=1000
)
PEAK_BYTES = 1 << 23
TRACED_EVERY = 16  # mutations between two whose memory is traced, which slows them several times
SECONDS = 5.0  # for one mutation: work is linear in the file and what it declares
RULE = re.compile(r"R-[A-Z]+-\d+")

ARTIFACTS = SEEDS["artifact"]

Reader = Callable[[bytes], None]


class FuzzFailure(Exception):
    """A mutation for which the invariant does not hold."""

    def __init__(self, mutation: Mutation, what: str) -> None:
        again = f"python tests/fuzz/fuzz_reader.py --seed {mutation.seed} --first {mutation.number} --mutations 1"
        super().__init__(
            f"{what}\n  steps: {', '.join(mutation.steps)}\n  again: {again}\n  bytes: {mutation.data[:200].hex()}"
        )
        self.mutation = mutation


@dataclass
class FuzzResult:
    """What a run saw: mutations tried and accepted, how often each rule refused one, the peak of memory and of time."""

    tried: int = 0
    accepted: int = 0
    rules: Counter = field(default_factory=Counter)
    peak_bytes: int = 0
    slowest_seconds: float = 0.0


def read_sections_only(data: bytes) -> None:
    """The container alone."""
    if write_container(read_container(data, FUZZ_LIMITS), read_minor_version(data)) != data:
        raise RuntimeError("what was read is written otherwise")


def read_everything(data: bytes) -> None:
    """The whole artifact, its tensors decoded; the digest, which hardly any mutation would pass, is not compared."""
    artifact = read_artifact(data, FUZZ_LIMITS)
    if write_artifact(artifact) != data:
        raise RuntimeError("what was read is written otherwise")
    decode_tensors(artifact, check_digest=False)


def run_fuzz(
    count: int,
    seed: int,
    reader: Reader = read_everything,
    *,
    seeds: Sequence[bytes] = ARTIFACTS,
    first: int = 0,
    progress: Callable[[FuzzResult], None] | None = None,
) -> FuzzResult:
    """Give `count` mutations to a reader; FuzzFailure for the first that breaks the invariant."""
    for data in seeds:  # warm caches and compiled kernels, whose memory is not a mutation's
        _outcome(reader, data)
    result = FuzzResult()
    for mutation in mutations(seeds, count, seed, first):
        _try_mutation(reader, mutation, result, traced=count == 1 or mutation.number % TRACED_EVERY == 0)
        if progress is not None and result.tried % 1000 == 0:
            progress(result)
    return result


def _try_mutation(reader: Reader, mutation: Mutation, result: FuzzResult, traced: bool) -> None:
    start, peak = time.perf_counter(), 0
    if traced:
        tracemalloc.start()
    try:
        rule = _outcome(reader, mutation.data)
    except Exception as error:
        raise FuzzFailure(mutation, f"{type(error).__name__}: {error}") from error
    finally:
        if traced:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    seconds = time.perf_counter() - start
    if seconds > SECONDS or peak > PEAK_BYTES:
        raise FuzzFailure(mutation, f"took {seconds:.1f} s and {peak:,} bytes (refused by {rule})")
    result.tried += 1
    if rule is None:
        result.accepted += 1
    else:
        result.rules[rule] += 1
    result.peak_bytes, result.slowest_seconds = max(result.peak_bytes, peak), max(result.slowest_seconds, seconds)


def _outcome(reader: Reader, data: bytes) -> str | None:
    """The rule by which the reader refused, None when it accepted; the error must say where and why."""
    try:
        reader(data)
    except ArtifactError as error:
        if not RULE.fullmatch(error.rule) or type(error) is ArtifactError or not error.message:
            raise RuntimeError(f"an incomplete error: {error!r}") from error
        return error.rule
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mutations", type=int, default=1_000_000, metavar="N", help="how many to try (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another number gives other mutations (default: %(default)s)"
    )
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first mutation (default: %(default)s)"
    )
    options = parser.parse_args()
    start = time.monotonic()

    def progress(result: FuzzResult) -> None:
        if sys.stderr.isatty():
            rate = result.tried / (time.monotonic() - start)
            left = (options.mutations - result.tried) / rate
            print(
                f"\r{result.tried:,} of {options.mutations:,}, {rate:,.0f}/s, {left:,.0f} s left ",
                end="",
                file=sys.stderr,
                flush=True,
            )

    try:
        result = run_fuzz(options.mutations, options.seed, first=options.first, progress=progress)
    except FuzzFailure as failure:
        sys.exit(f"\nthe reader broke its promise: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"{result.tried:,} mutations: {result.accepted:,} accepted, the others refused by {len(result.rules)} rules")
    print(f"peak {result.peak_bytes:,} bytes, slowest {result.slowest_seconds:.3f} s")


if __name__ == "__main__":
    main()
