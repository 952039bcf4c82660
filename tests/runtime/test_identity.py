"""Whether a tokenizer is a model's own: by the digests of vocabularies, by sizes where these are not known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tokenizer_files
from hypothesis import given
from hypothesis import strategies as st
from tiny_artifacts import VOCABULARY, tiny_artifact
from tiny_tokenizers import model_bytes, tiny_tokenizer

from bytecap.errors import DataError
from bytecap.format.identity import UNKNOWN, Identity, vocabulary_digest
from bytecap.runtime.check import Outcome
from bytecap.runtime.identity import admit_tokenizer, compare_tokenizer
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokenizers import Tokenizer, load_tokenizer
from bytecap.runtime.tokenizers.tokenizer import Pieces
from bytecap.runtime.tokens import size_mismatch
from bytecap.runtime.verification import ScoreRequest, verify_artifact


class Listed(Tokenizer):
    """A tokenizer that is its list of pieces, b"" for a boundary."""

    kind = "listed"

    def __init__(self, texts: list[bytes]) -> None:
        super().__init__("listed.model", "")
        self._texts = texts

    @property
    def pieces(self) -> Pieces:
        return Pieces.of(self._texts, [n for n, text in enumerate(self._texts) if not text])

    def encode_document(self, text: str) -> list[int]:
        raise NotImplementedError


OWN = Listed([b"", b"a", b" the", b"b"])
OTHER = Listed([b"", b"b", b" the", b"a"])  # as many pieces, in another order
LONGER = Listed([b"", b"a", b" the", b"b", b"c"])
SPECIAL = Listed([b"", b"a", b" the", b"b", b"", b""])  # control pieces behind the last one with text


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A tokenizer of each kind, by name."""
    folder = tmp_path_factory.mktemp("tokenizers")
    paths = tokenizer_files.write_tokenizers(folder)
    (folder / "llama.model").write_bytes(tokenizer_files.llama_model())
    paths["sentencepiece llama"] = folder / "llama.model"
    paths["counts"] = folder / "token_bytes.npy"
    return {name: load_tokenizer(path) for name, path in paths.items()}


@pytest.mark.parametrize(
    "same",
    [
        ("sentencepiece llama", "gguf llama", "llama2.c"),
        ("byte-level", "gguf gpt2", "vocab and merges"),
        ("ranks", "pickled ranks"),
        ("characters", "character list"),
    ],
)
def test_one_vocabulary_has_one_digest_in_files_of_every_kind(same, kinds):
    identities = {name: kinds[name].identity for name in same}
    assert len(set(identities.values())) == 1, identities


def test_other_vocabularies_have_other_digests(kinds):
    digests = {kinds[name].identity.tokenizer for name in ("byte-level", "metaspace", "unigram", "ranks", "characters")}
    assert len(digests) == 5 and None not in digests


def test_raw_bytes_are_the_256_values(kinds):
    assert kinds["bytes"].identity == Identity(256, vocabulary_digest([bytes([value]) for value in range(256)]))


def test_of_a_table_of_counts_only_the_size_is_known(kinds):
    assert kinds["counts"].identity == Identity(4)


def test_pieces_that_pad_a_gguf_file_are_not_counted(tmp_path, kinds):
    padded = tmp_path / "padded.gguf"
    described = json.loads(tokenizer_files.byte_level_json())["model"]["vocab"]
    ordered = [*sorted(described, key=lambda piece: described[piece]), "[PAD400]", "[PAD401]"]
    types = [3 if piece == "<|endoftext|>" else 5 if piece.startswith("[PAD") else 1 for piece in ordered]
    padded.write_bytes(tokenizer_files.gguf_file("gpt2", tokens=ordered, token_type=types))
    assert load_tokenizer(padded).identity == kinds["byte-level"].identity


@given(st.lists(st.binary(max_size=4), max_size=12), st.integers(0, 3))
def test_control_pieces_at_the_end_do_not_change_it(texts, more):
    found = Listed(texts).identity
    assert Listed([*texts, *[b""] * more]).identity == found
    assert found.known == any(texts)
    if found.known:
        assert texts[found.pieces - 1] and not any(texts[found.pieces :])


COMPARED = [
    (OWN.identity, OWN, "passed"),
    (OWN.identity, SPECIAL, "passed"),
    (OWN.identity, OTHER, "failed"),
    (OWN.identity, LONGER, "failed"),
    (Identity(4), OWN, "skipped"),
    (Identity(4), LONGER, "failed"),
    (UNKNOWN, OWN, "skipped"),
    (UNKNOWN, OTHER, "skipped"),  # of the right size: nothing speaks against it
]


