"""`python -m benchmarks.submissions --mirror REPO.git`: judges the public challenge's folders and says what came of it.

Strategy: the merged folders of one commit and a seeded sample of pull requests' folders are taken out of a bare
mirror (git clone --mirror, with refs/pull) into a temporary folder, judged in parallel as `bytecap verify` does,
and held against `submission_expectations.py`: no FAIL among the merged ones but the true ones, and the findings
that a person made by hand. Nothing of the folders is kept; how often each rule fires is.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import bytecap
from bytecap.submissions.findings import Level
from bytecap.submissions.judgement import Judgement
from bytecap.submissions.rules import RULES

from .submission_expectations import EXPECTATIONS, TRUE_FAILURES, Expectation

RESULTS = Path(__file__).resolve().parent / "results" / "submissions.json"
COMMIT = "4908dc46f21ed3fdd08d2fdca285deb2194b9599"  # of main, 2 May 2026
SLOWEST_CPU_SECONDS, SLOWEST_SECONDS, MOST_BYTES = 1.0, 10.0, 1 << 30


def main() -> int:
    """Judge and print; 1 where an expectation is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, help="bare mirror of the challenge's repository, pull requests included")
    parser.add_argument("--commit", default=COMMIT, help="of the merged folders")
    parser.add_argument("--sample", type=int, default=200, help="folders of pull requests")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--folders", type=Path, nargs="*", help="judge these instead, without expectations")
    parser.add_argument("--threads", type=int, help="folders at a time (default: all CPUs)")
    parser.add_argument("--write", action="store_true", help=f"keep how often each rule fires in {RESULTS.name}")
    options = parser.parse_args()
    if options.folders:
        report("the folders", judged(options.folders, options.threads))
        return 0
    if options.mirror is None:
        parser.error("--mirror or --folders is needed")
    with tempfile.TemporaryDirectory(prefix="bytecap-submissions-") as folder:
        merged, pulls = extracted(options.mirror, options.commit, options.sample, options.seed, Path(folder))
        merged_judgements = judged(merged, options.threads)
        pull_judgements = judged(pulls, options.threads)
    report("merged folders", merged_judgements)
    report("folders of pull requests", pull_judgements)
    failures = unmet(merged_judgements, pull_judgements)
    print("\nexpectations:", "all met" if not failures else "")
    for failure in failures:
        print(f"  NOT MET  {failure}")
    if options.write:
        write_results(merged_judgements, pull_judgements)
    return 1 if failures else 0


def git(mirror: Path, *arguments: str) -> bytes:
    """What git prints."""
    return subprocess.run(["git", f"--git-dir={mirror}", *arguments], capture_output=True, check=True).stdout


def folders_of(mirror: Path, revision: str) -> list[tuple[str, str]]:
    """(tree, name) of the submission folders of a commit: records/TRACK/NAME."""
    lines = git(mirror, "ls-tree", "-d", "-r", "-z", revision, "records/").decode(errors="surrogateescape").split("\0")
    found = [line.split("\t", 1) for line in lines if line]
    return [(facts.split()[2], path.rpartition("/")[2]) for facts, path in found if path.count("/") == 2]


def extracted(mirror: Path, commit: str, sample: int, seed: int, folder: Path) -> tuple[list[Path], list[Path]]:
    """The merged folders and a sample of the others on disk; those that have an expectation are always among them."""
    merged = folders_of(mirror, commit)
    seen = {tree for tree, _ in merged}
    others: list[tuple[int, str, str]] = []
    refs = git(mirror, "for-each-ref", "--format=%(objectname) %(refname)", "refs/pull").decode().split("\n")
    numbered = [(int(ref.split("/")[2]), ref.split()[0]) for ref in refs if ref.endswith("/head")]
    for number, revision in sorted(numbered):
        for tree, name in _folders_or_none(mirror, revision):
            if tree not in seen:
                seen.add(tree)
                others.append((number, tree, name))
    wanted = [each for each in others if any(_is_of(e, each[2], each[0]) for e in EXPECTATIONS)]
    rest = [each for each in others if each not in wanted]
    random.Random(seed).shuffle(rest)
    pulls: list[Path] = []
    for number, tree, name in wanted + rest:
        if len(pulls) < sample and (path := _extract(mirror, tree, folder / "pulls" / f"{number}-{name}")):
            pulls.append(path)
    print(f"{len(merged)} merged folders, {len(pulls)} of {len(others):,} other folders of {len(numbered):,} pulls")
    on_disk = [_extract(mirror, tree, folder / "merged" / name) for tree, name in merged]
    return [path for path in on_disk if path is not None], pulls


def _folders_or_none(mirror: Path, revision: str) -> list[tuple[str, str]]:
    try:
        return folders_of(mirror, revision)
    except subprocess.CalledProcessError:  # no such folder in that revision
        return []


