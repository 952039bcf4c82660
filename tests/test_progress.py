"""The two shapes of progress callbacks, and how one becomes the other."""

from __future__ import annotations

from bytecap.progress import silent, silent_stage, stage_of


def test_a_stage_reports_under_its_name():
    told = []
    stage_of(lambda *event: told.append(event), "score")(2, 5)
    assert told == [("score", 2, 5)]
    assert stage_of(None, "score") is None


def test_who_does_not_ask_hears_nothing(capsys):
    assert silent("score", 1, 2) is None and silent_stage(1, 2) is None
    assert capsys.readouterr() == ("", "")
