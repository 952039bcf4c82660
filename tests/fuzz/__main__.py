"""Fuzz every kind of input, or some, and count what happened.

    python -m tests.fuzz                                             every target, as many mutations as it has
    python -m tests.fuzz --target gguf --mutations 20000 --seed 3    one
    python -m tests.fuzz --target gguf --seed 3 --first 4711 --mutations 1    one mutation again

The counts are printed at the end, on Ctrl-C and on SIGTERM; the exit code is 1 when an invariant did not hold.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("fuzz", "support", "vectors")]

from fuzz_run import Run, print_progress, run_in_workers, write_counts
from fuzz_targets import TARGETS

WRITTEN_EVERY = 10.0  # seconds
SHOWN_ERRORS = 3
COLUMNS = ("target", "mutations", "accepted", "refused", "failures", "slowest", "peak")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    made.add_argument("--target", action="append", choices=TARGETS, help="repeatable (default: all)")
    made.add_argument("--mutations", type=int, metavar="N", help="of each target (default: its own number)")
    made.add_argument("--seconds", type=float, metavar="S", help="of each target, at most")
    made.add_argument("--seed", type=int, default=0, help="another number gives others (default: %(default)s)")
    made.add_argument("--first", type=int, default=0, metavar="N", help="number of the first (default: %(default)s)")
    made.add_argument("--processes", type=int, default=1, metavar="N", help="beside each other (default: %(default)s)")
    made.add_argument("--inputs", type=Path, default=Path("fuzz-failures"), help="folder for inputs of failures")
    made.add_argument("--counts", type=Path, metavar="FILE", help="write the counts as JSON, every 10 seconds")
    return made


def main() -> int:
    options = parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # in a shell's background, too, where Python would not heed them
        signal.signal(number, signal.default_int_handler)
    os.environ["PYTHONHASHSEED"] = "0"
    done: dict[str, tuple[Run, object]] = {}
    interrupted = False
    for name in options.target or TARGETS:
        run = _run_of(name, options)
        try:
            _try_target(run, done, options.counts)
        except KeyboardInterrupt:
            interrupted = True
            break
    _print_table(done)
    failures = sum(len(run.failures) for run, _ in done.values())
    if interrupted:
        print("interrupted; the counts are those so far", file=sys.stderr)
    return 1 if failures else 130 if interrupted else 0


def _run_of(name: str, options: argparse.Namespace) -> Run:
    count = options.mutations
    if count is None:
        from fuzz_targets import target_named

        count = target_named(name).mutations
    inputs = options.inputs.absolute()
    return Run(name, options.seed, options.first, count, options.seconds, options.processes, inputs)


def _try_target(run: Run, done: dict[str, tuple[Run, object]], counts_file: Path | None) -> None:
    begun, written, shown = time.monotonic(), 0.0, 0

    def told(counts, at_end: bool) -> None:
        nonlocal written, shown
        done[run.target] = run, counts
        seconds = time.monotonic() - begun
        for failure in run.failures[shown:]:
            first = [other.kind for other in run.failures].index(failure.kind) == shown
            if first:
                print(f"{run.target}: {failure.what}\n  {failure.steps}\n  {run.command(failure.number)}", flush=True)
            shown += 1
        print_progress(f"{run.target}: {counts.tried:,} of {run.count:,}, {counts.tried / max(seconds, 1):,.0f}/s")
        if counts_file is not None and (at_end or time.monotonic() - written > WRITTEN_EVERY):
            written = time.monotonic()
            write_counts(counts_file, {name: _document(*pair) for name, pair in done.items()})

    run_in_workers(run, told)
    print_progress("")


def _document(run: Run, counts) -> dict[str, object]:
    told = {"seed": run.seed, "first": run.first, "count": run.count} | counts.document()
    return told | {"failed": [asdict(failure) for failure in run.failures[:200]]}


def _print_table(done: dict[str, tuple[Run, object]]) -> None:
    rows = [COLUMNS]
    for name, (_, counts) in done.items():
        refused = sum(counts.refused.values())
        numbers = (counts.tried, counts.accepted, refused, sum(counts.failures.values()))
        took = f"{counts.slowest_seconds:.2f} s", f"{counts.peak_bytes >> 20} MiB"
        rows.append((name, *(f"{number:,}" for number in numbers), *took))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]))
    for name, (run, counts) in done.items():
        errors = counts.errors.most_common(SHOWN_ERRORS)
        told = [f"{error} {count:,}" for error, count in errors]
        told += [f"and {len(counts.errors) - len(errors)} other rules"] if len(counts.errors) > len(errors) else []
        told += [f"{len(counts.refused):,} different messages"]
        told += [f"`{command}` {count:,}" for command, count in sorted(counts.commands.items())]
        print(f"{name}: {', '.join(told)}")
        for kind, count in counts.failures.most_common():
            number = next(failure.number for failure in run.failures if failure.kind == kind)
            print(f"  FAILED {count:,} times: {kind}\n    {run.command(number)}")


if __name__ == "__main__":
    sys.exit(main())
