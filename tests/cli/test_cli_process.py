"""The command as a process: pipes that close, errors of the system, tables on and off a terminal, progress."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from command_line import bytecap_command, process_arguments

from bytecap import interface
from bytecap.cli import main
from bytecap.cli.progress import terminal_progress
from bytecap.cli.tables import print_table
from bytecap.errors import BytecapError, CapError, CheckpointError, DataError, OutputError
from bytecap.files.numbers import integer, percent


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CapError("too small"), 6, "too small"),
        (CheckpointError("not one"), 8, "not one"),
        (OutputError("exists"), 9, "exists"),
        (BytecapError("other"), 1, "other"),
        (OutputError("it exists", argument="force"), 9, "it exists; use --force to replace it, or name another output"),
        (DataError("few", argument="max_tokens"), 8, "few; change it with --max-tokens"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"), 9, "/tmp/x: No space left on device"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/tmp/x"), 9, "/tmp/x: Permission denied"),
        (MemoryError(), 5, "this takes more memory than there is"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written is left"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "this needs PyTorch"),
    ],
)
def test_an_error_is_one_line_and_its_code(monkeypatch, error, code, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(main.group, "main", fail)
    outcome = bytecap_command("inspect")
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith(f"bytecap: error: {message}") and outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'numpy'", name="numpy"), ValueError("a bug")])
def test_a_bug_is_not_dressed_up(monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(main.group, "main", fail)
    with pytest.raises(type(error)):
        bytecap_command("inspect")


@pytest.mark.parametrize("line", ["inspect {} --hex", "inspect {} --hex --json", "diff {} {}", "plugins", "--help"])
def test_a_reader_that_is_gone_is_told_as_other_commands_tell_it(small_job, line):
    """`bytecap inspect --hex | head -1`: 128 and SIGPIPE, and not a word; of `diff`, 1 would mean another file."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = line.format(*[small_job.artifact] * 2).split()
    done = subprocess.run(process_arguments(*arguments), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_pipe_that_breaks_elsewhere_is_an_error_that_is_told(monkeypatch):
    def fail():
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE), "/dev/fuse")

    monkeypatch.setattr(interface, "plugins", fail)
    outcome = bytecap_command("plugins")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (9, "", "bytecap: error: /dev/fuse: Broken pipe\n")


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"K\xe4se \\u2603"), ("utf-8", "Käse ☃".encode())])
def test_what_the_encoding_of_standard_output_lacks_is_written_in_ascii(small_job, encoding, shown):
    words = ["generate", small_job.artifact, "--tokenizer", small_job.tokenizer, "--prompt", "Käse ☃", "--tokens", 1]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(process_arguments(*words), capture_output=True, env=environment, check=False)
    assert done.returncode == 0 and done.stdout.startswith(shown) and b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_loses_what_is_printed_and_nothing_else(small_job, closed):
    command = " ".join(process_arguments("inspect", small_job.artifact))
    done = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["", "--json"])
def test_what_standard_output_does_not_take_is_one_line_that_names_it(small_job, option):
    command = " ".join(process_arguments("inspect", small_job.artifact))
    done = subprocess.run(f"{command} {option} >/dev/full", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (9, "bytecap: error: standard output: No space left on device\n")


def test_what_standard_error_does_not_take_is_lost_and_changes_nothing(small_job):
    command = " ".join(process_arguments("eval", small_job.artifact, *small_job.score_arguments(), "--json"))
    done = subprocess.run(f"{command} --verbose 2>/dev/full", shell=True, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["command"] == "eval"
    command = " ".join(process_arguments("inspect", "missing.bcap"))
    assert subprocess.run(f"{command} 2>/dev/full", shell=True, check=False).returncode == 2


def test_standard_input_that_was_closed_is_an_empty_file(small_job):
    command = " ".join(process_arguments("verify", "-"))
    done = subprocess.run(f"{command} <&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (7, "") and "the file ends after 0 bytes" in done.stdout


def test_a_plain_table_is_as_wide_as_its_content(capsys):
    print_table(("name", ">bytes"), [("a", "1,000"), ("a much longer name", "5")], ("total", "1,005"))
    assert capsys.readouterr().out.splitlines() == [
        "name                bytes",
        "a                   1,000",
        "a much longer name      5",
        "total               1,005",
        "",
    ]


def test_a_plain_table_takes_brackets_and_long_cells_as_they_are(capsys):
    print_table(("name", "text"), [("[red]x[/red]", "y" * 500)])
    assert capsys.readouterr().out.splitlines()[1] == "[red]x[/red]  " + "y" * 500


def test_a_drawn_table_fits_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("name", ">bytes"), [("n" * 100, "1,000")])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.count("n") for line in lines[2:]) == 100


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (1234567, "1,234,567")])
def test_integers(value, text):
    assert integer(value) == text


@pytest.mark.parametrize(("part", "whole", "text"), [(1, 3, "33.3 %"), (0, 5, "0.0 %"), (5, 5, "100.0 %"), (1, 0, "-")])
def test_percent(part, whole, text):
    assert percent(part, whole) == text


def test_progress_is_silent_off_a_terminal(capsys):
    with terminal_progress() as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_shows_each_stage(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal_progress() as progress:
        progress("calibrate", 0, 4)
        progress("calibrate", 4, 4)
        progress("land on cap", 1, 0)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "calibrate" in shown.err and "4/4" in shown.err and "land on cap" in shown.err


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "bytecap", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == bytecap_command("--version").stdout
