"""Names of files as shells and scripts hand them over: empty, quoted `~`, too long, behind a closed folder, `-`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import bytecap_command

EMPTY = "its name is empty, as of a variable that is not set; name a file or folder"
HOME = "a shell puts a home folder for ~ only at the beginning of a word, unquoted; write $HOME or the folder"
NO_STREAM = "nothing is written to standard output; name a file or folder"
LONG = "a" * 300
NAMES = [  # the command line, and what is said; {file} is a file that is there
    (["inspect", ""], EMPTY),
    (["verify", ""], EMPTY),
    (["eval", "{file}", "--data", ""], f"--data: {EMPTY}"),
    (["eval", "{file}", "--data", "{file}", "--tokenizer", ""], f"--tokenizer: {EMPTY}"),
    (["eval", "{file}", "--data", "{file}", "--resume", ""], f"--resume: {EMPTY}"),
    (["export", "{file}", "-o", ""], f"--output: {EMPTY}"),
    (["pack", "{file}", "-o", ""], f"--output: {EMPTY}"),
    (["pack", "{file}", "-o", "out", "--data", ""], f"--data: {EMPTY}"),
    (["fit", "{file}", "--cap", "1MB", "--calibration", "{file}", "-o", ""], f"--output: {EMPTY}"),
    (["compile", "{file}", "--cap", "1MB", "--calibration", "{file}", "-o", ""], f"--output: {EMPTY}"),
    (["compile", "{file}", "--cap", "1MB", "--calibration", "{file}", "-o", "x", "--work", ""], f"--work: {EMPTY}"),
    (["demo", ""], EMPTY),
    (["eval", "{file}", "--data=~/val.bin"], f"--data: ~/val.bin does not exist; {HOME}"),
    (["inspect", "~/model.bcap"], f"~/model.bcap does not exist; {HOME}"),
    (["inspect", f"{LONG}.bcap"], f"{LONG}.bcap: File name too long; see: ls -ld ."),
    (["export", "{file}", "-o", "-"], f"--output: {NO_STREAM}"),
    (["pack", "{file}", "-o", "-"], f"--output: {NO_STREAM}"),
    (["inspect", "{file}", "--html", "-"], f"--html: {NO_STREAM}"),
]


@pytest.mark.parametrize(("words", "said"), NAMES, ids=[" ".join(words)[:50] for words, _ in NAMES])
def test_a_name_that_names_no_file_is_wrong_usage(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"anything")
    outcome = bytecap_command(*(word.format(file=file) for word in words))
    assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", f"bytecap: error: {said}\n")
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_in_a_closed_folder_is_wrong_usage(tmp_path, monkeypatch):
    path, known = tmp_path / "closed" / "model.bcap", Path.exists

    def closed(self):  # root may look into every folder
        if self == path:
            raise PermissionError(13, os.strerror(13), str(path))
        return known(self)

    monkeypatch.setattr(Path, "exists", closed)
    outcome = bytecap_command("inspect", path)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == f"bytecap: error: {path}: Permission denied; see: ls -ld {path.parent}\n"


def test_an_output_below_a_quoted_home_is_refused_with_what_a_shell_does(small_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = bytecap_command("export", small_job.artifact, "--output=~/model.safetensors")
    assert (outcome.code, outcome.stdout) == (9, "")
    assert outcome.stderr == f"bytecap: error: ~ is not a folder; {HOME}\n"
    (tmp_path / "~").mkdir()  # a folder may have that name
    assert bytecap_command("export", small_job.artifact, "--output=~/model.safetensors").code == 0
    assert (tmp_path / "~" / "model.safetensors").is_file()


def test_a_pipe_or_a_device_is_no_folder_to_write(small_job, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        for command in ("export", "pack"):
            outcome = bytecap_command(command, small_job.artifact, "-o", path, "--force")
            assert (outcome.code, outcome.stdout) == (9, "")
            assert outcome.stderr == f"bytecap: error: {path} is no folder; name a folder\n"
