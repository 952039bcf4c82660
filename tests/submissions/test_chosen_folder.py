"""Of several submissions one is picked by its path; a folder of several is not judged as if it were one."""

from __future__ import annotations

import shutil

import pytest
from command_line import bytecap_command
from submission_folders import write_folder

import bytecap
from bytecap.errors import DataError
from bytecap.submissions.chosen_folder import several_among

MINE = {"submission.json": "{}", "train_gpt.py": "x = 1\n", "README.md": "# Non-record\n"}
FILES = {f"records/{name}/{file}": text for name in ("a", "b", "track/c") for file, text in MINE.items()}
LISTED = "records/a, records/b, records/track/c"


@pytest.fixture(params=["folder", "archive"])
def target(request, tmp_path):
    folder = write_folder(tmp_path / "all", {**FILES, "LICENSE": "words\n"})
    if request.param == "folder":
        return folder
    return shutil.make_archive(str(tmp_path / "packed"), "zip", folder)


@pytest.mark.parametrize("inside", ["records/track/c", "./records/track/c/", "c", "track/c"])
def test_one_is_picked_by_its_path_or_its_end(inside, target):
    document = bytecap_command("verify", target, "--inside", inside, "--json").document
    assert (document["files"], document["complete"]) == (len(MINE), True)


def test_the_one_that_was_picked_is_told_and_python_picks_it_too(target):
    assert bytecap.verify_folder(target, inside="c").files == len(MINE)
    assert bytecap_command("verify", target, "--inside", "c").stdout.count(": 3 files") == 1


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("d", f"--inside d: it holds no such folder; submissions lie in {LISTED}"),
        ("records/d", f"--inside records/d: it holds no such folder; submissions lie in {LISTED}"),
        ("../all", "--inside ../all is no path inside of it; give one such as records/mine"),
        ("/etc", "--inside /etc is no path inside of it; give one such as records/mine"),
        (".", "--inside . is no path inside of it; give one such as records/mine"),
    ],
)
def test_what_is_not_inside_is_named(inside, reason, target):
    outcome = bytecap_command("verify", target, "--inside", inside, "--json")
    told = outcome.document
    if "error" in told:  # a folder
        assert told["error"]["message"] == reason
    else:
        assert told["findings"][0]["text"].startswith(f"the archive was not opened: {reason}")


def test_without_one_nothing_is_judged_and_the_option_is_named(target):
    outcome = bytecap_command("verify", target, "--json")
    (finding,) = outcome.document["findings"]
    assert (outcome.code, outcome.document["verdict"]) == (7, "not judged")
    assert f"it holds 3 submissions, not one: {LISTED}; pick one with --inside records/a, or" in finding["text"]


def test_a_link_is_not_followed(tmp_path):
    write_folder(tmp_path / "other", MINE)
    top = write_folder(tmp_path / "all", FILES)
    (top / "records" / "link").symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match="it holds no such folder"):
        bytecap.verify_folder(top, inside="records/link")


def test_it_goes_with_one_folder(tmp_path, small_job):
    folders = [write_folder(tmp_path / name, FILES) for name in "ab"]
    for targets in (folders, [small_job.artifact]):
        outcome = bytecap_command("verify", *targets, "--inside", "records/a")
        assert (outcome.code, "--inside picks a submission in one folder or archive" in outcome.stderr) == (2, True)


@pytest.mark.parametrize(
    ("names", "several"),
    [
        (["a/submission.json", "b/submission.json"], ["a", "b"]),
        (["a/submission.json", "b/train_gpt.py"], []),
        (["submission.json", "a/submission.json", "b/submission.json"], []),
        (["train_gpt.py", "a/submission.json", "b/submission.json"], []),
        ([], []),
    ],
)
def test_a_submission_with_folders_of_its_own_is_one(names, several):
    assert several_among(names) == several
