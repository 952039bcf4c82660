"""Every kind of input, a few mutations each; `make fuzz` tries a million. And the frame itself: what it must notice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import fuzz_run
import pytest
from artifact_mutations import SEEDS, STEPS, mutations
from byte_mutations import changed_bytes, mutated
from folder_mutations import STEPS as FOLDER_STEPS
from folder_mutations import mutate_folder
from folder_target import check_document
from fuzz_frame import REPEATED_EVERY, Answer, Bench, Counts, Seed, Target
from fuzz_invariants import Broken
from fuzz_run import Run, bench, run_in_workers
from fuzz_targets import TARGETS, target_named
from source_tree import ROOT
from weights_mutations import CANARY, HOSTILE

from bytecap.errors import ArtifactError, DataError
from bytecap.format.container.container import read_container

LEAST_GOOD = 0.3  # share of the seeds that are accepted before they are mutated
LEAST_REASONS = {"container": 10, "artifact": 35, "folder": 0}  # different messages or rules that the short run reaches


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_of_every_target_loses_nothing(name):
    target, counts, broken = target_named(name), Counts(), []
    with bench(name, 0) as made:
        for number in range(target.short):
            try:
                made.try_number(number, counts)
            except Broken as failure:
                broken.append(f"{number}: {failure}")
    assert broken == []
    assert counts.tried == target.short == counts.accepted + sum(counts.refused.values())
    assert counts.accepted > 0
    assert sum(made.good) >= LEAST_GOOD * len(made.inputs)
    reasons = counts.errors if "R-" in "".join(counts.refused) else counts.refused
    assert len(reasons) >= LEAST_REASONS.get(name, 10), "the mutations no longer reach the errors"


@pytest.mark.parametrize("name", ["container", "recipe"])
def test_a_mutation_is_always_the_same(name):
    with bench(name, 7) as first:
        found = [first.mutation(number) for number in range(20)]
    with bench(name, 7) as second:
        assert [second.mutation(number) for number in (19, 3, 11)] == [found[19], found[3], found[11]]
    with bench(name, 8) as other:
        assert [other.mutation(number) for number in range(20)] != found


def test_every_step_on_artifacts_is_taken_and_most_change_the_file():
    found = list(mutations(SEEDS["artifact"], 1_000, seed=0))
    assert {name for mutation in found for name in mutation.steps} == {step.__name__ for step in STEPS}
    assert len({mutation.data for mutation in found}) > 900


def test_every_step_on_folders_is_taken():
    taken = {step for number in range(100) for step in mutate_folder(random.Random(number)).steps}
    assert taken == {step.__name__ for step in FOLDER_STEPS}


def test_raw_bytes_behind_a_true_checksum():
    """What is not made from a good file: short files that count up, under a true header checksum."""
    for number in range(2_000):
        head = b"\x89BCAP\r\n\x1a\x01\0" + bytes([number % 3, 0]) + number.to_bytes(14, "little") * (number % 3)
        with pytest.raises(ArtifactError):
            read_container(head + zlib.crc32(head).to_bytes(4, "little") + bytes(number % 50))


def test_the_hostile_pickles_are_hostile(tmp_path, monkeypatch):
    """Each makes its file when Python's own unpickler runs it: else the canary would prove nothing."""
    import pickle

    monkeypatch.chdir(tmp_path)
    for code in HOSTILE:
        pickle.loads(b"\x80\x02" + code + b".")
        Path(CANARY).unlink(missing_ok=True) if Path(CANARY).is_file() else Path(CANARY).rmdir()


# ---- what the frame must notice ------------------------------------------------------------------


def stray(path: Path) -> Answer:
    raise KeyError("a stray error")


def greedy(path: Path) -> Answer:
    return Answer(str(len(bytearray(b"x") * (1 << 26))))


def slow(path: Path) -> Answer:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    return Answer("slow")


def forgetful(path: Path) -> Answer:
    path.with_name("left").write_bytes(b"x")
    return Answer("a file is left")


def executed(path: Path) -> Answer:
    Path(CANARY).touch()
    return Answer("code of the file was run")


def unseen(path: Path) -> Answer:
    raise DataError("it names \ue000 what nobody sees")


def silent(path: Path) -> Answer:
    raise DataError("")


def undecided(path: Path) -> Answer:
    return Answer(str(time.monotonic_ns()))


def dying(path: Path) -> Answer:
    if path.read_bytes().startswith(b"\0"):
        import os

        os.kill(os.getpid(), signal.SIGKILL)
    return Answer("alive")


