"""What an artifact says of the files that it belongs to, its tokenizer and its architecture document (IDENTITY).

Strategy: digests of contents, not of files, so that one vocabulary has one digest in whichever file it comes
(spec/tensors.md, chapter 9). Each part may be unknown; an artifact of which nothing is known has no such section.
Nothing here decides how a tensor decodes. Whoever scores compares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ArtifactError, InvalidArtifact, MalformedArtifact
from .container.cursor import Cursor, Writer

PIECES, TOKENIZER, ARCHITECTURE = 1, 2, 4  # bits of the first byte: what is known
DIGEST_BYTES = 32
SHORT_DIGITS = 12  # of a digest where people read it
WHERE = "identity"


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of the files that a model belongs to; None for what is not.

    pieces : int | None             pieces of the tokenizer, those without text behind the last one with text left out
    tokenizer : bytes | None        SHA-256 of these pieces: `vocabulary_digest`
    architecture : bytes | None     SHA-256 of the architecture document's values: `document_digest`
    """

    pieces: int | None = None
    tokenizer: bytes | None = None
    architecture: bytes | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to store."""
        return (self.pieces, self.tokenizer, self.architecture) != (None, None, None)

    @property
    def values(self) -> dict[str, int | str | None]:
        """The parts by name, digests in hexadecimal: what tools print and compare."""
        digests = {"tokenizer": self.tokenizer, "architecture": self.architecture}
        return {"pieces": self.pieces} | {name: None if d is None else d.hex() for name, d in digests.items()}


UNKNOWN = Identity()


def encode_identity(identity: Identity) -> bytes:
    """The section's content, b"" when nothing is known; ValueError for a digest of a vocabulary without its size."""
    if not identity.known:
        return b""
    if identity.tokenizer is not None and identity.pieces is None:
        raise ValueError("the digest of a vocabulary comes with its number of pieces")
    parts = ((PIECES, identity.pieces), (TOKENIZER, identity.tokenizer), (ARCHITECTURE, identity.architecture))
    writer = Writer()
    writer.u8(sum(bit for bit, value in parts if value is not None))
    if identity.pieces is not None:
        writer.varint(identity.pieces)
    for digest in (identity.tokenizer, identity.architecture):
        writer.raw(digest or b"")
    return writer.bytes()


def decode_identity(data: bytes) -> Identity:
    """The content of the section, which has one encoding; ArtifactError [R-IDN-1 to R-IDN-3, R-END, R-VAR]."""
    return read_identity(Cursor(data, where=WHERE))


def read_identity(cursor: Cursor) -> Identity:
    """`decode_identity` of all that a cursor has left."""
    flags = cursor.u8("what is known")
    if not 0 < flags < 2 * ARCHITECTURE:
        raise _refused(MalformedArtifact, f"what is known is told by {flags}, expected 1 to 7", "R-IDN-1", 0)
    if flags & TOKENIZER and not flags & PIECES:
        raise _refused(InvalidArtifact, "the digest of a vocabulary without its number of pieces", "R-IDN-2", 0)
    start = cursor.offset
    pieces = cursor.varint("pieces of the tokenizer") if flags & PIECES else None
    if pieces == 0:
        raise _refused(InvalidArtifact, "a vocabulary of no pieces", "R-IDN-3", start)
    tokenizer = bytes(cursor.take(DIGEST_BYTES, "digest of the tokenizer")) if flags & TOKENIZER else None
    architecture = bytes(cursor.take(DIGEST_BYTES, "digest of the architecture")) if flags & ARCHITECTURE else None
    cursor.expect_end()
    return Identity(pieces, tokenizer, architecture)


def _refused(kind: type[ArtifactError], message: str, rule: str, offset: int) -> ArtifactError:
    return kind(message, rule=rule, offset=offset, where=WHERE)


def vocabulary_digest(pieces: Sequence[bytes]) -> bytes:
    """SHA-256 over the pieces in the order of their ids: of each its length as u32, little-endian, and its bytes.

    pieces : the bytes of text of each, b"" where it stands for none; up to the last that stands for some
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(len(piece).to_bytes(4, "little") + piece)
    return digest.digest()


def document_digest(values: Mapping[str, object]) -> bytes:
    """SHA-256 over the values of a JSON or TOML document as canonical JSON: sorted keys, no spaces, ASCII escapes.

    So neither the order of keys nor the layout of the file matters. Raises ValueError for values that JSON has not.
    """
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as error:  # a TOML date, or keys of several types
        raise ValueError(f"values that JSON has not: {error}") from error
    return hashlib.sha256(text.encode("ascii")).digest()


def identity_text(identity: Identity) -> str:
    """`1,024 pieces, tokenizer 3fa4b2c1d5e6, architecture unknown`."""
    pieces = "unknown" if identity.pieces is None else f"{identity.pieces:,}"
    digests = f"tokenizer {short_digest(identity.tokenizer)}, architecture {short_digest(identity.architecture)}"
    return f"{pieces} pieces, {digests}"


def short_digest(digest: bytes | None) -> str:
    """The first digits of a digest as people read it; "unknown" for None."""
    return "unknown" if digest is None else digest.hex()[:SHORT_DIGITS]
