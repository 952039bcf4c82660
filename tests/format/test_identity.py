"""What an artifact says of its tokenizer and architecture document: one encoding, digests of contents."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_artifacts import identities
from reference import reference_decoder
from tiny_artifacts import tiny_artifact

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_tensors, read_artifact, write_artifact
from bytecap.format.container.container import IDENTITY
from bytecap.format.identity import (
    UNKNOWN,
    Identity,
    decode_identity,
    document_digest,
    encode_identity,
    identity_text,
    vocabulary_digest,
)
from bytecap.format.inspection import inspect_artifact

DIGEST, OTHER = (hashlib.sha256(text).digest() for text in (b"one", b"two"))


@given(identities())
def test_what_is_known_comes_back(identity):
    data = encode_identity(identity)
    assert bool(data) == identity.known
    if identity.known:
        assert decode_identity(data) == identity
        assert reference_decoder.read_identity(data) == (identity.pieces, identity.tokenizer, identity.architecture)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_as_the_reference_does(data):
    try:
        found = reference_decoder.read_identity(data)
    except reference_decoder.Refused as refused:
        with pytest.raises(ArtifactError) as caught:
            decode_identity(data)
        error = caught.value
        assert (error.kind, error.rule, error.offset) == (refused.word, refused.rule, refused.offset)
    else:
        identity = decode_identity(data)
        assert encode_identity(identity) == data
        assert found == (identity.pieces, identity.tokenizer, identity.architecture)


@settings(max_examples=20, deadline=None)
@given(identities())
def test_an_artifact_keeps_it_and_decodes_to_the_same(identity):
    data = tiny_artifact(identity=identity)
    artifact = read_artifact(data)
    assert artifact.identity == identity and write_artifact(artifact) == data
    assert (artifact.section(IDENTITY) is None) == (not identity.known)
    assert artifact.digest == read_artifact(tiny_artifact()).digest
    decode_tensors(artifact)


@pytest.mark.parametrize(
    ("identity", "size"),
    [(UNKNOWN, 0), (Identity(1024), 17), (Identity(1024, DIGEST), 49), (Identity(1024, DIGEST, OTHER), 81)],
)
def test_its_size_is_told(identity, size):
    found = inspect_artifact(tiny_artifact(identity=identity))
    rows = [row.stored_bytes for row in found.sections if row.name == "identity"]
    assert sum(rows) + 14 * len(rows) == size == found.bytes - len(tiny_artifact())


def test_a_digest_without_a_size_is_not_written():
    with pytest.raises(ValueError, match="number of pieces"):
        encode_identity(Identity(tokenizer=DIGEST))


def test_the_digest_of_a_vocabulary_is_that_of_the_specification():
    pieces = [b"", b"\x00", b" the", "é".encode()]
    expected = hashlib.sha256(b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces))
    assert vocabulary_digest(pieces) == expected.digest()
    for other in ([b"", b"\x00", b" ", b"the", "é".encode()], pieces[::-1], [*pieces, b""], pieces[:-1]):
        assert vocabulary_digest(other) != expected.digest()


def test_the_digest_of_a_document_is_that_of_its_values():
    values = {"b": [1, 2.5, None], "a": {"é": True}}
    assert document_digest(values) == hashlib.sha256(b'{"a":{"\\u00e9":true},"b":[1,2.5,null]}').digest()
    assert document_digest(json.loads(json.dumps(values, indent=3))) == document_digest(values)
    assert document_digest(values | {"b": [1, 2.5]}) != document_digest(values)
    with pytest.raises(ValueError, match="JSON"):
        document_digest({"a": float("nan")})


def test_it_reads_in_a_line():
    assert identity_text(Identity(1024, DIGEST)) == "1,024 pieces, tokenizer 7692c3ad3540, architecture unknown"