FAULTS = [
    (stray, "KeyError"),
    (greedy, "MiB"),
    (slow, "took"),
    (forgetful, "left"),
    (executed, CANARY),
    (silent, "0 characters"),
    (undecided, "two answers"),
]


def small_target(attempt, **changes) -> Target:
    seeds = [Seed({"x.bin": b"\1\2\3\4"}, {"x.bin": (changed_bytes,)})]
    limits = {"seconds": 0.2, "peak_bytes": 1 << 24, "errors": (DataError,)} | changes
    return Target("small", lambda: seeds, attempt, mutated, **limits)


@pytest.mark.parametrize(("attempt", "told"), FAULTS, ids=[told for _, told in FAULTS])
def test_a_broken_promise_is_noticed(attempt, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Bench(small_target(lambda path: Answer("")), tmp_path, 0)
    made.target = small_target(attempt)
    counts = Counts()
    with pytest.raises(Broken, match=told):
        made.try_number(REPEATED_EVERY, counts)
    assert (counts.tried, sum(counts.failures.values())) == (1, 1)


def test_an_error_of_another_class_than_the_target_names_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Bench(small_target(lambda path: Answer("")), tmp_path, 0)
    made.target = small_target(unseen, errors=(ArtifactError,))
    with pytest.raises(Broken, match="DataError"):
        made.try_number(0, Counts())


def test_a_process_that_dies_is_a_failure_and_nothing_is_lost(monkeypatch):
    """The number that killed it is told, and the others are all tried."""
    import fuzz_targets

    monkeypatch.setattr(fuzz_targets, "target_named", lambda name: small_target(dying, peak_bytes=1 << 30, seconds=9.0))
    run = Run("small", 0, 0, 12)
    counts = run_in_workers(run, lambda counts, at_end: None)
    assert 0 < len(run.failures) < 12 and all("died" in failure.kind for failure in run.failures)
    assert counts.tried == 12 == counts.accepted + len(run.failures)
    assert f"--first {run.failures[0].number} --mutations 1" in run.command(run.failures[0].number)


def test_inputs_of_failures_are_kept(tmp_path, monkeypatch):
    import fuzz_targets

    monkeypatch.setattr(fuzz_targets, "target_named", lambda name: small_target(lambda path: Answer("")))
    run = Run("small", 0, 0, 9, inputs=tmp_path / "kept")
    with bench("small", 0) as made:
        made.target = small_target(stray)
        failures = [fuzz_run._try(made, number, Counts(), run) for number in range(9)]
        assert Path(failures[0].kept, "x.bin").read_bytes() == made.mutation(0).files["x.bin"]
    assert [bool(failure.kept) for failure in failures] == [True] * fuzz_run.INPUTS_A_KIND + [False] * 6


def test_a_judgement_that_is_not_declared_or_not_whole_is_noticed():
    finding = {"rule": "folder-link", "level": "fail", "text": "x", "place": "", "values": {}}
    for document, told in (
        ({"findings": [finding], "complete": True}, "undeclared"),
        ({"findings": [finding | {"rule": "judge-time"}], "complete": True}, "not judged whole"),
        ({"findings": [], "complete": False}, "not judged whole"),
    ):
        with pytest.raises(Broken, match=told):
            check_document(document)


def test_the_counts_are_printed_on_an_interrupt(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "--target", "container", "--mutations", "10000000"]
    command += ["--counts", str(tmp_path / "counts.json")]  # written with the first word of the worker
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "counts.json").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out.splitlines()[0].split() == ["target", "mutations", "accepted", "refused", "failures", "slowest", "peak"]
    assert "interrupted" in err


def test_compiles_that_are_killed_leave_nothing_half_written():
    """In a process of its own, which forks before it has threads; `make fuzz` runs 2,000."""
    script = ROOT / "tests" / "fuzz" / "fuzz_round_trips.py"
    done = subprocess.run(
        [sys.executable, str(script), "--trials", "2", "--seed", "5"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 round trips\n")


def test_every_mutator_knows_the_good_files_that_it_is_for():
    """None raises NotThisKind, or anything else, at a file of its own kind: the change would be one of plain bytes."""
    for name in ("gguf", "config", "shard", "text", "recipe", "architecture"):
        for seed in target_named(name).seeds():
            for file, mutators in seed.mutators.items():
                made = {mutator(seed.files[file], random.Random(number)) for mutator in mutators for number in range(3)}
                assert made - {seed.files[file]}
