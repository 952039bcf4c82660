"""`bytecap diff --html`: both artifacts side by side, sums that add up, names that stay text, and refusals."""

from __future__ import annotations

import re

import pytest
from command_line import bytecap_command
from html_pages import origin_named, parsed_page
from tiny_artifacts import tiny_artifact

from bytecap.format.comparison import compare_sides, read_side
from bytecap.report.comparison_page import Scored, comparison_page
from bytecap.runtime.score import Gap

SCORED = Scored((2.10002, 2.0), 1234, Gap(-100.02, 3.0, 5))


@pytest.fixture(scope="module")
def found():
    return compare_sides(read_side(tiny_artifact(0)), read_side(tiny_artifact(1)))


@pytest.fixture(scope="module")
def page(found) -> str:
    return comparison_page(origin_named("a and b"), ("<a>.bcap", "b.bcap"), found, ("effort 5 then effort 3",), SCORED)


def test_the_page_stands_by_itself(page):
    balance = parsed_page(page)
    assert balance.tags.count("h1") == 1 and "script" not in balance.tags and "<a>.bcap" not in page
    assert not re.search(r"https?:|@import|url\(", page)
    assert not re.search(r"\b(nan|inf|None)\b", page)


def test_the_score_comes_first_with_its_interval(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[:3] == ["Score", "Side by side", "By role"]
    assert re.search(r'<div class="tile"><b>-100.02</b>', page)
    assert "-100.02 ± 8.33" in page and page.count('class="range better"') == 2  # a layout each
    assert "effort 5 then effort 3" in page


def test_numbers_of_both_sides_and_their_changes(page, found):
    tables = {tuple(table[0][:2]): table for table in parsed_page(page).tables}
    numbers = {row[0]: row[1:] for row in tables["", "<a>.bcap"]}
    first, second = found.first.bytes, found.second.bytes
    assert numbers["bytes"] == [f"{first:,}", f"{second:,}", f"{second - first:+,}" if second != first else "0"]
    assert numbers["bits per byte"] == ["2.10002", "2.00000", "-0.10002"]
    roles = tables["role", "change"]
    for column, side in ((2, found.first), (3, found.second)):
        amounts = [int(row[column].replace(",", "")) for row in roles[1:]]
        assert sum(amounts) == sum(row.bytes for row in side.tensors)
    tensors = tables["tensor", "change"]
    assert len(tensors) == len(found.tensors) + 3
    assert tensors[-1][:2] == ["total", f"{second - first:+,}" if second != first else "0"]
    assert tensors[-1][3:5] == [f"{first:,}", f"{second:,}"]
    for column in (1, 3, 4):  # with what serves them all, the column is the file
        amounts = [int(row[column].replace(",", "")) for row in tensors[1:]]
        assert sum(amounts[:-1]) == amounts[-1]


def test_the_same_file_has_a_page_too():
    side = read_side(tiny_artifact(0))
    page = comparison_page(origin_named("a and a"), ("a", "a"), compare_sides(side, side), (), None)
    parsed_page(page)
    assert "the same file" in page and "What else changed" not in page and "<h2>Score" not in page


def test_the_command_writes_the_page_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764230400")
    paths = [tmp_path / "first.bcap", tmp_path / "second.bcap"]
    for seed, path in enumerate(paths):
        path.write_bytes(tiny_artifact(seed))
    html = tmp_path / "page.html"
    outcome = bytecap_command("diff", *paths, "--html", html)
    assert outcome.code == 1 and outcome.stdout.splitlines()[-1] == f"wrote       {html}"
    text = html.read_text("utf-8")
    assert "<h1>first.bcap and second.bcap</h1>" in text and "2025-11-27" in text and "--html" in text
    again = bytecap_command("diff", *paths, "--html", html)
    assert again.code == 9 and "--force" in again.stderr and html.read_text("utf-8") == text
    assert bytecap_command("diff", *paths, "--html", html, "--force").code == 1 and html.read_text("utf-8") == text
