"""Where Python would find a module among the files at hand, without asking Python.

Strategy: as the import system searches: in each folder of the path a package with `__init__.py`, else a
module, else a compiled module, else a folder without `__init__.py`; built-in modules win over files.
"""

from __future__ import annotations

import ast
import posixpath
import sys
from collections.abc import Iterator, Sequence

from .source_room import SourceRoom

COMPILED_SUFFIXES = (".so", ".pyd", ".pyc")


def module_files(room: SourceRoom, bases: Sequence[str], names: Sequence[str]) -> list[str]:
    """Files that importing the dotted `names` runs, from the first of `bases` that has the first name."""
    if not names or not all(name.isidentifier() for name in names) or names[0] in sys.builtin_module_names:
        return []
    for base in bases:
        files = list(_files_below(room, base, names))
        if files:
            return files
    return []


def main_files(room: SourceRoom, bases: Sequence[str], names: Sequence[str]) -> list[str]:
    """Files that `python -m a.b` runs: the module's, and `__main__.py` of a package."""
    files = module_files(room, bases, names)
    if files and files[-1].endswith("/__init__.py"):
        files += module_files(room, bases, [*names, "__main__"])[-1:]
    return list(dict.fromkeys(files))


def import_folders(room: SourceRoom, script: str) -> tuple[str, ...]:
    """Folders that absolute imports are looked up in: the script's, and the one above its package, if any."""
    folder = above = posixpath.dirname(script)
    while room.is_file(f"{above}/__init__.py") and above != posixpath.dirname(above):
        above = posixpath.dirname(above)
    return tuple(dict.fromkeys((folder, above)))


def relative_base(path: str, dots: int) -> str:
    """The folder that `dots` dots mean in the module `path`: one dot is its own folder."""
    for _ in range(dots):
        path = posixpath.dirname(path)
    return path


def exported_names(tree: ast.Module) -> list[str]:
    """What `from package import *` may import as submodules: the literal `__all__` of its `__init__.py`."""
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    ]
    items = [item for value in lists if isinstance(value, ast.List | ast.Tuple) for item in value.elts]
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def _files_below(room: SourceRoom, folder: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        package = f"{folder}/{name}"
        if room.is_file(f"{package}/__init__.py"):
            yield f"{package}/__init__.py"
        elif modules := _modules(room, folder, name):
            yield from modules
            return
        elif not room.is_folder(package):
            return
        folder = package


def _modules(room: SourceRoom, folder: str, name: str) -> list[str]:
    """`name.py`, else compiled modules of that name for any platform."""
    if room.is_file(f"{folder}/{name}.py"):
        return [f"{folder}/{name}.py"]
    return sorted(
        f"{folder}/{file}"
        for file in room.names_in(folder)
        if file.endswith(COMPILED_SUFFIXES) and file.split(".")[0] == name
    )
