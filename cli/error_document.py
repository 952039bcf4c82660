"""What a command that was asked for `--json` prints when it fails: a document, too, with an `error` member.

Strategy: the message is the one that stands on stderr, taken apart. By the rule of the house it ends in what to do,
behind its last semicolon; the file is the argument that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import ArtifactError, BytecapError
from .documents import document_text

JSON_OPTION = "--json"


def wants_document(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON."""
    return JSON_OPTION in arguments[: arguments.index("--") if "--" in arguments else None]


def error_document(command: str | None, arguments: Sequence[str], error: BaseException, message: str, code: int) -> str:
    """The document of a failure: its class, message, place and way out, and the exit code that goes with it.

    place : file (the argument that the message names), offset, rule and where of an artifact's fault, option of wrong
            usage; null for what there is not
    way_out : what to do, in words; null where the message does not say
    """
    found = error.__cause__ if isinstance(error.__cause__, ArtifactError) else error
    files = [argument for argument in arguments if _may_be_a_file(argument)]
    named = [file for file in files if file in message] or [file for file in files if Path(file).name in message]
    place: dict[str, Any] = {
        "file": getattr(error, "filename", None) or max(named, key=len, default=None),
        "offset": getattr(found, "offset", None),
        "rule": getattr(found, "rule", None),
        "where": getattr(found, "where", None) or None,
        "option": _option(error),
    }
    content = {"name": type(found).__name__, "message": message, "place": place, "way_out": _way_out(message)}
    return document_text(command or "", {"error": content | {"exit_code": code}})


def _may_be_a_file(argument: str) -> bool:
    return not argument.startswith("-") and (Path(argument).exists() or Path(argument).suffix != "")


def _option(error: BaseException) -> str | None:
    """The option that is at fault or would help."""
    if isinstance(error, click.BadParameter) and error.param is not None:
        return max(error.param.opts, key=len)
    if isinstance(error, BytecapError) and error.argument is not None:
        return f"--{error.argument.replace('_', '-')}"
    return getattr(error, "option_name", None)


def _way_out(message: str) -> str | None:
    return message.rpartition(";")[2].strip() if ";" in message else None