def _extract(mirror: Path, tree: str, folder: Path) -> Path | None:
    """The folder on disk; None where the mirror lacks one of its files."""
    try:
        data = git(mirror, "archive", "--format=tar", tree)
    except subprocess.CalledProcessError:
        print(f"left out, a file is not in the mirror: {folder.name}", file=sys.stderr)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            try:
                archive.extract(member, folder, filter="data")
            except (tarfile.FilterError, OSError) as error:  # a link out of the folder
                print(f"left out of {folder.name}: {error}", file=sys.stderr)
    return folder


def judged(folders: Sequence[Path], threads: int | None) -> list[Judgement]:
    """The judgement of each folder, and on stderr how long all took."""
    started = time.monotonic()
    found = list(bytecap.verify_folders(folders, threads=threads))
    print(f"{len(found)} folders in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return found


def report(title: str, judgements: Sequence[Judgement]) -> None:
    """Print the verdicts, the failures, how often each rule fires, and the costs."""
    verdicts = collections.Counter(judgement.verdict for judgement in judgements)
    print(f"\n{len(judgements)} {title}: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    for judgement in judgements:
        if judgement.verdict != "pass":
            rules = [f.rule for f in judgement.findings if f.level in (Level.FAIL, Level.SKIPPED)]
            print(f"  {judgement.verdict.upper():<10}  {judgement.path.name}: {', '.join(dict.fromkeys(rules))}")
    print("\n  folders by rule and level")
    for rule, levels in firing(judgements).items():
        print(f"  {rule:<24}" + "".join(f"  {level} {count}" for level, count in levels.items()))
    costs = [("CPU seconds", "cpu_seconds"), ("seconds", "seconds"), ("peak bytes", "peak_bytes")]
    for name, field in costs:
        ordered = sorted(judgements, key=lambda judgement: getattr(judgement, field), reverse=True)
        print(f"  most {name}: " + "; ".join(f"{getattr(j, field):,.6g} {j.path.name}" for j in ordered[:3]))


def firing(judgements: Iterable[Judgement]) -> dict[str, dict[str, int]]:
    """In how many folders each rule fires, by level."""
    counts: dict[str, collections.Counter[str]] = {rule: collections.Counter() for rule in RULES}
    for judgement in judgements:
        for rule, level in {(finding.rule, finding.level.value) for finding in judgement.findings}:
            counts[rule][level] += 1
    return {rule: dict(sorted(levels.items())) for rule, levels in counts.items()}


def unmet(merged: Sequence[Judgement], pulls: Sequence[Judgement]) -> list[str]:
    """Sentences on what is not as it should be."""
    failures = []
    for judgement in merged:
        is_true = any(part in judgement.path.name for part, _ in TRUE_FAILURES)
        if (judgement.verdict == "fail") != is_true or judgement.verdict == "not judged":
            failures.append(f"{judgement.path.name}: {judgement.verdict}")
    for expectation in EXPECTATIONS:
        found = [j for j in (*merged, *pulls) if _is_of(expectation, *_name_and_pull(j.path.name))]
        if len(found) != 1:
            failures.append(f"{expectation.id}: {len(found)} folders of that name")
        failures += [failure for judgement in found for failure in _unmet(expectation, judgement)]
    for judgement in (*merged, *pulls):
        large = sum(1 for blob in judgement.facts.get("blobs", {}).get("blobs", []))
        if (judgement.cpu_seconds > SLOWEST_CPU_SECONDS and not large) or judgement.seconds > SLOWEST_SECONDS:
            failures.append(f"{judgement.path.name}: {judgement.cpu_seconds:.2f} CPU s, {judgement.seconds:.2f} s")
        if judgement.peak_bytes > MOST_BYTES:
            failures.append(f"{judgement.path.name}: {judgement.peak_bytes:,} bytes of memory")
    return failures


def _name_and_pull(name: str) -> tuple[str, int]:
    number, dash, rest = name.partition("-")
    return (rest, int(number)) if dash and number != "2026" and number.isdigit() else (name, 0)


def _is_of(expectation: Expectation, name: str, pull: int) -> bool:
    return expectation.pull == pull and expectation.folder in name


def _unmet(expectation: Expectation, judgement: Judgement) -> Iterable[str]:
    if judgement.verdict != expectation.verdict:
        yield f"{expectation.id}: {judgement.verdict} instead of {expectation.verdict}"
    for rule, level, figures in expectation.findings:
        texts = [f"{f.place}: {f.text}" for f in judgement.findings if (f.rule, f.level.value) == (rule, level)]
        if not any(all(figure in text for figure in figures) for text in texts):
            yield f"{expectation.id}: no {level} {rule} with {', '.join(figures) or 'any text'}; there are {texts}"
    total = next((line for line in judgement.ledger if line.name == "total"), None)
    found = None if total is None else (total.as_counted, total.as_shipped)
    if expectation.ledger is not None and found != expectation.ledger:
        yield f"{expectation.id}: the ledger's totals are {found}, not {expectation.ledger}"


def write_results(merged: Sequence[Judgement], pulls: Sequence[Judgement]) -> None:
    """Keep how often each rule fires."""
    document = {
        name: {"folders": len(judgements), "rules": firing(judgements)}
        for name, judgements in (("merged", merged), ("pull_requests", pulls))
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
