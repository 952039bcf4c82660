"""What a compile stores of the files that a model belongs to: given, found in the checkpoint, or named as missing."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import tokenizer_files
from command_line import bytecap_command
from small_job import ARCHITECTURE
from tiny_tokenizers import model_bytes, tiny_tokenizer

from bytecap.compiler.inputs import NOT_NAMED, known_identity, read_model
from bytecap.format.artifact import read_artifact
from bytecap.format.identity import Identity, document_digest
from bytecap.runtime.tokenizers import load_tokenizer

DOCUMENT = {"num_layers": 2, "seq_len": 32}


def model_of(rows=420, document=None):
    """As much of a model as an identity needs."""
    digest = None if document is None else document_digest(document)
    return SimpleNamespace(program=SimpleNamespace(vocabulary_size=rows), document_digest=digest)


@pytest.fixture
def places(tmp_path):
    """Checkpoints by where their tokenizer is; what their files of weights hold does not matter."""
    inside, beside, neither, broken = (tmp_path / name for name in ("inside", "beside", "neither", "broken"))
    for folder in (inside, beside, neither, broken):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"")
    for folder in (inside, beside):
        (folder / "tokenizer.model").write_bytes(model_bytes())
    (broken / "tokenizer.model").write_bytes(b"damaged")
    (tmp_path / "model.gguf").write_bytes(tokenizer_files.gguf_file())
    return {
        "inside": inside,
        "gguf": tmp_path / "model.gguf",
        "beside": beside / "model.safetensors",
        "neither": neither,
        "broken": broken,
    }


def test_the_one_that_is_given_is_named(places):
    given = places["inside"] / "tokenizer.model"
    for place in ("neither", "broken", "gguf"):
        known = known_identity(places[place], given, load_tokenizer(given), model_of(document=DOCUMENT))
        assert (known.tokenizer, known.notes) == (given, ())
        own = tiny_tokenizer().identity
        assert known.identity == Identity(own.pieces, own.tokenizer, document_digest(DOCUMENT))


def test_the_one_inside_the_checkpoint_is_named(places):
    folder = known_identity(places["inside"], None, None, model_of())
    assert (folder.identity, folder.tokenizer) == (tiny_tokenizer().identity, places["inside"] / "tokenizer.model")
    gguf = known_identity(places["gguf"], None, None, model_of())
    assert (gguf.identity, gguf.tokenizer) == (load_tokenizer(places["gguf"]).identity, places["gguf"])


@pytest.mark.parametrize("place", ["beside", "neither"])
def test_what_only_lies_beside_is_not_taken_and_that_none_is_named_is_said(places, place):
    known = known_identity(places[place], None, None, model_of(document=DOCUMENT))
    assert known.identity == Identity(architecture=document_digest(DOCUMENT))
    assert (known.tokenizer, known.notes) == (None, (NOT_NAMED,))


@pytest.mark.parametrize(("place", "rows", "reason"), [("broken", 420, "not a sentencepiece"), ("inside", 300, "420")])
def test_one_inside_that_cannot_be_the_models_is_passed_over_and_told(places, place, rows, reason):
    known = known_identity(places[place], None, None, model_of(rows))
    assert not known.identity.known and known.tokenizer is None
    assert "was passed over" in known.notes[0] and reason in known.notes[0] and known.notes[1] == NOT_NAMED


def test_the_document_is_the_callers_or_the_one_beside_the_weights(small_job, tmp_path):
    alone = tmp_path / "checkpoint.pt"
    alone.write_bytes(small_job.checkpoint.read_bytes())
    assert read_model(alone, None).document_digest is None
    toml = tmp_path / "own.toml"
    toml.write_text("seq_len = 32\nnum_layers = 2\n")
    assert read_model(alone, toml).document_digest == document_digest(DOCUMENT)
    assert read_model(alone, "preset:baseline").document_digest is None
    (tmp_path / "config.json").write_text(json.dumps(ARCHITECTURE, indent=3))
    assert read_model(alone, None).document_digest == document_digest(ARCHITECTURE)
    assert read_model(alone, toml).document_digest == document_digest(DOCUMENT)
    toml.write_text("num_layers = 2\nseq_len = 32.0\n")
    assert read_model(alone, toml).document_digest != document_digest(DOCUMENT)  # the values as they were read


def test_a_compile_stores_it_and_says_what_is_missing(small_job, tmp_path):
    report = small_job.compiled.document["report"]
    own = tiny_tokenizer().identity
    stored = read_artifact(small_job.artifact.read_bytes()).identity
    assert stored == Identity(own.pieces, own.tokenizer, document_digest(ARCHITECTURE))
    assert report["identity"] == stored.values and report["identity_notes"] == []
    arguments = small_job.compile_arguments(tmp_path / "out.bcap", "--recipe", "default", "--effort", 1)
    place = arguments.index("--tokenizer")
    del arguments[place : place + 2]
    outcome = bytecap_command(*arguments)
    line = next(line for line in outcome.stdout.splitlines() if line.startswith("identity "))
    assert f"architecture {stored.architecture.hex()[:12]}; {NOT_NAMED}" in line
    unnamed = read_artifact((tmp_path / "out.bcap").read_bytes()).identity
    assert unnamed == Identity(architecture=stored.architecture)
