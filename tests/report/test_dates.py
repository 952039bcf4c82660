"""The date of a page: today's, or that of SOURCE_DATE_EPOCH; anything else there is refused."""

from __future__ import annotations

import re

import pytest
from html_pages import origin_named

from bytecap.errors import OutputError
from bytecap.report.dates import date_today
from bytecap.report.heading import Origin, command_text, headed_page


def test_the_epoch_fixes_the_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "951782400")
    assert date_today() == "2000-02-29"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", date_today())


@pytest.mark.parametrize("given", ["yesterday", "1e9", "9" * 40])
def test_no_time_is_refused(monkeypatch, given):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(OutputError, match=r"SOURCE_DATE_EPOCH is .*give seconds since 1970"):
        date_today()


def test_every_page_opens_with_model_date_and_command():
    page = headed_page(origin_named("<m>.bcap"), "the verdict", {"fact": "it"}, "tiles")
    assert "<title>&lt;m&gt;.bcap: bytecap inspect</title>" in page and "<h1>&lt;m&gt;.bcap</h1>" in page
    assert "bytecap inspect  ·  2026-11-27" in page and "<dt>date</dt><dd>2026-11-27</dd>" in page
    assert command_text("a \\\n  --b c") == '<code class="command"><span>a</span> <span>--b c</span></code>'
    assert "<dt>command" not in headed_page(Origin("inspect", "m", "2026-11-27"), "", {}, "")


def test_a_plot_names_model_date_and_command():
    heading = origin_named("m.bcap").heading("the title", "a note")
    assert heading.title == "the title"
    assert heading.lines[0].startswith("m.bcap  ·  2026-11-27  ·  bytecap ")
    assert heading.lines[1:] == ("a note", "$ bytecap inspect m.bcap --html page.html")
