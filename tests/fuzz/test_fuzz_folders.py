"""Some dozens of mutated submission folders through the judge; `make fuzz` tries more."""

from __future__ import annotations

import json

import pytest
from folder_mutations import STEPS, MutatedFolder, mutated_folders
from fuzz_folders import FolderFailure, FolderResult, run_fuzz, what_is_wrong

from bytecap.submissions import judge, judge_server
from bytecap.submissions.findings import Finding, Level


def test_the_judge_keeps_its_promise():
    result = run_fuzz(20, 0, FolderResult())
    assert result.tried == 20 and result.failures == []
    assert set(result.verdicts) == {"pass", "fail"}
    assert len(result.rules) > 35, "the mutations no longer reach the rules"


def test_a_mutated_folder_is_always_the_same():
    whole = list(mutated_folders(9, seed=7))
    assert list(mutated_folders(3, seed=7, first=5)) == whole[5:8]
    assert list(mutated_folders(9, seed=8)) != whole


def test_every_step_is_taken():
    taken = {step for mutated in mutated_folders(100, seed=0) for step in mutated.steps}
    assert taken == {step.__name__ for step in STEPS}


def crash(*_):
    raise KeyError("a stray error")


def undeclared(*_):
    return None, [Finding("code-counted", Level.FAIL, "not one of its levels")]


@pytest.mark.parametrize(("fault", "told"), [(crash, "KeyError"), (undeclared, "an undeclared finding")])
def test_a_judge_that_breaks_its_promise_is_told_with_the_way_to_see_it_again(monkeypatch, fault, told):
    monkeypatch.setattr(judge, "judge_blobs", fault)
    with pytest.raises(FolderFailure, match=told) as failure:
        run_fuzz(3, 5, FolderResult())
    assert "--seed 5 --first 0 --mutations 1" in str(failure.value)
    result = run_fuzz(3, 5, FolderResult(), go_on=True)
    assert (result.tried, len(result.failures)) == (3, 3)


def test_a_file_that_is_written_is_noticed(monkeypatch, tmp_path):
    def write(folder, claims):
        (folder.path.parent / "new").touch()
        return None, []

    monkeypatch.setattr(judge, "judge_blobs", write)
    with pytest.raises(FolderFailure, match="something appeared"):
        run_fuzz(1, 0, FolderResult())


def test_unseen_characters_are_noticed(tmp_path):
    folder = MutatedFolder(0, 0, {"README.md": b"# Non-record\n"}).write(tmp_path / "folder")
    document = judge_server.judged_apart(folder, judge_server.JudgeOptions())
    assert what_is_wrong(document) == ""
    finding = {"rule": "folder-link", "level": "finding", "text": "x", "place": "", "values": {}}
    assert "undeclared" in what_is_wrong({**document, "findings": [{**finding, "level": "fail"}]})
    assert json.dumps(document)
