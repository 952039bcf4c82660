"""The `bytecap` command: runs what a command line names, and ends with a documented exit code.

Strategy: a subcommand imports what it works with inside its function, so that help and wrong usage answer at once and
reading an artifact never loads torch. Deliberate errors become one line on stderr and the exit code of their class here
and nowhere else; results go to stdout, everything else to stderr.

To add a command: write `cli/<name>_command.py` and what it prints in `cli/<name>_report.py`, name it in a section of
`command_group.py`, and write its function in `interface/`, which it calls.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from ..errors import BytecapError, BytecapWarning
from ..one_heap import share_one_heap
from ..version import VERSION
from .command_group import AllCommands, command_path
from .error_document import error_document, wants_document
from .exit_codes import DONE, OUTPUT, OVER_LIMIT, READER_GONE, UNEXPECTED, USAGE, exit_code_lines, exit_code_of
from .failures import error_text
from .interruption import heed_signals, interruption_message, leave_when_interrupted
from .lost_pages import heed_lost_pages
from .standard_streams import prepare_streams
from .usage import usage_text

OPTIONAL_PACKAGES = {
    "torch": ("PyTorch", "compile"),
    "distributed": ("Dask", "cluster"),
    "resvg_py": ("resvg-py", "plot"),
}  # and their extras
COMPLETION = "_BYTECAP_COMPLETE"  # the variable by which a shell asks for completions
EPILOG = "\b\nExit codes:\n" + "\n".join(exit_code_lines())


@click.group(
    cls=AllCommands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(VERSION, message="bytecap %(version)s")
def group() -> None:
    """Compile a language-model checkpoint into one artifact under a byte cap, see where its bytes
    went, and verify it."""


def _say_warning(shown: Callable[..., None]) -> Callable[..., None]:
    """Our own warnings in one line on stderr; those of other packages as before."""

    def say(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, BytecapWarning):
            click.echo(f"bytecap: warning: {message}", err=True)
        else:
            shown(message, category, *place, **more)

    return say


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with a documented code; `arguments` defaults to the process's own."""
    given = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    share_one_heap()  # before heed_signals starts a thread
    heed_signals(lambda interruption: _fail(given, interruption, *_failure(interruption, given)))
    heed_lost_pages(lambda error, code: _fail(given, error, error_text(error), code))
    code = run(arguments)
    leave_when_interrupted(code)
    gc.freeze()  # Python would look through all that torch made for cycles before it ends: half a second
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; every deliberate error has become one line on stderr, and with
    `--json` a document on stdout.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning(warnings.showwarning)
            result = group.main(list(given), prog_name="bytecap", standalone_mode=False)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL_PACKAGES:
            raise
        return _fail(given, error, *_failure(error, given))
    except (click.UsageError, click.Abort, KeyboardInterrupt, BytecapError, OSError, MemoryError) as error:
        return _fail(given, error, *_failure(error, given))
    except SystemExit as leaving:  # a shell's completion is over, or the pipe of standard output broken
        return READER_GONE if COMPLETION not in os.environ else int(leaving.code or DONE)
    return result if isinstance(result, int) else DONE


def _failure(error: BaseException, arguments: Sequence[str]) -> tuple[str, int]:
    """Message and exit code of an error of a command line."""
    match error:
        case click.UsageError():
            return usage_text(error, " ".join(filter(None, ("bytecap", command_path(arguments))))), USAGE
        case click.Abort():  # click makes one of a KeyboardInterrupt
            return interruption_message(error.__cause__)
        case KeyboardInterrupt():
            return interruption_message(error)
        case BytecapError():
            return error_text(error), exit_code_of(error)
        case ModuleNotFoundError():
            name, extra = OPTIONAL_PACKAGES[str(error.name)]
            return (
                f"this needs {name}, which is not installed; install it with: pip install 'bytecap[{extra}]'",
                UNEXPECTED,
            )
        case MemoryError():
            return "this takes more memory than there is", OVER_LIMIT
        case OSError():
            return f"{error.filename or 'input or output'}: {error.strerror or error}", OUTPUT
    raise error


def _fail(arguments: Sequence[str], error: BaseException, message: str, code: int) -> int:
    shown = message if isinstance(error, click.exceptions.NoArgsIsHelpError) else f"bytecap: error: {message}"
    click.echo(shown, err=True)
    if wants_document(arguments) and not isinstance(error, BrokenPipeError):
        with suppress(OSError):  # standard output may be what failed
            click.echo(error_document(command_path(arguments), arguments, error, message, code))
    return code


if __name__ == "__main__":
    main()
