"""What a terminal shows: tables that fit, lines wrapped between words, colours; in terminals of several widths."""

from __future__ import annotations

import ast
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
from unittest.mock import patch

import pytest
from command_line import process_arguments
from source_tree import ROOT
from tiny_artifacts import tiny_artifact
from tiny_tokenizers import model_bytes, words

from bytecap.cli.main import run
from bytecap.cli.tables import print_table
from bytecap.cli.text_lines import coloured, print_field, print_text, wrapped_text
from bytecap.cli.verify_report import print_checks
from bytecap.runtime.check import Check, Outcome

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NAME = "long_projection.weight"
MOST_OF_A_WORD = 64  # a digest stays whole


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def shown(width, function, *arguments, **environment):
    """What `function` prints to a terminal of `width` columns."""
    screen = Terminal()
    variables = {"COLUMNS": str(width), "TERM": "xterm-256color", "NO_COLOR": "", **environment}
    with patch.dict(os.environ, variables), patch.object(sys, "stdout", screen):
        function(*arguments)
    return screen.getvalue()


def in_a_terminal(width, *arguments):
    """Exit code and output of a fresh process whose terminal has `width` columns and 24 lines."""
    child, terminal = pty.fork()
    if child == 0:
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        words = process_arguments(*arguments)
        os.execve(words[0], words, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    output = b""
    while block := _read(terminal):
        output += block
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.decode().replace("\r\n", "\n")


def _read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other side is closed
        return b""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact whose tensors have long names, data and their tokenizer."""
    folder = tmp_path_factory.mktemp("terminal")
    names = (f"model.layers.0.mlp.{NAME}", f"model.layers.1.mlp.{NAME}")
    (folder / "a.bcap").write_bytes(tiny_artifact(provenance="a test " * 20, names=names))
    (folder / "tokenizer.model").write_bytes(model_bytes())
    (folder / "data.txt").write_text(" ".join(words(0, 60)))
    return folder


def test_inspect_fits_a_terminal_of_80_columns(folder):
    code, output = in_a_terminal(80, "inspect", folder / "a.bcap", "--by", "tensor")
    assert code == 0
    lines = [line.split("\r")[-1] for line in CODES.sub("", output.replace(str(folder), "")).split("\n")]  # no bars
    assert max(map(len, lines)) <= 80
    assert f"model.layers.1.mlp.{NAME} " in output, "names are whole"
    header = next(line.split() for line in lines if line.startswith("tensor "))
    assert {"tensor", "bytes"} <= set(header) and "raw" not in header


def test_a_wide_terminal_has_all_columns(folder):
    output = shown(200, run, ["inspect", str(folder / "a.bcap"), "--by", "tensor"])
    header = next(line.split() for line in CODES.sub("", output).split("\n") if line.startswith("tensor "))
    assert header == ["tensor", "role", "shape", "terms", "weights", "bytes", "share", "coded", "entropy", "raw"]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "line",
    [
        "inspect a.bcap",
        "inspect a.bcap --by all",
        f"inspect a.bcap --tensor model.layers.1.mlp.{NAME}",
        "diff a.bcap a.bcap",
        "verify a.bcap",
        "verify a.bcap a.bcap",
        "eval a.bcap --data data.txt --tokenizer tokenizer.model",
        "lab list",
    ],
)
@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_no_line_is_wider_than_the_terminal(folder, monkeypatch, line, width, kind):
    monkeypatch.chdir(folder)
    output = shown(width, run, line.split(), TERM=kind)
    assert kind != "dumb" or "\x1b" not in output
    output = CODES.sub("", output)
    long = [each for each in output.split("\n") if len(each) > width]
    assert all(len(each.split()[-1]) >= min(MOST_OF_A_WORD, width - 20) for each in long), long


ROWS = [("blocks.0.attn.c_q.weight", "16,384", "2.829", "grid"), ("tok_emb.weight", "131,072", "2.802", "grid")]
COLUMNS = ("tensor", ">weights", ">bits", "terms")


def test_a_table_loses_its_least_important_columns_and_says_which():
    def table():
        print_table(COLUMNS, ROWS, dispensable=("terms", ">weights"))

    assert CODES.sub("", shown(80, table)).split("\n") == [
        "tensor                    weights   bits  terms",
        "───────────────────────────────────────────────",
        "blocks.0.attn.c_q.weight   16,384  2.829  grid ",
        "tok_emb.weight            131,072  2.802  grid ",
        "",
        "",
    ]
    assert CODES.sub("", shown(32, table)).split("\n") == [
        "tensor                     bits",
        "───────────────────────────────",
        "blocks.0.attn.c_q.weight  2.829",
        "tok_emb.weight            2.802",
        "(no room for weights, terms)",
        "",
        "",
    ]


def test_a_table_without_room_for_two_columns_stands_below_its_names():
    def table():
        print_table(COLUMNS, ROWS, ("total", "147,456", "2.805", ""), dispensable=("terms",))

    assert CODES.sub("", shown(30, table)).split("\n") == [
        "tensor",
        "    weights   bits",
        "────────────────────────",
        "blocks.0.attn.c_q.weight",
        "     16,384  2.829",
        "tok_emb.weight",
        "    131,072  2.802",
        "────────────────────────",
        "total",
        "    147,456  2.805",
        "(no room for terms)",
        "",
        "",
    ]


def test_every_table_says_what_it_can_do_without():
    """Read from the source: each call of print_table names its dispensable columns."""
    for path in sorted((ROOT / "cli").glob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print_table"
        ]
        assert all("dispensable" in {keyword.arg for keyword in call.keywords} for call in calls), path


def test_a_field_goes_on_below_itself():
    text = "a transformer of 4 layers and width 128, rotary positions"
    assert shown(40, print_field, "computes", text, 12) == (
        "computes    a transformer of 4 layers\n            and width 128, rotary\n            positions\n"
    )
    assert shown(40, print_text, "one word " + "x" * 50, 2) == "one word\n  " + "x" * 50 + "\n"


def test_off_a_terminal_a_line_stays_whole(capsys):
    print_field("computes", "word " * 50, 12)
    assert capsys.readouterr().out == f"computes    {'word ' * 50}\n"


def test_a_title_longer_than_its_margin_keeps_its_text():
    assert wrapped_text("a-long-title text", 4, 80) == "a-long-title text"


CHECKS = [
    Check("structure", Outcome.PASSED, "7 sections", seconds=0.01),
    Check("ledger", Outcome.FAILED, "2 over the cap", seconds=0.0),
    Check("score", Outcome.SKIPPED, "no data were given", seconds=0.0),
]
RED, GREEN, YELLOW, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
COLOURED_LINES = (
    f"{GREEN}PASS     {PLAIN}structure: 7 sections (0.01\u00a0s)\n"
    f"{RED}FAIL     {PLAIN}ledger: 2 over the cap (0.00\u00a0s)\n"
    f"{YELLOW}SKIPPED  {PLAIN}score: no data were given (0.00\u00a0s)\n"
    f"{RED}FAIL: 1 of 3 checks: ledger; skipped: score{PLAIN}\n"
)


def test_pass_and_fail_have_colours():
    assert shown(80, print_checks, CHECKS) == COLOURED_LINES


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(environment):
    assert shown(80, print_checks, CHECKS, **environment) == CODES.sub("", COLOURED_LINES)


def test_no_colour_off_a_terminal(capsys):
    print_checks(CHECKS)
    assert capsys.readouterr().out == CODES.sub("", COLOURED_LINES).replace("\u00a0", " ")


def test_bold_and_coloured():
    assert shown(80, lambda: sys.stdout.write(coloured("FAIL", "red", bold=True))) == "\x1b[31m\x1b[1mFAIL\x1b[0m"
