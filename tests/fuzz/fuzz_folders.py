"""The judge's one promise, tried with mutated submission folders: a judgement of known findings, and nothing else.

    python tests/fuzz/fuzz_folders.py --mutations 20000
    python tests/fuzz/fuzz_folders.py --seed 3 --first 4711 --mutations 1     # one folder again

Invariant: whatever a folder holds, it is judged whole within 10 seconds of a core and 1 GiB; every finding is of a
declared rule and level and prints as visible text; nothing beside the folder appears, changes or goes away.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path += [
    str(Path(__file__).resolve().parents[1] / folder) for folder in ("support", "vectors")
]  # run as a script, too

from folder_mutations import MutatedFolder, mutated_folders

from bytecap.cli.verify_folder_report import print_judgement
from bytecap.submissions.judge_server import judged_apart
from bytecap.submissions.judgement import JudgeOptions, judgement_from_document
from bytecap.submissions.rules import RULES

OPTIONS = JudgeOptions()
BESIDE = "beside.txt"


class FolderFailure(Exception):
    """A folder for which the invariant does not hold."""

    def __init__(self, mutated: MutatedFolder, what: str) -> None:
        again = f"python tests/fuzz/fuzz_folders.py --seed {mutated.seed} --first {mutated.number} --mutations 1"
        super().__init__(f"{what}\n  steps: {', '.join(mutated.steps)}\n  again: {again}")


@dataclass
class FolderResult:
    """What a run saw: folders judged, verdicts, how many raised each rule, and the peaks."""

    tried: int = 0
    verdicts: Counter = field(default_factory=Counter)
    rules: Counter = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    peak_bytes: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in self.verdicts.items())
        return (
            f"{self.tried:,} folders ({verdicts}), {len(self.rules)} of {len(RULES)} rules, slowest "
            f"{self.slowest_seconds:.2f} s of a core, peak {self.peak_bytes >> 20} MiB, {len(self.failures)} failures"
        )


def run_fuzz(
    count: int,
    seed: int,
    result: FolderResult,
    *,
    first: int = 0,
    go_on: bool = False,
    progress: Callable[[FolderResult], None] | None = None,
) -> FolderResult:
    """Judge `count` mutated folders into `result`; FolderFailure for the first that breaks the invariant, unless
    `go_on` collects them.
    """
    with tempfile.TemporaryDirectory(prefix="bytecap-folders-", dir=_memory_folder()) as name:
        top = Path(name)
        (top / BESIDE).write_text("beside")
        for mutated in mutated_folders(count, seed, first):
            try:
                _try_folder(mutated, top, result)
            except FolderFailure as failure:
                if not go_on:
                    raise
                result.failures.append(str(failure))
                print(failure, file=sys.stderr, flush=True)
            if progress is not None:
                progress(result)
    return result


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _try_folder(mutated: MutatedFolder, top: Path, result: FolderResult) -> None:
    folder = mutated.write(top / "folder")
    before = _seen(folder)
    try:
        document = judged_apart(folder, OPTIONS)
        after = _seen(folder)
    finally:
        beside = sorted(path.name for path in top.iterdir())
        shutil.rmtree(folder)
    result.tried += 1
    result.verdicts[document["verdict"]] += 1
    result.rules.update({finding["rule"] for finding in document["findings"]})
    result.slowest_seconds = max(result.slowest_seconds, document["cpu_seconds"])
    result.peak_bytes = max(result.peak_bytes, document["peak_bytes"])
    if (beside, before) != ([BESIDE, "folder"], after) or (top / BESIDE).read_text() != "beside":
        raise FolderFailure(mutated, "something appeared, changed or went away")
    if wrong := what_is_wrong(document):
        raise FolderFailure(mutated, f"{wrong} ({document['cpu_seconds']:.1f} CPU seconds)")


def _seen(folder: Path) -> list[tuple[str, int, int]]:
    paths = sorted(folder.rglob("*"))
    return [(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths]


def what_is_wrong(document: dict[str, Any]) -> str:
    """Why a judgement breaks the invariant; "" where it does not."""
    for finding in document["findings"]:
        rule, level = finding["rule"], finding["level"]
        if rule.startswith("judge-"):
            return f"not judged whole: {finding['text']} {finding['values']}"
        if rule not in RULES or level not in {each.value for each in RULES[rule].levels}:
            return f"an undeclared finding: {rule} {level}"
    if not document["complete"]:
        return "not judged whole, and no finding says why"
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_judgement(judgement_from_document(document, Path(document["folder"]), OPTIONS))
    hidden = {character for line in out.getvalue().splitlines() for character in line if not character.isprintable()}
    return f"unseen characters are printed: {hidden}" if hidden else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=20_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other folders (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first (default: %(default)s)")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # in a shell's background, too, where Python would not heed them
        signal.signal(number, signal.default_int_handler)
    result, told = FolderResult(), [time.monotonic()]

    def progress(now: FolderResult) -> None:
        if time.monotonic() - told[0] > 10:
            told[0] = time.monotonic()
            print(now, file=sys.stderr, flush=True)

    try:
        run_fuzz(options.mutations, options.seed, result, first=options.first, go_on=True, progress=progress)
    except KeyboardInterrupt:
        print("interrupted; so far:")
    print(result)
    for failure in result.failures:
        print(failure)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
