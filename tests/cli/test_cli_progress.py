"""Progress: one estimate that does not jump, a line a stage in a log, and nothing for who wants none."""

from __future__ import annotations

import re
import shutil

import pytest
from command_line import bytecap_command

from bytecap.cli.estimate import Estimate
from bytecap.cli.progress import ProgressLines, duration, header_lines
from bytecap.progress import NamedProgress, Plan, RepeatedProgress

PLAN = Plan({"read": "model.pt, 10 weights"}, {"a": 10.0, "b": 30.0}, 24.0, 80.0, 1_500_000_000, 1.6, {"b": 5})


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_the_estimate_comes_nearer_to_the_truth_and_never_jumps(speed: float) -> None:
    """Work that takes `speed` times the plan, in even steps."""
    clock = Clock()
    estimate = Estimate(PLAN, clock)
    truth, before, errors = 40.0 * speed, None, []
    for stage, seconds, steps in (("a", 10.0, 10), ("b", 30.0, 5)):
        for step in range(1, steps + 1):
            clock.now += seconds * speed / steps
            estimate.take(stage, step, 24 if stage == "b" and step < steps else step if step == steps else steps)
            ends = clock.now + estimate.left
            assert before is None or abs(ends - before) <= 0.25 * truth
            before = ends
            errors.append(abs(ends - truth))
    assert errors[-1] < 1e-6
    assert max(errors[-5:]) <= 0.2 * truth
    assert estimate.share == pytest.approx(1.0)


def test_a_stage_that_begins_again_counts_again_and_one_that_is_skipped_not() -> None:
    clock = Clock()
    estimate = Estimate(PLAN, clock)
    clock.now = 10.0
    estimate.take("a", 10, 10)
    clock.now = 40.0
    estimate.take("b", 5, 5)
    assert estimate.left == 0.0
    clock.now = 46.0
    estimate.take("b", 1, 5)
    assert estimate.left == pytest.approx(24.0)
    skipped = Estimate(PLAN, Clock())
    skipped.take("b", 0, 24)
    assert skipped.share == pytest.approx(0.25)
    skipped.take("another", 1, 2)
    assert skipped.share == pytest.approx(0.25)


