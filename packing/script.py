"""The one script of a submission: the loader's modules, only what an artifact needs of them, small.

Strategy: join, shake, rename, then compress the text into a script that unpacks itself.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from ..files.code.minified_source import tight_source
from ..files.code.packed_source import pack_source
from ..format.artifact import Artifact
from ..format.program.operations import Activation
from ..format.program.program import Program
from .decoding_needs import DECODING_MODULES, decoding_constants, decoding_tables
from .renaming import renamed
from .shaking import Constant, joined, shaken

LOADER = Path(__file__).parent / "loader"
MODULES = ("program", *DECODING_MODULES, "operations", "model", "shards", "scoring", "command")  # users after used
START = "main()"


def artifact_script(artifact: Artifact, constants: Mapping[str, Constant]) -> bytes:
    """The packed script that decodes, runs and scores an artifact.

    constants : what names of loader/command.py are assigned
    """
    return packed_script(readable_script(artifact, constants))


def readable_script(artifact: Artifact, constants: Mapping[str, Constant], start: str = START) -> str:
    """The same script before its names are shortened and it is compressed, without annotations and docstrings; `start`
    is what it does.
    """
    sources = [(LOADER / f"{name}.py").read_text(encoding="utf-8") for name in MODULES]
    tree = joined([*sources, start], {**decoding_constants(artifact), **constants})
    tree = shaken(tree, {**decoding_tables(artifact), **running_tables(artifact.program)})
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def running_tables(program: Program) -> dict[str, set[int]]:
    """By a table's name the keys that the loader keeps for this program."""
    operations = {instruction.wire_id for instruction in program.instructions}
    kinds = {int(each.kind) for each in program.instructions if isinstance(each, Activation)}
    return {"OPERANDS": operations, "OPERATIONS": operations, "ACTIVATIONS": kinds}


def packed_script(text: str) -> bytes:
    """A script that unpacks and runs `text` with its names shortened."""
    return pack_source(tight_source(renamed(ast.parse(text))), minify=False).encode()
