"""Result files appear whole or not at all: every refusal, every failure, and what is left in the folder after it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest

from bytecap.errors import OutputError
from bytecap.files.output import check_output, write_output, write_output_folder

WRITE_OVER_THE_FILE_SIZE_LIMIT = """
import resource, sys
from bytecap.files.output import write_output
from bytecap.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_output(sys.argv[1], bytes(1 << 20))
except OutputError as error:
    print(error)
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
def test_written_bytes_are_the_given_bytes(tmp_path, data):
    check_output(tmp_path / "a.bcap")
    write_output(tmp_path / "a.bcap", data)
    assert contents(tmp_path) == {"a.bcap": data}


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_output(tmp_path / "a.bcap", b"1")
    (tmp_path / "plain").write_bytes(b"1")
    assert stat.S_IMODE((tmp_path / "a.bcap").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("operation", [lambda path: check_output(path), lambda path: write_output(path, b"new")])
def test_an_existing_file_is_kept_without_force(tmp_path, operation):
    target = tmp_path / "a.bcap"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.bcap exists$") as caught:
        operation(target)
    assert caught.value.argument == "force"
    assert contents(tmp_path) == {"a.bcap": b"old"}


def test_force_replaces_an_existing_file(tmp_path):
    target = tmp_path / "a.bcap"
    target.write_bytes(b"old and longer")
    check_output(target, force=True)
    assert contents(tmp_path) == {"a.bcap": b"old and longer"}
    write_output(target, b"new", force=True)
    assert contents(tmp_path) == {"a.bcap": b"new"}


@pytest.mark.parametrize("there", [True, False])
def test_force_replaces_a_link_and_not_what_it_points_to(tmp_path, there):
    target, other = tmp_path / "a.bcap", tmp_path / "other"
    target.symlink_to("other")
    if there:
        other.write_bytes(b"somebody else's")
    for operation in (check_output, lambda path: write_output(path, b"new")):
        said = r"a\.bcap exists$" if there else r"a\.bcap is a link to other, where nothing is$"
        with pytest.raises(OutputError, match=said) as caught:
            operation(target)
        assert caught.value.argument == "force" and target.is_symlink()
    check_output(target, force=True)
    write_output(target, b"new", force=True)
    assert not target.is_symlink() and target.read_bytes() == b"new"
    assert other.exists() == there and (not there or other.read_bytes() == b"somebody else's")


def unusable_paths(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    return {
        "is a folder": tmp_path / "folder",
        "is not a folder; create it first": tmp_path / "missing" / "a.bcap",
        "file is not a folder": tmp_path / "file" / "a.bcap",
        "is not a regular file": tmp_path / "pipe",
    }


@pytest.mark.parametrize("force", [False, True])
def test_unusable_paths_are_refused_and_nothing_appears(tmp_path, force):
    paths = unusable_paths(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for message, path in paths.items():
        for operation in (check_output, lambda path, force: write_output(path, b"data", force=force)):
            with pytest.raises(OutputError, match=message):
                operation(path, force=force)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    """The mode bits stop an ordinary user; for root the refusal comes from /proc, which takes no files."""
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    target = "/proc/a.bcap" if os.geteuid() == 0 else folder / "a.bcap"
    with pytest.raises(OutputError, match=r"cannot write .*a\.bcap: .*nothing was written"):
        check_output(target)
    with pytest.raises(OutputError, match=r"cannot write .*a\.bcap: .*nothing was written"):
        write_output(target, b"data")


def test_a_write_the_system_refuses_half_way_leaves_nothing(tmp_path):
    """A real refusal: the process may write 4096 bytes a file and asks for a megabyte."""
    process = subprocess.run(
        [sys.executable, "-c", WRITE_OVER_THE_FILE_SIZE_LIMIT, str(tmp_path / "a.bcap")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == f"cannot write {tmp_path}/a.bcap: File too large; nothing was written\n"
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutputError, "No space left on device"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (MemoryError(), MemoryError, None),
    ],
)
def test_a_failing_step_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step, failure, raised, message):
    target = tmp_path / "a.bcap"
    target.write_bytes(b"old")

    def fail(*arguments):
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(raised, match=message):
        write_output(target, b"new", force=True)
    monkeypatch.undo()
    assert contents(tmp_path) == {"a.bcap": b"old"}


def test_a_file_that_appears_during_the_work_is_not_overwritten(tmp_path, monkeypatch):
    target = tmp_path / "a.bcap"
    real_fsync = os.fsync

    def another_program_writes(descriptor):
        real_fsync(descriptor)
        target.write_bytes(b"theirs")

    monkeypatch.setattr(os, "fsync", another_program_writes)
    with pytest.raises(OutputError, match="exists"):
        write_output(target, b"ours")
    assert contents(tmp_path) == {"a.bcap": b"theirs"}


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(tmp_path, monkeypatch):
    """Between the check and the taking of the name: one step decides both."""
    target = tmp_path / "a.bcap"
    real_link = os.link

    def another_program_is_faster(partial, path):
        target.write_bytes(b"theirs")
        real_link(partial, path)

    monkeypatch.setattr(os, "link", another_program_is_faster)
    with pytest.raises(OutputError, match="exists") as caught:
        write_output(target, b"ours")
    assert caught.value.argument == "force"
    assert contents(tmp_path) == {"a.bcap": b"theirs"}


def test_a_file_system_without_hard_links_gets_the_file_by_a_rename(tmp_path, monkeypatch):
    def no_links(partial, path):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    write_output(tmp_path / "a.bcap", b"data")
    assert contents(tmp_path) == {"a.bcap": b"data"}


KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
from bytecap.files.output import partial_output
with partial_output(sys.argv[1]) as partial:
    partial.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process that holds a half-written file beside a.bcap until it is killed."""
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path / "a.bcap")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("operation", [check_output, lambda path: write_output(path, b"data")])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, writer, operation):
    (leftover,) = tmp_path.iterdir()
    assert leftover.read_bytes() == b"half"
    writer.kill()
    writer.wait()
    operation(tmp_path / "b.bcap")
    assert leftover.name not in contents(tmp_path)


def test_what_a_living_process_writes_stays(tmp_path, writer):
    (living,) = tmp_path.iterdir()
    write_output(tmp_path / "b.bcap", b"data")
    assert contents(tmp_path) == {living.name: b"half", "b.bcap": b"data"}


def test_a_leftover_folder_is_removed_and_other_hidden_files_stay(tmp_path):
    leftover = tmp_path / ".bytecap-0123456789abcdef.partial"
    leftover.mkdir()
    (leftover / "config.json").write_bytes(b"{}")
    others = [".bytecap-settings", ".bytecap-0123456789abcdef.partial.old", "bytecap-0123456789abcdef.partial"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    write_output_folder(tmp_path / "model", {"a": b"1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "model"])


def test_two_writers_of_one_new_folder_make_one_of_them(tmp_path, monkeypatch):
    real_rename = os.rename

    def another_program_is_faster(partial, path):
        path.mkdir()
        (path / "a").write_bytes(b"theirs")
        real_rename(partial, path)

    monkeypatch.setattr(os, "rename", another_program_is_faster)
    with pytest.raises(OutputError, match="nothing was written"):
        write_output_folder(tmp_path / "model", {"a": b"ours"})
    assert contents(tmp_path / "model") == {"a": b"theirs"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_very_long_name_still_gets_a_sibling(tmp_path):
    target = tmp_path / ("é" * 125)
    write_output(target, b"data")
    assert contents(tmp_path) == {target.name: b"data"}


def test_a_folder_that_is_read_takes_the_same_files_again_and_no_others(tmp_path):
    folder = tmp_path / "model"
    write_output_folder(folder, {"weights": b"1", "tokenizer": b"2"})
    read = [folder / "weights", folder / "tokenizer"]
    write_output_folder(folder, {"tokenizer": b"2", "more": b"3"}, force=True, read=read)
    with pytest.raises(OutputError, match="weights is read; name another file to write"):
        write_output_folder(folder, {"more": b"4", "weights": b"5"}, force=True, read=read)
    assert [(folder / name).read_bytes() for name in ("weights", "tokenizer", "more")] == [b"1", b"2", b"3"]