def test_a_log_has_a_header_and_a_line_for_each_stage_of_long_work(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(clock=clock)
    lines.plan(PLAN)
    lines("a", 5, 10)
    assert capsys.readouterr().err == "", "short work is silent"
    clock.now = 11.0
    lines("a", 10, 10)
    lines("b", 0, 24)
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "bytecap:     0.0 s  read: model.pt, 10 weights"
    assert "forecast: 40 s (24 s to 1 min 20 s); 1.5 GB of memory, within a factor of 1.6; 2 stages" in shown[1]
    assert shown[2].startswith("bytecap:    11.0 s  a 10/10: took 11 s; about ")
    clock.now = 41.0
    lines("b", 24, 24)
    lines.end()
    assert "b 24/24: took 30 s" in capsys.readouterr().err


def test_a_stage_has_not_taken_what_the_next_one_did_before_it_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = ProgressLines(clock=clock)
    for seconds, stage, done in ((5, "a", 0), (8, "a", 9), (48, "b", 1), (50, "b", 9), (60, "b", 1)):
        clock.now = float(seconds)
        lines(stage, done, 9)
    clock.now = 70.0
    lines.end()
    told = [line.partition("s  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == ["a 9/9: took 3 s", "b 1/9: took 1 min 02 s"]


def lines_of(steps: list[tuple[float, int, int]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a log has of one stage whose steps are (seconds, done, total)."""
    clock = Clock()
    lines = ProgressLines(clock=clock)
    for seconds, done, total in steps:
        clock.now = seconds
        lines("tokenize a.txt (bytes)", done, total)
    lines.end()
    return [line.partition("(bytes) ")[2] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([(0.0, 0, 10), (40.0, 1, 10), (80.0, 10, 10)], ["1/10: 40 s so far", "10/10: took 1 min 20 s"]),
        ([(0.0, 0, 100), (40.0, 9, 100), (50.0, 10, 100)], ["10/100: 50 s so far", "10/100: took 50 s"]),
        (
            [(float(n), n, 100) for n in range(101)],
            ["30/100: 30 s so far", "60/100: 1 min 00 s so far", "90/100: 1 min 30 s so far"],
        ),
        ([(5.0 * n, n, 10) for n in range(11)], ["6/10: 30 s so far"]),
        ([(0.0, 0, 0), (119.0, 7, 0), (121.0, 8, 0)], ["8: 2 min 01 s so far", "8: took 2 min 01 s"]),
        ([(0.0, 0, 1), (900.0, 0, 1), (901.0, 1, 1)], ["1/1: took 15 min 01 s"]),
        ([(0.0, 0, 10), (4.0, 10, 10)], []),
    ],
)
def test_a_long_stage_says_in_a_log_how_far_it_is(steps, told, capsys) -> None:
    found = lines_of(steps, capsys)
    assert found[: len(told)] == told
    assert len(found) <= len(told) + 1


def test_what_is_repeated_is_planned_as_often() -> None:
    plans: list[Plan] = []

    class Taker:
        def __call__(self, stage: str, done: int, total: int) -> None:
            pass

        def plan(self, plan: Plan) -> None:
            plans.append(plan)

    RepeatedProgress(Taker(), ["x", "y"], "a").plan(PLAN)
    assert plans[0].seconds == {"a": 10.0, "x: b": 30.0, "y: b": 30.0}
    assert plans[0].steps == {"x: b": 5, "y: b": 5}
    assert (plans[0].total, plans[0].low, plans[0].high) == (70.0, 42.0, 140.0)


def test_a_named_progress_names_the_stages_of_its_plan() -> None:
    lines = ProgressLines(every_step=True)
    named = NamedProgress(lines, "1/2 a.pt")
    named.plan(PLAN)
    named("b", 5, 5)
    assert lines._estimate is not None
    assert lines._estimate.share == pytest.approx(1.0)


@pytest.mark.parametrize(("seconds", "text"), [(8.4, "8 s"), (245, "4 min 05 s"), (7800, "2 h 10 min")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert header_lines(PLAN)[0].startswith("read: ")


def test_verbose_shows_every_step_and_quiet_none(small_job, tmp_path) -> None:
    options = ("--recipe", tmp_path / "quick.toml")
    (tmp_path / "quick.toml").write_text("[correct-drift]\nenabled = false\n[calibrate]\ntokens = 256\n")
    verbose = bytecap_command(*small_job.compile_arguments(tmp_path / "a.bcap", "-v", *options))
    assert verbose.code == 0
    assert [
        title for title in ("read: ", "architecture: ", "forecast: ", "calibrate 1/") if title not in verbose.stderr
    ] == []
    quiet = bytecap_command(*small_job.compile_arguments(tmp_path / "b.bcap", "-q", *options))
    assert (quiet.code, quiet.stderr) == (0, "")
    assert "before the work; it took" in quiet.stdout


@pytest.mark.parametrize(
    ("line", "stages"),
    [
        ("inspect {artifact}", ["read and decode"]),
        ("inspect {checkpoint}", ["read"]),
        ("export {artifact} -o x.pt", ["decode and write"]),
        ("generate {artifact} --prompt 1 --tokens 2", ["read the model"]),
        ("pack {artifact} -o out", ["decode", "run the script beside the runtime"]),
        ("verify {artifact} --data {data} --tokenizer {tokenizer}", ["score 50/50"]),
        (
            "diff {artifact} {artifact} --data {data} --tokenizer {tokenizer}",
            ["score reference 50/50"],
        ),
    ],
)
def test_every_command_that_works_says_its_stages_or_is_quiet(line, stages, small_job, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.format(**vars(small_job)).split()
    verbose = bytecap_command(*words, "-v")
    assert verbose.code == 0
    told = [re.sub(r"^bytecap: +[0-9.]+ s  ", "", each) for each in verbose.stderr.splitlines()]
    for stage in stages:
        assert any(each.startswith(stage.format(**vars(small_job))) for each in told), verbose.stderr
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (tmp_path / "x.pt").unlink(missing_ok=True)
    quiet = bytecap_command(*words, "-q")
    assert quiet.code == 0 and (not quiet.stderr or quiet.stderr.startswith("bytecap: note: "))
