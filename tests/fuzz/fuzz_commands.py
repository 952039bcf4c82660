"""Mutated artifacts through `bytecap verify` and `bytecap inspect`: documented exit codes and whole documents only.

    python tests/fuzz/fuzz_commands.py --mutations 200000
    python tests/fuzz/fuzz_commands.py --seed 3 --first 4711 --mutations 1     # one mutation again

Each mutation meets one of COMMANDS, in turn. Invariants: the exit code is one that the help lists for an artifact, what
--json prints is one JSON document, nothing is raised, no command takes longer than SECONDS, and none makes the process
larger than PEAK_BYTES.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path += [
    str(Path(__file__).resolve().parents[1] / folder) for folder in ("support", "vectors")
]  # run as a script, too

from command_line import bytecap_command
from fuzz_mutations import SEEDS, Mutation, mutations

COMMANDS = (
    ("verify", "--json"),
    ("verify",),
    ("inspect", "--json"),
    ("inspect", "--by", "all"),
    ("inspect", "--hex"),
    ("inspect", "--program", "--json"),
)
# Done, unreadable, damaged, over a limit, a failed verification, neither an artifact nor a checkpoint; and wrong usage,
# where a mutated beginning is no artifact's any more and the view is one of artifacts.
CODES = {0, 2, 3, 4, 5, 7, 8}
SECONDS, PEAK_BYTES = 10.0, 1 << 30


class CommandFailure(Exception):
    """A mutation for which an invariant does not hold."""

    def __init__(self, mutation: Mutation, what: str) -> None:
        again = f"python tests/fuzz/fuzz_commands.py --seed {mutation.seed} --first {mutation.number} --mutations 1"
        super().__init__(f"{what}\n  steps: {', '.join(mutation.steps)}\n  again: {again}")


@dataclass
class CommandsResult:
    """What a run saw: commands run, how often each ended with which code, the slowest, and the peak of memory."""

    tried: int = 0
    endings: Counter = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    peak_bytes: int = 0


def run_commands(
    count: int, seed: int, *, first: int = 0, progress: Callable[[CommandsResult], None] | None = None
) -> CommandsResult:
    """Give `count` mutations to the commands; CommandFailure for the first that breaks an invariant."""
    result = CommandsResult()
    with tempfile.TemporaryDirectory(prefix="bytecap-fuzz-") as folder:
        path = Path(folder) / "mutated.bcap"
        for command in COMMANDS:  # what is compiled and imported at the first call is no mutation's time
            path.write_bytes(SEEDS["artifact"][0])
            bytecap_command(command[0], path, *command[1:])
        for mutation in mutations(SEEDS["artifact"], count, seed, first):
            path.write_bytes(mutation.data)
            _try_command(COMMANDS[mutation.number % len(COMMANDS)], path, mutation, result)
            if progress is not None and result.tried % 1000 == 0:
                progress(result)
    return result


def _try_command(command: tuple[str, ...], path: Path, mutation: Mutation, result: CommandsResult) -> None:
    start, before = time.perf_counter(), _peak_bytes()
    try:
        outcome = bytecap_command(command[0], path, *command[1:])
        if "--json" in command and outcome.code != 2:
            json.loads(outcome.stdout)
    except Exception as error:
        raise CommandFailure(mutation, f"{' '.join(command)}: {type(error).__name__}: {error}") from error
    seconds = time.perf_counter() - start
    peak_bytes = _peak_bytes()
    if outcome.code not in CODES or "Traceback" in outcome.stderr:
        raise CommandFailure(mutation, f"{' '.join(command)} ended with {outcome.code}: {outcome.stderr[-500:]}")
    if seconds > SECONDS or peak_bytes > max(before, PEAK_BYTES):
        raise CommandFailure(mutation, f"{' '.join(command)} took {seconds:.1f} s, the process {peak_bytes:,} bytes")
    result.tried += 1
    result.endings[f"{command[0]} {outcome.code}"] += 1
    result.slowest_seconds, result.peak_bytes = max(result.slowest_seconds, seconds), peak_bytes


def _peak_bytes() -> int:
    """The most memory that this process has had, which in a test is that of earlier tests, too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=200_000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another number gives others (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first (default: %(default)s)")
    options = parser.parse_args()
    seen, code = CommandsResult(), None

    def progress(result: CommandsResult) -> None:
        nonlocal seen
        seen = result
        if sys.stderr.isatty():
            print(f"\r{result.tried:,} of {options.mutations:,} ", end="", file=sys.stderr, flush=True)

    try:
        seen = run_commands(options.mutations, options.seed, first=options.first, progress=progress)
    except CommandFailure as failure:
        code = f"a promise is broken: {failure}"
    except KeyboardInterrupt:
        code = 130
    endings = ", ".join(f"{ending}: {count:,}" for ending, count in sorted(seen.endings.items()))
    print(f"{seen.tried:,} mutations through commands; exit codes {endings}")
    print(f"peak {seen.peak_bytes:,} bytes, slowest {seen.slowest_seconds:.3f} s")
    sys.exit(code)


if __name__ == "__main__":
    main()
