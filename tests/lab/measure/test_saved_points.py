"""Kept parts of a measurement: what was saved is read again, and any other file counts as not there."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bytecap.lab.measure.byte_returns import Base, Control, ReturnPoint
from bytecap.lab.measure.saved_points import SavedPoints

BASE = Base(1000, 1e-5, 0.5, 0.25, None, 1.5)
CONTROL = Control(1100, 0.2, 0.01, 0.001, None, None, 0.5)
POINT = ReturnPoint("weights", 100, 7, 1090, 90, {"places": 30}, 0.2, 0.05, 0.01, None, None, CONTROL, None)
RECORDS = {"base": BASE, "point": POINT}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_what_was_saved_is_read_again(record, tmp_path):
    saved = SavedPoints(tmp_path, "digest")
    saved.save("part", asdict(record))
    assert saved.load("part", type(record).from_document) == record


def foreign_files(record) -> list[bytes]:
    whole = asdict(record)
    wrong = [{**whole, name: value} for name in whole for value in ("7", [], {"a": 1})]
    fewer = [{key: value for key, value in whole.items() if key != name} for name in list(whole)[:3]]
    others = [[], None, 7, "text", {"a": 1}, {**whole, "a": 1}, *fewer]
    texts = [json.dumps(each).encode() for each in (*others, *wrong) if each != whole]
    return [b"", b"{", b"\xff", b"[" * 100_000, b"NaN", json.dumps(whole).encode()[:-9], *texts]


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_files_that_are_no_part_count_as_not_there(record, tmp_path):
    saved = SavedPoints(tmp_path, "digest")
    for content in foreign_files(record):
        (tmp_path / "digest" / "part.json").write_bytes(content)
        known = content.startswith(b'{"unit": "7"') or b'"metadata": {"a": 1}' in content  # of the right kinds
        assert known or saved.load("part", type(record).from_document) is None, content
