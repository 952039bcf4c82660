"""`progress=True`: bars in a notebook without widgets, on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import sys
from inspect import signature
from types import SimpleNamespace

import pytest

import bytecap
from bytecap.interface import progress_bars
from bytecap.interface.progress_bars import heard


class FakeDisplay:
    """What a notebook's IPython.display does with one cell; `shown` is what stood in it, one after another."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def HTML(self, text):
        return text

    def display(self, content, display_id):
        assert display_id
        self.shown.append(content)
        return SimpleNamespace(update=self.shown.append)


def loaded_ipython(display, kernel=True):
    """The module IPython as a notebook, or a terminal, has it."""
    shell = SimpleNamespace(kernel=object()) if kernel else SimpleNamespace()
    return SimpleNamespace(get_ipython=lambda: shell, display=display)


@pytest.fixture
def notebook(monkeypatch):
    display = FakeDisplay()
    monkeypatch.setitem(sys.modules, "IPython", loaded_ipython(display))
    return display


def test_a_notebook_shows_a_bar_a_stage_in_one_cell(notebook):
    with heard(True) as report:
        report("calibrate", 0, 0)
        report("walk <1>", 1, 4)
        report("walk <1>", 4, 4)
    last = notebook.shown[-1]
    assert last.count("<progress") == 2
    assert '<progress value="4" max="4">' in last and "4/4" in last
    assert "walk &lt;1&gt;" in last


def test_a_notebook_is_not_drawn_at_every_step(notebook):
    with heard(True) as report:
        for done in range(1, 10_001):
            report("walk", done, 10_000)
    assert 3 <= len(notebook.shown) < 100


def test_a_callback_and_silence_are_as_they_were(notebook):
    calls = []
    with heard(lambda *call: calls.append(call)) as report:
        report("a", 1, 2)
    assert calls == [("a", 1, 2)]
    for nobody in (None, False):
        with heard(nobody) as report:
            assert report is None
    assert notebook.shown == []


@pytest.mark.parametrize("ipython", [None, loaded_ipython(FakeDisplay(), kernel=False)])
def test_a_terminal_gets_bars_that_go_and_a_file_nothing(monkeypatch, ipython):
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for terminal in (True, False):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with heard(True) as report:
            assert (report is not None) == terminal
            if report is not None:
                report("calibrate", 1, 2)
                report("calibrate", 2, 2)
        assert ("calibrate" in stream.getvalue()) == terminal


def test_bars_end_with_the_work_when_it_fails(notebook):
    with pytest.raises(ValueError, match="broken"), heard(True) as report:
        report("a", 1, 2)
        raise ValueError("broken")
    assert "1/2" in notebook.shown[-1]


def test_functions_take_true(notebook, small_job):
    bytecap.evaluate(
        small_job.artifact, data=small_job.data, tokenizer=small_job.tokenizer, max_tokens=96, progress=True
    )
    assert "score artifact" in notebook.shown[-1]
    assert "3/3" in notebook.shown[-1]


def test_every_function_with_progress_takes_true():
    """The annotation says so, and the value never reaches the work as it is."""
    public = {name: getattr(bytecap, name) for name in dir(bytecap)}
    options = {name: signature(value).parameters for name, value in public.items() if callable(value)}
    found = {name for name, parameters in options.items() if "progress" in parameters}
    assert found == {
        *("compile", "fit", "forecast", "evaluate", "verify", "diff", "verify_folders", "pack"),
        *("sensitivity", "curve", "diagnose", "run_experiment"),
    }
    assert {options[name]["progress"].annotation for name in found} == {"ProgressOption"}
    assert progress_bars.ProgressOption.__args__[1:] == (bool, type(None))
