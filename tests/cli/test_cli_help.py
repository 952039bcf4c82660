"""Help texts and usage errors, word for word; what each exit code means; how little is loaded to say so."""

from __future__ import annotations

import re
import resource

import pytest
from command_line import bytecap_command, bytecap_process
from golden_files import GOLDEN, assert_golden
from source_tree import ROOT

from bytecap import errors
from bytecap.cli.command_group import COMMANDS
from bytecap.cli.exit_codes import CODE_OF_ERROR, EXIT_CODES
from bytecap.version import VERSION

ISSUE_OPTIONS = {
    "compile": {
        "-o",
        "--cap",
        "--calibration",
        "--tokenizer",
        "--code",
        "--architecture",
        "--recipe",
        "--device",
        "--seed",
        "--threads",
        "--report",
        "--dry-run",
        "--force",
    },
    "fit": {"-o", "--cap", "--calibration", "--tokenizer", "--code", "--recipe", "--effort", "--seed", "--force"},
    "inspect": {"--tensor", "--program", "--hex", "--sort"},
    "diff": {"--data", "--tokenizer", "--max-tokens", "--all"},
    "eval": {"--data", "--tokenizer", "--sequence-length", "--max-tokens", "--against"},
    "generate": {"--prompt", "--tokens", "--temperature", "--seed", "--top-p", "--top-k", "--tokenizer"},
    "verify": {
        "--cap",
        "--code",
        "--data",
        "--tokenizer",
        "--expect-bpb",
        "--tolerance",
        "--threads",
        "--scheduler",
        "--seconds",
        "--memory",
        "--json-lines",
    },
    "export": {"-o"},
    "pack": {"-o", "--cap", "--script-name", "--data", "--tokenizer", "--author", "--force"},
    "sensitivity": {
        "--calibration",
        "--tokenizer",
        "--architecture",
        "--unit",
        "--by",
        "--bits",
        "--slices",
        "--top",
        "--output",
        "--plot",
        "--seed",
        "--threads",
        "--force",
    },
    "diagnose": {"--data", "--tokenizer", "--architecture", "--bits", "--tokens", "--seed", "--threads"},
    "curve": {
        "--calibration",
        "--unit",
        "--budget",
        "--base",
        "--bits",
        "--form",
        "--octaves",
        "--evaluation",
        "--tokenizer",
        "--architecture",
        "--tokens",
        "--calibration-tokens",
        "--profile",
        "--seed",
        "--threads",
        "--backend",
        "--scheduler",
        "--resume",
        "--output",
        "--plot",
        "--force",
    },
    "plugins": set(),
    "lab": set(),
    "lab list": set(),
    "lab run": {
        "--checkpoint",
        "--architecture",
        "--calibration",
        "--evaluation",
        "--tokenizer",
        "--training",
        "--minutes",
        "--tokens",
        "--seed",
        "--device",
        "--threads",
        "--folder",
        "--report",
        "--output",
        "--force",
    },
    "demo": set(),
}
GROUPS = {"lab"}
LISTS = {"plugins", "lab list"}
ALL_COMMANDS = [*COMMANDS, *(name for name in ISSUE_OPTIONS if " " in name)]


def test_help_of_the_group():
    outcome = bytecap_command("--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert_golden("cli/help.txt", outcome.stdout)


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_help_of_a_command(command):
    outcome = bytecap_command(*command.split(), "--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert_golden(golden_name(command), outcome.stdout)


def golden_name(command):
    return f"cli/help_{command.replace(' ', '_')}.txt"


@pytest.mark.parametrize("command", [name for name in ALL_COMMANDS if name not in GROUPS])
def test_every_command_has_its_options_json_and_one_example_at_the_end(command):
    text = bytecap_command(*command.split(), "--help").stdout
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text.split("Options:")[1]))
    assert ISSUE_OPTIONS[command] | {"--json"} <= options
    example = text.rstrip().split("Example:\n")
    assert len(example) == 2
    assert example[1].strip().startswith(f"bytecap {command}")
    assert all(line.endswith("\\") for line in example[1].splitlines()[:-1])


@pytest.mark.parametrize("command", [name for name in ALL_COMMANDS if name not in GROUPS])
def test_every_command_that_works_takes_quiet_and_verbose(command):
    """So that a script may add -q to whatever it runs; the others only list."""
    text = bytecap_command(*command.split(), "--help").stdout
    assert [option in text for option in ("-q, --quiet", "-v, --verbose")] == [command not in LISTS] * 2


def test_no_golden_help_is_left_over():
    assert {path.name for path in (GOLDEN / "cli").glob("help*.txt")} == {
        "help.txt",
        *(golden_name(command).removeprefix("cli/") for command in ALL_COMMANDS),
    }


def error_classes():
    return [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.BytecapError)
    ]


def test_every_error_has_a_documented_exit_code():
    assert set(CODE_OF_ERROR) <= set(error_classes()) and set(CODE_OF_ERROR.values()) <= set(EXIT_CODES)
    help_text = bytecap_command("--help").stdout
    page = (ROOT / "docs" / "commands" / "README.md").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ *{code}  {re.escape(meaning)}$", help_text, re.MULTILINE)
        assert f"| {code} | {meaning} |" in page


def test_version():
    assert bytecap_command("--version").stdout == f"bytecap {VERSION}\n"


def test_help_is_quick():
    """Half a second is what a person waits without noticing; processor time, since other tests run beside this one."""
    seconds = []
    for _ in range(3):
        began = processor_seconds()
        assert bytecap_process("--help").code == 0
        seconds.append(processor_seconds() - began)
    assert min(seconds) < 0.5


def processor_seconds():
    """What the finished child processes of this one have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_in_process_and_fresh_process_print_the_same():
    assert bytecap_process("compile", "--help") == bytecap_command("compile", "--help")
