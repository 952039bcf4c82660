"""Signals: the command ends within about a second, with its exit code, and nothing half-written is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from bytecap.cli.interruption import GRACE_SECONDS
from bytecap.runtime.shards import write_shard

SLACK_SECONDS = 10.0  # of a loaded machine; the alternative lasts an hour
WRITING = """
import sys, time
from bytecap.cli.interruption import heed_signals
from bytecap.cli import main
from bytecap.files.output import partial_output

def work(*arguments, **options):
    with partial_output(sys.argv[1]) as partial:
        partial.write_bytes(b"half")
        print("working", flush=True)
        {work}

main.group.main = work
main.main([])
"""
BETWEEN_INSTRUCTIONS = "time.sleep(3600)"
# A lock that is taken twice: the call never comes back, and no signal wakes it, as in a kernel.
IN_ONE_LONG_CALL = "import ctypes; lock = ctypes.create_string_buffer(64); take = ctypes.CDLL(None).pthread_mutex_lock"
IN_ONE_LONG_CALL += "; take(lock); take(lock)"


# What is raised there goes no further. The object's own work is over sooner than that of the command.
IN_A_DESTRUCTOR = "kept = type('Kept', (), {'__del__': lambda self: (print('there', flush=True), time.sleep(5))})()"
IN_A_DESTRUCTOR += "; del kept; time.sleep(3600)"


# As torch's C++ does when an exception comes out of the Python that it calls while it is imported.
IN_AN_IMPORT = "sys.path.insert(0, sys.argv[2]); import aborts"
ABORTS = """
import os, time
try:
    print("there", flush=True)
    time.sleep(3600)
except BaseException:
    os.abort()
"""


def heeding_all_but(ignored=()):
    """Whatever the tests themselves were started under, such as nohup, a command heeds these signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


def start(folder, work, ignored=(), stderr=subprocess.PIPE):
    def preexec():
        heeding_all_but(ignored)

    modules = folder.with_name(f"{folder.name}-modules")
    modules.mkdir()
    (modules / "aborts.py").write_text(ABORTS)
    command = [sys.executable, "-c", WRITING.replace("{work}", work), str(folder / "a.bcap"), str(modules)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, preexec_fn=preexec)
    assert process.stdout.readline() == b"working\n"
    assert work not in (IN_AN_IMPORT, IN_A_DESTRUCTOR) or process.stdout.readline() == b"there\n"
    return process


@pytest.mark.parametrize("work", [BETWEEN_INSTRUCTIONS, IN_ONE_LONG_CALL, IN_AN_IMPORT, IN_A_DESTRUCTOR])
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "the terminal is gone"),
    ],
)
def test_a_signal_ends_the_command_and_leaves_nothing(tmp_path, work, number, code, message):
    process = start(tmp_path, work)
    start_time = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=GRACE_SECONDS + SLACK_SECONDS)
    assert time.monotonic() - start_time < GRACE_SECONDS + SLACK_SECONDS
    assert process.returncode == code
    assert stderr.decode() == f"bytecap: error: {message}; nothing half-written is left\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("work", [BETWEEN_INSTRUCTIONS, IN_ONE_LONG_CALL])
def test_a_signal_ends_a_command_whose_last_word_nobody_takes(tmp_path, work):
    """As on a terminal that is gone."""
    with open("/dev/full", "wb") as full:
        process = start(tmp_path, work, stderr=full)
    process.send_signal(signal.SIGHUP)
    try:
        assert process.wait(timeout=GRACE_SECONDS + SLACK_SECONDS) == 129
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "the terminal is gone"),
    ],
)
@pytest.mark.parametrize("given", [["-m", "bytecap"], ["-c", "from bytecap.cli.start import main; main()"]])
def test_a_signal_while_the_command_itself_is_imported(tmp_path, given, number, code, message):
    (tmp_path / "click.py").write_text(ABORTS)  # the first of the imports that take long
    process = subprocess.Popen(
        [sys.executable, *given, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=heeding_all_but,
    )
    assert process.stdout.readline() == b"there\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=SLACK_SECONDS)
    assert (process.returncode, stderr.decode()) == (code, f"bytecap: error: {message}; nothing half-written is left\n")


def test_what_nohup_ignores_stays_ignored(tmp_path):
    process = start(tmp_path, BETWEEN_INSTRUCTIONS, ignored={signal.SIGHUP})
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2 * GRACE_SECONDS)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=SLACK_SECONDS) == 143
    process.communicate()


WORKER = """
import os, sys, time
from bytecap.processes import prepare_worker
if os.fork() == 0:
    prepare_worker()
    print(os.getpid(), flush=True)
    time.sleep(3600)
time.sleep(3600)
"""


def test_a_worker_ends_when_its_parent_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + SLACK_SECONDS
    while time.monotonic() < deadline and _is_alive(worker):
        time.sleep(0.05)
    parent.stdout.close()
    assert not _is_alive(worker)


def test_a_worker_ends_whose_parent_was_killed_before_it_could_ask_for_it():
    program = "import os, time\nfrom bytecap.processes import prepare_worker\nprepare_worker(os.getppid() + 1)\n"
    done = subprocess.run([sys.executable, "-c", program + "time.sleep(60)"], check=False, timeout=SLACK_SECONDS + 20)
    assert done.returncode == 1


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_leaves_interrupts_to_its_parent():
    program = "import os, signal\nfrom bytecap.processes import prepare_worker\nprepare_worker()\n"
    program += "os.kill(os.getpid(), signal.SIGINT)\nprint('still here')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "still here\n")


CUT_WHILE_MAPPED = """
import os, sys
import bytecap.runtime.tokens as tokens
from bytecap.cli.main import main

def cut(ids, *more, known=tokens._check_ids):
    os.truncate(sys.argv[1], 1100)
    known(ids, *more)

tokens.READ_BYTES, tokens._check_ids = 0, cut
main(sys.argv[2:])
"""


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_mapped_file_that_is_cut_is_one_line_and_its_code(small_job, tmp_path, option):
    data = tmp_path / "long.bin"
    write_shard(data, np.tile(np.arange(2, 402), 100))
    words = ["eval", small_job.artifact, "--data", data, "--tokenizer", small_job.tokenizer, *option]
    program = [sys.executable, "-c", CUT_WHILE_MAPPED, data, *words]
    done = subprocess.run(list(map(str, program)), capture_output=True, text=True, check=False)
    said = "a file that is read became shorter meanwhile, or its disk fails; start again when it is whole"
    assert (done.returncode, done.stderr) == (8, f"bytecap: error: {said}\n")
    assert (json.loads(done.stdout)["error"]["message"] if option else done.stdout) == (said if option else "")
