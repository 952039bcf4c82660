"""Tens of thousands of mutated artifacts through the reader; `make fuzz` tries more."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest
from fuzz_commands import run_commands
from fuzz_mutations import SEEDS, STEPS, mutations
from fuzz_reader import FuzzFailure, read_everything, read_sections_only, run_fuzz
from source_tree import ROOT

from bytecap.errors import ArtifactError, MalformedArtifact
from bytecap.format.container.container import read_container

CONTAINERS, ARTIFACTS = SEEDS["container"], SEEDS["artifact"]


def test_the_container_reader_keeps_its_promise():
    result = run_fuzz(5_000, 0, read_sections_only, seeds=CONTAINERS)
    assert result.tried == 5_000
    assert result.accepted > 1_000
    assert len(result.rules) >= 18, "the mutations no longer reach the rules"


def test_the_artifact_reader_keeps_its_promise():
    result = run_fuzz(20_000, 0, read_everything, seeds=ARTIFACTS)
    assert result.tried == 20_000
    assert result.accepted > 500
    assert len(result.rules) >= 60, "the mutations no longer reach the rules"


def test_raw_bytes_behind_a_true_checksum():
    """What is not made from a good file: short files that count up, under a true header checksum."""
    for number in range(2_000):
        head = b"\x89BCAP\r\n\x1a\x01\0" + bytes([number % 3, 0]) + number.to_bytes(14, "little") * (number % 3)
        with pytest.raises(ArtifactError):
            read_container(head + zlib.crc32(head).to_bytes(4, "little") + bytes(number % 50))


def test_a_mutation_is_always_the_same_file():
    whole = [mutation.data for mutation in mutations(ARTIFACTS, 50, seed=7)]
    assert [mutation.data for mutation in mutations(ARTIFACTS, 10, seed=7, first=20)] == whole[20:30]
    assert [mutation.data for mutation in mutations(ARTIFACTS, 50, seed=8)] != whole


def test_every_step_is_taken_and_most_change_the_file():
    found = list(mutations(ARTIFACTS, 2_000, seed=0))
    assert {name for mutation in found for name in mutation.steps} == {step.__name__ for step in STEPS}
    assert len({mutation.data for mutation in found}) > 1_800


def not_caught(data: bytes) -> None:
    raise KeyError("a stray error")


def without_rule(data: bytes) -> None:
    raise MalformedArtifact("no rule", rule="")


def greedy(data: bytes) -> None:
    bytes(1 << 24)


@pytest.mark.parametrize(
    ("reader", "what"), [(not_caught, "KeyError"), (greedy, "bytes"), (without_rule, "incomplete error")]
)
def test_a_broken_promise_is_reported(reader, what):
    """The harness itself: it fails for a reader that raises something else, says no rule, or takes memory."""
    with pytest.raises(FuzzFailure, match=what) as caught:
        run_fuzz(20, 0, lambda data: reader(data) if len(data) != len(ARTIFACTS[0]) else None, seeds=ARTIFACTS[:1])
    assert "fuzz_reader.py --seed 0 --first" in str(caught.value)


def test_the_long_run_is_a_command():
    run = [sys.executable, str(ROOT / "tests" / "fuzz" / "fuzz_reader.py"), "--mutations", "50", "--seed", "5"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("50 mutations: ")
    assert done.stderr == ""


def test_compiles_that_are_killed_leave_nothing_half_written():
    """In a process of its own, which forks before it has threads; `make fuzz` runs 2,000."""
    script = ROOT / "tests" / "fuzz" / "fuzz_round_trips.py"
    done = subprocess.run(
        [sys.executable, str(script), "--trials", "3", "--seed", "5"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 round trips\n")


def test_commands_answer_to_mutated_artifacts_with_documented_codes():
    result = run_commands(900, 0)
    assert result.tried == 900
    assert {ending.split()[0] for ending in result.endings} == {"verify", "inspect"}
    assert len(result.endings) >= 6, "the mutations no longer reach the codes"
