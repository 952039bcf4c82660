"""What a source refers to: one record of one kind each, with the line that says it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Kind(enum.Enum):
    """What a script does with what it names."""

    MODULE = "imports"
    IMPORT_PATH = "looks for modules in"
    PROVIDED_MODULE = "makes the module"
    EXECUTED_FILE = "executes the file"
    STARTED_SCRIPT = "starts the script"
    STARTED_MODULE = "starts the module"
    NATIVE_SOURCE = "compiles the file"
    INLINE_NATIVE = "compiles source text inside it with"
    LIBRARY = "loads the library"
    READ_FILE = "reads the file"
    WRITTEN_FILE = "writes the file"
    LISTED_FILES = "looks for files with"
    PROGRAM = "starts the program"
    NETWORK = "uses the network by"
    UNPICKLING = "unpickles with"
    COMPUTED = "has a target that is computed:"
    COMPUTED_FILE = "opens a file by a computed name with"
    UNREADABLE = "runs code that could not be followed:"


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that one line of a source refers to.

    name : str        module, absolute or relative path, program, function; of UNREADABLE the reason
    optional : bool   a missing one is caught (`except ImportError`), or is imported only in a function or branch; of a
                      script that a command starts: the word may be no file at all
    assumed : bool    only the end of a path is known
    submodules : tuple of names that `from name import ...` lists; `dots` of a relative import
    via : str         the function that names it, "numpy.load"
    listed : bool     of READ_FILE: the file was found by looking into its folder
    possible : bool   and whether it is read at all hangs on what is not known
    files : tuple     of LISTED_FILES: the files that were looked at
    inside : str      of NETWORK: the function of the script that it stands in, "" outside of functions and in methods
    uncalled : bool   whether nothing calls that function
    """

    kind: Kind
    name: str
    line: int
    optional: bool = False
    assumed: bool = False
    dots: int = 0
    submodules: tuple[str, ...] = ()
    via: str = ""
    listed: bool = False
    possible: bool = False
    files: tuple[str, ...] = ()
    inside: str = field(default="", compare=False)
    uncalled: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Payload:
    """Source text that a script executes: `text`, the line that does it, and what it was packed with ("" if plain);
    `names` are the values that it finds there.
    """

    line: int
    text: str
    packing: str
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