@pytest.mark.parametrize(("stored", "tokenizer", "outcome"), COMPARED)
def test_a_tokenizer_is_held_against_what_is_stored(stored, tokenizer, outcome):
    check = compare_tokenizer(stored, 4, tokenizer)
    assert (check.name, check.outcome.value) == ("identity", outcome)
    assert check.values["stored"] == stored.values
    assert check.values["given"] == {"path": "listed.model", **tokenizer.identity.values}


def test_a_failure_names_both():
    detail = compare_tokenizer(OWN.identity, 4, LONGER).detail
    for identity in (OWN.identity, LONGER.identity):
        assert f"{identity.pieces} pieces, digest {identity.tokenizer.hex()[:12]}" in detail
    assert "listed.model" in detail


@pytest.mark.parametrize(
    ("pieces", "rows", "fits"),
    [(4, 4, True), (4, 8, True), (4, 9, False), (5, 4, False), (1024, 1024, True), (8192, 1024, False)],
)
def test_sizes_of_a_model_and_its_tokenizer(pieces, rows, fits):
    """Vocabularies are padded for speed, to at most twice their size; no piece of text is without a row."""
    tokenizer = Listed([b"x"] * pieces)
    assert (size_mismatch(tokenizer, rows) is None) == fits
    assert (compare_tokenizer(UNKNOWN, rows, tokenizer).outcome is not Outcome.FAILED) == fits
    special = Listed([b"x"] * rows + [b""] * 3)  # control pieces need no rows
    assert size_mismatch(special, rows) is None


def test_another_tokenizer_is_refused_unless_it_is_wanted():
    with pytest.raises(DataError, match="is another one") as caught:
        admit_tokenizer(OWN.identity, 4, OTHER)
    assert caught.value.argument == "other_tokenizer"
    (note,) = admit_tokenizer(OWN.identity, 4, OTHER, other=True)
    assert "another tokenizer than the model's own was wanted" in note
    assert admit_tokenizer(OWN.identity, 4, OWN) == admit_tokenizer(UNKNOWN, 4, OTHER) == ()
    (note,) = admit_tokenizer(Identity(4), 4, OTHER)
    assert "only the size" in note


@pytest.fixture
def files(tmp_path):
    """A shard and two tokenizers of one size."""
    write_shard(tmp_path / "x.bin", np.array([1, *tiny_tokenizer().encode_document("abc abd bad cab " * 20)]))
    (tmp_path / "own.model").write_bytes(model_bytes())
    (tmp_path / "other.model").write_bytes(model_bytes("prefixed"))
    (tmp_path / "small.model").write_bytes(model_bytes("unknowns"))
    return tmp_path


@pytest.mark.parametrize("name", ["other.model", "small.model"])
def test_a_score_by_another_tokenizer_fails_the_verification(files, name):
    artifact = tiny_artifact(identity=tiny_tokenizer().identity)
    own = verify_artifact(artifact, tokenizer=files / "own.model", score=ScoreRequest(files / "x.bin"))
    assert all(check.passed for check in own)
    *_, identity, score = verify_artifact(artifact, tokenizer=files / name, score=ScoreRequest(files / "x.bin"))
    assert identity.failed and identity.values["given"]["path"] == str(files / name)
    assert score.outcome is Outcome.SKIPPED and "--other-tokenizer" in score.detail
    without = verify_artifact(artifact)[-2]
    assert without.outcome is Outcome.SKIPPED and f"{VOCABULARY} pieces" in without.detail


def test_another_tokenizer_that_is_wanted_is_no_failure_and_is_told(files):
    artifact = tiny_artifact(identity=tiny_tokenizer().identity)
    wanted = {"tokenizer": files / "other.model", "other_tokenizer": True}
    *_, identity, score = verify_artifact(artifact, **wanted, score=ScoreRequest(files / "x.bin"))
    assert identity.outcome is Outcome.SKIPPED and "another tokenizer was wanted" in identity.detail
    assert score.passed


def test_an_artifact_that_names_none_is_compared_by_size(files):
    assert verify_artifact(tiny_artifact(), tokenizer=files / "other.model")[-2].outcome is Outcome.SKIPPED
    assert verify_artifact(tiny_artifact(), tokenizer=files / "small.model")[-2].failed
    stored = replace(tiny_tokenizer().identity, tokenizer=None)
    check = verify_artifact(tiny_artifact(identity=stored), tokenizer=files / "other.model")[-2]
    assert check.outcome is Outcome.SKIPPED and "only the size" in check.detail
