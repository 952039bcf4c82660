"""The plain-Python decoder of spec/ and the package give the same answer: sections, or word, rule and offset."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from artifact_mutations import SEEDS, mutations
from hypothesis import given
from hypothesis import strategies as st
from make_vectors import FOLDER
from reference import NOT_IN_REFERENCE, reference_decoder, sections_by_reference, tensors_by_reference
from source_tree import ROOT, parsed

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.container.container import read_container
from bytecap.format.container.cursor import Cursor

FILE = ROOT / "spec" / "reference_decoder.py"
VECTORS = sorted(FOLDER.glob("*.bcap"))
FIELDS = ("u8", "varint", "signed_varint", "text")


def package_answer(data: bytes):
    try:
        return {section.id: section.decoded for section in read_container(data)}
    except ArtifactError as error:
        return error.kind, error.rule, error.offset


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_both_agree_on_the_vectors(path):
    data = path.read_bytes()
    assert sections_by_reference(data) == package_answer(data)


def test_both_agree_on_mutations():
    outcomes = set()
    for mutation in mutations(SEEDS["container"], count=1500, seed=1):
        reference, package = sections_by_reference(mutation.data), package_answer(mutation.data)
        assert reference == package, mutation
        outcomes.add(package[1] if isinstance(package, tuple) else "accepted")
    assert len(outcomes) > 12


def decoded_by_package(data: bytes):
    try:
        artifact = read_artifact(data)
        return [tensor.ravel().tolist() for tensor in decode_tensors(artifact)]
    except ArtifactError as error:
        return "R-PRG" if error.where.startswith("program") else error.rule


def assert_same_tensors(data: bytes) -> str:
    package = decoded_by_package(data)
    if isinstance(package, str) and package.startswith(NOT_IN_REFERENCE):
        return package
    assert tensors_by_reference(data) == package
    return package if isinstance(package, str) else "accepted"


WHOLE = [path for path in VECTORS if path.stem.split("-")[1] not in ("program", "number", "end", "name", "container")]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_both_decode_the_same_tensors(path):
    assert_same_tensors(path.read_bytes())


def test_both_decode_mutated_artifacts_the_same():
    outcomes = {assert_same_tensors(mutation.data) for mutation in mutations(SEEDS["artifact"], count=400, seed=2)}
    assert "accepted" in outcomes and len(outcomes) > 15


@given(st.lists(st.sampled_from(FIELDS), max_size=6), st.binary(max_size=20))
def test_both_agree_on_fields(fields, data):
    def answer(reader, refusal, word):
        values = []
        try:
            for field in fields:
                values.append(getattr(reader, field)())
            (reader.end if hasattr(reader, "end") else reader.expect_end)()
        except refusal as error:
            values.append((getattr(error, word), error.rule, error.offset))
        return values

    reference = answer(reference_decoder.Fields(data), reference_decoder.Refused, "word")
    assert reference == answer(Cursor(data), ArtifactError, "kind")


def test_the_decoder_stands_alone():
    names = {alias.name for node in ast.walk(parsed(FILE)) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(parsed(FILE)) if isinstance(node, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"brotli", "zstandard"}


def test_the_command_lists_sections_or_says_why_not():
    run = [sys.executable, str(FILE)]
    good = subprocess.run(
        [*run, str(FOLDER / "good-whole-every-operation.bcap")], capture_output=True, text=True, check=True
    )
    *sections, tensors = good.stdout.splitlines()
    assert [line.split()[1] for line in sections][:5] == ["1", "2", "3", "4", "5"]
    digest = read_artifact((FOLDER / "good-whole-every-operation.bcap").read_bytes()).digest.hex()
    assert tensors.endswith(f"tensors  sha256 {digest}")
    bad = subprocess.run([*run, str(FOLDER / "bad-file-cut.bcap")], capture_output=True, text=True)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "truncated [R-SEC-8]" in bad.stderr
