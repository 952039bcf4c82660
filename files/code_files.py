"""The code that a submission ships: given scripts and every local module they import.

Strategy: read imports from the syntax tree, never run anything. A module is local when Python would
find it beside the script (the script's folder is the first entry of the import path), above the
package that the script belongs to (for `python -m`) or, for a relative import, beside the importing
file. Imports inside functions, branches and `try` count too: a file too many is seen in the ledger,
a file too few is an understated size.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DataError

PYTHON_SUFFIXES = {".py", ".pyw"}
COMPILED_SUFFIXES = {".so", ".pyd", ".pyc"}
DYNAMIC_IMPORTS = {"__import__", "import_module", "importlib.import_module"}


def import_closure(scripts: Sequence[str | Path]) -> tuple[Path, ...]:
    """Resolved paths of `scripts` in the given order, then of all local modules they import, sorted; each file once.

    A file that is not Python (shell, CUDA) counts as given and is not read. Modules named only by a
    computed string cannot be seen: give them as scripts. Raises DataError for a missing or
    unreadable file and for invalid Python.
    """
    given = list(dict.fromkeys(existing_code_file(script) for script in scripts))
    found: set[Path] = set()
    for script in given:
        found |= _reachable(script)
    return (*given, *sorted(found.difference(given), key=Path.as_posix))


def existing_code_file(path: str | Path) -> Path:
    """The resolved path of a file; DataError when there is none."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file; give the code files that are shipped with the artifact")
    return path.resolve()


def _reachable(script: Path) -> set[Path]:
    """Local files that running `script` may import; the script itself only if one of them imports it."""
    roots, found, waiting = _import_roots(script), set[Path](), [script]
    while waiting:
        path = waiting.pop()
        targets = {target.resolve() for target in _local_imports(path, roots)} - found
        found |= targets
        waiting += targets
    return found


def _import_roots(script: Path) -> tuple[Path, ...]:
    """Folders that absolute imports are looked up in: the script's, and the one above its package, if any."""
    above = script.parent
    while (above / "__init__.py").is_file() and above != above.parent:
        above = above.parent
    return tuple(dict.fromkeys((script.parent, above)))


def _local_imports(path: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """Local files that `path` imports directly, with the `__init__.py` of packages on the way."""
    if path.suffix not in PYTHON_SUFFIXES:
        return
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(roots, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from _from_import_files(node, path, roots)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in DYNAMIC_IMPORTS:
            yield from _dynamic_import_files(node, path, roots)


def _parse(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarnings about other people's string escapes
            return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise DataError(
            f"{path} is not valid Python ({reason}), so its imports cannot be counted; correct it first"
        ) from error


def _from_import_files(node: ast.ImportFrom, path: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """`from a.b import c`, `from .b import c`, `from a import *`: the modules a and b, and c where it is one."""
    names = node.module.split(".") if node.module else []
    bases = _relative_bases(path, node.level) if node.level else roots
    files = list(_module_files(bases, names))
    yield from files
    for alias in node.names:
        submodules = _exported_names(files) if alias.name == "*" else [alias.name]
        for submodule in submodules:
            yield from _module_files(bases, [*names, submodule])


def _dynamic_import_files(node: ast.Call, path: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """`importlib.import_module("a.b")` and its like, with a literal name."""
    argument = node.args[0] if node.args else None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        name = argument.value.lstrip(".")
        level = len(argument.value) - len(name)
        yield from _module_files(_relative_bases(path, level) if level else roots, name.split("."))


def _relative_bases(path: Path, level: int) -> tuple[Path, ...]:
    """The folder that `level` dots mean in `path`: one dot is its own folder."""
    return (path.parents[min(level, len(path.parents)) - 1],)


def _exported_names(files: list[Path]) -> list[str]:
    """What `from package import *` may import as submodules: the literal `__all__` of its `__init__.py`."""
    if not files or files[-1].name != "__init__.py":
        return []
    lists = [
        node.value
        for node in _parse(files[-1]).body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    ]
    constants = [
        item
        for value in lists
        if isinstance(value, ast.List | ast.Tuple)
        for item in value.elts
        if isinstance(item, ast.Constant)
    ]
    return [item.value for item in constants if isinstance(item.value, str)]


def _module_files(bases: tuple[Path, ...], names: list[str]) -> Iterator[Path]:
    """Files that importing the dotted `names` runs, from the first of `bases` that has the first name."""
    if not names or not all(name.isidentifier() for name in names) or names[0] in sys.builtin_module_names:
        return
    for base in bases:
        files = list(_files_below(base, names))
        if files:
            yield from files
            return


def _files_below(folder: Path, names: list[str]) -> Iterator[Path]:
    """As Python searches: a package with `__init__.py`, else a module file, else a folder as namespace package."""
    for name in names:
        package = folder / name
        if (package / "__init__.py").is_file():
            yield package / "__init__.py"
        elif modules := _module_file(folder, name):
            yield from modules
            return
        elif not package.is_dir():
            return
        folder = package


def _module_file(folder: Path, name: str) -> list[Path]:
    """`name.py`, else compiled modules of that name for any platform."""
    source = folder / f"{name}.py"
    if source.is_file():
        return [source]
    return sorted(
        path
        for path in folder.glob(f"{name}.*")
        if path.suffix in COMPILED_SUFFIXES and path.name.split(".")[0] == name
    )
