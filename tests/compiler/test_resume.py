"""A compile that was killed goes on with the same bytes, and believes nothing that is not whole and its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.pipeline import CompileResult, ResultPage, compile_checkpoint
from bytecap.compiler.rate_control.walk_bookmark import WalkBookmark
from bytecap.compiler.resume import work_folder
from bytecap.compiler.resume.state_file import read_state, write_state
from bytecap.compiler.resume.work_folder import MARK, WorkFolder, open_work_folder
from bytecap.errors import OutputError
from bytecap.runtime.shards import write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 32}
CAP = 8_000
DISTILLED = (
    "[calibrate]\ntokens = 768\ntolerance = 0.0\n\n[correct-drift]\ntokens = 256\n\n"
    "[distil]\nbatch-tokens = 64\nsteps = 16\nfinal-steps = 4\n\n[land-on-cap]\nwalks = 2\n"
)
SAMPLED = (
    "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[sample-rows]\nenabled = true\nleast = 8\n"
    "\n[distil]\nenabled = false\n\n[land-on-cap]\nwalks = 1\n"
)


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the compiler catches it."""


@dataclass(frozen=True)
class Job:
    """Input files of a tiny compile."""

    folder: Path

    def compile(self, recipe: str, work: Path | None = None, **options) -> CompileResult:
        (self.folder / "recipe.toml").write_text(recipe)
        given = {"calibration": self.folder / "calibration.bin", "architecture": self.folder / "architecture.json"}
        given |= {"recipe": self.folder / "recipe.toml", "threads": 1, "cap": CAP, "work": work}
        return compile_checkpoint(self.folder / "model.pt", **(given | options))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    model = golf_model(6, **ARCHITECTURE)
    names, arrays = [t.name for t in model.tensors], [t.values for t in model.tensors]
    export_checkpoint(names, arrays, [t.dtype for t in model.tensors], folder / "model.pt")
    (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    tokens = random_sequences(ARCHITECTURE["vocab_size"], 48, ARCHITECTURE["seq_len"], seed=6)
    write_shard(folder / "calibration.bin", tokens.astype(np.uint16).reshape(-1))
    return Job(folder)


@pytest.fixture(autouse=True)
def everything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if hours passed between any two steps."""
    monkeypatch.setattr(WorkFolder, "due", lambda self: True)


def killed_after(monkeypatch: pytest.MonkeyPatch, writings: int) -> Callable[[], int]:
    """Kill the compile after so many states were written; the function says how many were."""
    real, count = work_folder.write_state, 0

    def write(path: Path, key: str, state: object) -> int:
        nonlocal count
        count += 1
        if count > writings:
            raise Killed
        return real(path, key, state)

    monkeypatch.setattr(work_folder, "write_state", write)
    return lambda: count


@pytest.mark.parametrize("recipe", [DISTILLED, SAMPLED], ids=["distilled", "sampled"])
def test_a_compile_killed_after_any_state_goes_on_with_the_same_bytes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    alone = job.compile(recipe).artifact
    work, states, kills = tmp_path / "work", 0, 0
    for step in range(1, 100):
        with monkeypatch.context() as patch:
            killed_after(patch, 3 + 2 * (step % 3))
            try:
                result = job.compile(recipe, work, output=tmp_path / "out.bcap")
            except Killed:
                kills += 1
                assert len(list(work.glob("*.state"))) >= states
                states = len(list(work.glob("*.state")))
            else:
                break
    assert result.artifact == alone == (tmp_path / "out.bcap").read_bytes()
    assert kills >= 3
    assert result.report["work"]["taken_over"]
    assert not result.report["work"]["refused"]
    assert not work.exists()


def spoiled(path: Path, how: str) -> None:
    """Do to a state what a crash, a bad disk or a stranger may."""
    data = bytearray(path.read_bytes())
    match how:
        case "flipped":
            data[len(data) // 2] ^= 1
        case "cut":
            del data[len(data) // 2 :]
        case "empty":
            data.clear()
        case "foreign":
            data[:] = b"PK\x03\x04" + bytes(300)
    path.write_bytes(data)


def test_states_that_are_not_whole_and_own_are_computed_again(job: Job, tmp_path: Path) -> None:
    alone = job.compile(SAMPLED, tmp_path / "work", keep_work=True).artifact
    states = sorted((tmp_path / "work").glob("*.state"))
    contents = [path.read_bytes() for path in states]
    for number, path in enumerate(states):
        how = ("exchanged", "flipped", "cut", "empty", "foreign")[number % 5]
        path.write_bytes(contents[number - 1]) if how == "exchanged" else spoiled(path, how)
    result = job.compile(SAMPLED, tmp_path / "work")
    assert result.artifact == alone
    assert not result.report["work"]["taken_over"]
    assert result.report["work"]["refused"]
    assert all("computed again" in line for line in result.report["work"]["refused"])


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "foreign"])
def test_no_state_is_read_that_is_not_as_it_was_written(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.state"
    state = {"n": 3, "none": None, "rows": [{"x": np.arange(5, dtype=np.int32)}, [np.empty((0, 2))], 0.1, "é"]}
    write_state(path, "key", state)
    found = read_state(path, "key")
    np.testing.assert_array_equal(found["rows"][0]["x"], state["rows"][0]["x"])
    assert (found["n"], found["none"], found["rows"][2:]) == (3, None, [0.1, "é"])
    with pytest.raises(ValueError, match="of other inputs"):
        read_state(path, "other")
    spoiled(path, how)
    with pytest.raises(ValueError, match=r"damaged|early|no state"):
        read_state(path, "key")


def test_one_calibration_serves_several_caps_and_other_inputs_have_none_of_it(job: Job, tmp_path: Path) -> None:
    work = tmp_path / "work"
    job.compile(SAMPLED, work, keep_work=True)
    other = job.compile(SAMPLED, work, cap=CAP + 1_000, keep_work=True)
    assert "calibration on 672 tokens" in other.report["work"]["taken_over"]
    assert other.artifact == job.compile(SAMPLED, cap=CAP + 1_000).artifact
    seeded = job.compile(SAMPLED, work, seed=1)
    assert seeded.report["work"]["taken_over"] == []
    assert seeded.report["work"]["bytes_left"] > 0, "what other runs left is not touched"


def test_a_disk_that_is_full_ends_the_keeping_and_not_the_compile(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, key: str, state: object) -> int:
        raise OutputError(f"cannot write {path}: No space left on device; nothing was written")

    monkeypatch.setattr(work_folder, "write_state", full)
    result = job.compile(SAMPLED, tmp_path / "work")
    assert len(result.report["work"]["refused"]) == 1
    assert "No space left" in result.report["work"]["refused"][0]


def test_an_output_that_a_killed_run_had_written_is_no_obstacle_to_the_same_command(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, output = tmp_path / "work", tmp_path / "out.bcap"

    def kill(self: WorkFolder) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(WorkFolder, "finish", kill)
        job.compile(SAMPLED, work, output=output)
    written = output.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        job.compile(SAMPLED, work, output=output, cap=CAP + 1)
    job.compile(SAMPLED, work, output=output)
    assert output.read_bytes() == written


def test_an_output_of_a_run_that_ended_is_in_the_way_of_the_same_command(job: Job, tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "out.bcap"
    job.compile(SAMPLED, work, output=output, keep_work=True)
    written = output.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        job.compile(SAMPLED, work, output=output, keep_work=True)
    job.compile(SAMPLED, work, output=output, force=True)
    assert output.read_bytes() == written


def test_a_page_is_written_before_the_folder_is_emptied_and_is_no_obstacle_either(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, output, page = tmp_path / "work", tmp_path / "out.bcap", tmp_path / "page.html"

    def kill(*_: object) -> None:
        raise Killed

    def made(given: str) -> ResultPage:
        return ResultPage(page, lambda result: f"{given} {result.report['work']['bytes_left']}".encode())

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(WorkFolder, "finish", kill)
        job.compile(SAMPLED, work, output=output, page=made("first"))
    assert page.read_bytes() == b"first 0"
    with pytest.raises(Killed):
        job.compile(SAMPLED, work, output=output, page=ResultPage(page, kill))
    result = job.compile(SAMPLED, work, output=output, page=made("last"))
    assert page.read_bytes() == b"last 0" and output.read_bytes() == result.artifact
    assert not work.exists()
    with pytest.raises(OutputError, match=r"page\.html exists"):
        job.compile(SAMPLED, work, page=made("more"))


def test_parts_of_two_walks_are_never_mixed(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first part of a walk is damaged; the run that makes it anew, and larger, is killed before it says so."""
    alone, work, parts = job.compile(SAMPLED).artifact, tmp_path / "work", []
    real, leave = work_folder.write_state, WalkBookmark.leave

    def write(path: Path, key: str, state: object) -> int:
        if path.name.startswith("walk-") and len(parts) in (3, 4):
            raise Killed
        parts.extend([path] if path.name.startswith("walked-") else [])
        return real(path, key, state)

    def leave_later(self: WalkBookmark, walk: object, results: dict) -> None:
        if len(results) > 4:
            leave(self, walk, results)

    monkeypatch.setattr(work_folder, "write_state", write)
    with pytest.raises(Killed):
        job.compile(SAMPLED, work)
    spoiled(parts[0], "flipped")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(WalkBookmark, "leave", leave_later)
        job.compile(SAMPLED, work)
    assert parts[3] == parts[0] and parts[1] != parts[0]
    assert job.compile(SAMPLED, work).artifact == alone
    assert not work.exists()


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    with open_work_folder(tmp_path / "work"), pytest.raises(OutputError, match="another run works in"):
        with open_work_folder(tmp_path / "work"):
            pass
    assert not (tmp_path / "work").exists()


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for folder in (tmp_path, tmp_path / "photo.jpg", tmp_path / "no" / "parent"):
        with pytest.raises(OutputError, match=r"create it first|name a"), open_work_folder(folder):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_the_mark_is_no_way_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / MARK).symlink_to(tmp_path / "target")
    refused = pytest.raises(OutputError, match=r"cannot work in .*; name another folder")
    with refused, open_work_folder(tmp_path / "work"):
        pass
    assert not (tmp_path / "target").exists()
