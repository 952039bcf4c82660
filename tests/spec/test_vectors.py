"""Every file of spec/vectors gives what vectors.toml says, and making the files again gives the same bytes."""

from __future__ import annotations

import hashlib

import pytest
from make_vectors import FOLDER, make_files, read_table

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_tensors, read_artifact, tensors_digest, write_artifact
from bytecap.format.container.container import read_container, read_minor_version, write_container

ENTRIES = read_table()
GOOD = [entry for entry in ENTRIES if "sha256" in entry]
REFUSED = [entry for entry in ENTRIES if "sha256" not in entry]


def named(entries):
    return [pytest.param(entry, id=entry["file"].removesuffix(".bcap")) for entry in entries]


def read_at(level: str, data: bytes) -> None:
    """What a reader does at a vector's level."""
    if level == "container":
        read_container(data)
    else:
        decode_tensors(read_artifact(data))


@pytest.mark.parametrize("entry", named(GOOD))
def test_good_vector(entry):
    data = (FOLDER / entry["file"]).read_bytes()
    assert entry["file"].startswith("good-")
    sections = read_container(data)
    assert write_container(sections, read_minor_version(data)) == data
    if entry["level"] == "container":
        assert hashlib.sha256(b"".join(section.decoded for section in sections)).hexdigest() == entry["sha256"]
        return
    artifact = read_artifact(data)
    assert write_artifact(artifact) == data
    assert tensors_digest(artifact.directory, decode_tensors(artifact)).hex() == entry["sha256"]


@pytest.mark.parametrize("entry", named(REFUSED))
def test_refused_vector(entry):
    with pytest.raises(ArtifactError) as caught:
        read_at(entry["level"], (FOLDER / entry["file"]).read_bytes())
    error = caught.value
    found = {"error": type(error).__name__, "rule": error.rule, "offset": error.offset}
    assert found == {"error": entry["error"], "rule": entry["rule"], "offset": entry.get("offset")}, str(error)
    assert entry["file"].split("-")[0] == ("unsupported" if entry["error"] == "UnsupportedArtifact" else "bad")


@pytest.mark.parametrize("entry", named(entry for entry in REFUSED if entry["level"] == "artifact"))
def test_what_is_refused_inside_is_a_good_container(entry):
    """The fault of a vector at level artifact lies in its content, not in the container around it."""
    data = (FOLDER / entry["file"]).read_bytes()
    assert write_container(read_container(data), read_minor_version(data)) == data


def test_making_the_files_again_gives_the_same():
    expected = make_files()
    found = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert sorted(found) == sorted(expected), "run: python tests/vectors/make_vectors.py"
    assert [name for name in found if found[name] != expected[name]] == [], "run: python tests/vectors/make_vectors.py"


def test_every_vector_is_its_own():
    """No two files are the same, and each has a sentence."""
    assert len({path.read_bytes() for path in FOLDER.glob("*.bcap")}) == len(ENTRIES)
    assert all(entry["says"].endswith(".") for entry in ENTRIES)
