"""The package's metadata agrees with the tree: folders, pins, the console script, and what an import costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib

import pytest
from source_tree import LAYERS, ROOT

import bytecap
from bytecap.version import VERSION

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = ("torch", "numpy", "numba", "rich", "safetensors", "sentencepiece", "construct", "brotli", "zstandard")


def package_folders() -> dict[str, str]:
    folders = [init.parent.relative_to(ROOT) for layer in LAYERS for init in (ROOT / layer).rglob("__init__.py")]
    return {"bytecap": ".", **{".".join(("bytecap", *folder.parts)): folder.as_posix() for folder in sorted(folders)}}


def requirement_names(requirements) -> set[str]:
    return {re.match(r"[A-Za-z0-9_-]+", requirement).group().lower() for requirement in requirements}


def imported_modules(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_every_folder_of_code_is_packaged_and_nothing_else():
    setuptools = PROJECT["tool"]["setuptools"]
    assert setuptools["package-dir"] == package_folders()
    assert setuptools["packages"] == sorted(package_folders())


def test_every_requirement_is_pinned():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    wanted = requirement_names(PROJECT["project"]["dependencies"])
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted |= requirement_names(extra)
    assert wanted - {"bytecap"} <= requirement_names(pins)


def test_the_source_distribution_is_the_whole_repository():
    """By MANIFEST.in; setuptools adds pyproject.toml and what is packaged."""
    lines = (ROOT / "MANIFEST.in").read_text().splitlines()
    grafted = {line.removeprefix("graft ") for line in lines if line.startswith("graft ")}
    others = {"benchmarks", "docs", "examples", "requirements", "spec", "tests"}
    assert grafted == {*LAYERS, *others} and all((ROOT / name).is_dir() for name in grafted)
    (included,) = (line.split()[1:] for line in lines if line.startswith("include "))
    assert {"*.md", "LICENSE", "Makefile", "constraints.txt"} <= set(included)


def test_the_wheel_has_types_licence_and_the_command():
    project = PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["package-data"]["bytecap"] == ["py.typed"] and (ROOT / "py.typed").is_file()
    assert project["license"] == "MIT" and project["license-files"] == ["LICENSE"] and (ROOT / "LICENSE").is_file()
    assert project["scripts"] == {"bytecap": "bytecap.cli.start:main"}


def test_the_runtime_does_not_require_torch():
    assert "torch" not in requirement_names(PROJECT["project"]["dependencies"])


@pytest.mark.parametrize(
    "statement",
    ["import bytecap", "import bytecap.interface", "import bytecap.cli.main", "import bytecap; bytecap.errors"],
)
def test_imports_stay_light(statement):
    assert imported_modules(statement) & set(HEAVY) == set()


def test_public_names_exist():
    for name in bytecap.__all__:
        assert getattr(bytecap, name) is not None
    assert set(bytecap.__all__) == set(dir(bytecap))


def test_type_checkers_see_the_public_names():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (shown,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = {alias.asname for node in shown.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == set(bytecap.__all__) - {"__version__"}
    assert (ROOT / "py.typed").is_file()


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bytecap.nonsense


def test_version_is_the_one_of_the_metadata():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bytecap.version.VERSION"}
    assert bytecap.__version__ == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
