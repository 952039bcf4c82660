"""What is installed is what was pinned: every pin has its digests, and its licence is on record."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import pytest
from source_tree import ROOT

FOLDER = ROOT / "requirements"
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)(?P<marker> ;[^\\]*)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
)
PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Zlib|0BSD|CC0|BSL|CNRI|LLVM")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_locks", FOLDER / "make_locks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE_LOCKS = script()


def entries(name: str) -> list[re.Match[str]]:
    """The requirements of a lock file, of which nothing may be left over."""
    head, _, text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").partition("\n")
    found, place = [], 0
    while place < len(text):
        match = ENTRY.match(text, place)
        assert match, f"{name}.txt: not a requirement with digests: {text[place : place + 80]!r}"
        found.append(match)
        place = match.end()
    assert head.startswith("# Made of constraints.txt")
    return found


def test_every_pin_is_locked_once_with_digests():
    """If this fails: .venv/bin/python requirements/make_locks.py"""
    locked = [match for name in ("dev", "torch", "peers", "llama-cpp") for match in entries(name)]
    pinned = MAKE_LOCKS.pinned()
    versions = {match["name"]: match["version"] for match in locked}
    assert len(versions) == len(locked)
    assert {name: versions.get(name) for name in pinned} == pinned
    elsewhere = {match["name"] for match in locked if match["name"] not in pinned}
    assert all(match["marker"] for match in locked if match["name"] in elsewhere), "only what another system needs"


def test_torch_and_what_cuda_needs_are_apart():
    apart = re.compile(rf"torch$|{MAKE_LOCKS.CUDA.pattern}")
    assert not any(apart.match(match["name"]) for name in ("dev", "peers") for match in entries(name))
    assert all(apart.match(match["name"]) for match in entries("torch"))
    (small,) = entries("torch-cpu")
    assert small["version"] == f"{MAKE_LOCKS.pinned()['torch']}+cpu"


def test_make_installs_from_the_locks_alone():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "LOCKED := --no-deps --require-hashes\n" in makefile
    lines = [line for line in makefile.splitlines() if "pip install" in line and "NNCODEC" not in line]
    assert len(lines) == 7
    assert all("$(LOCKED) -r requirements/" in line or "--no-deps --no-build-isolation -e ." in line for line in lines)


def test_every_pin_has_a_licence_and_it_is_what_the_package_declares():
    """If this fails: .venv/bin/python requirements/make_locks.py, then docs/make_pages.py"""
    known = json.loads((FOLDER / "licences.json").read_text(encoding="utf-8"))
    pinned = MAKE_LOCKS.pinned()
    assert set(known) == set(pinned) and all(known.values())
    declared = {name: MAKE_LOCKS.declared_licence(name, pin) for name, pin in pinned.items()}
    assert {name: licence for name, licence in declared.items() if licence and licence != known[name]} == {}
    assert declared["numpy"]


def test_licences_are_permissive_or_of_single_files():
    known = json.loads((FOLDER / "licences.json").read_text(encoding="utf-8"))
    assert [name for name, licence in known.items() if not PERMISSIVE.match(licence) or "GPL" in licence] == []


def test_the_page_and_the_files_that_people_look_for_are_there():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert all(f"| {pin} |" in page for pin in MAKE_LOCKS.pinned().values())
    assert all((ROOT / name).is_file() for name in ("LICENSE", "SECURITY.md"))


@pytest.mark.parametrize("name", ["no-such-package", "numpy"])
def test_only_the_pinned_version_is_asked_for_its_licence(name):
    assert MAKE_LOCKS.declared_licence(name, "0.0.1") == ""
    try:
        assert MAKE_LOCKS.declared_licence(name, version(name)) != ""
    except PackageNotFoundError:
        assert name == "no-such-package"
