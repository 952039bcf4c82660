"""Files that are given as text and are none: refused by how they begin, or read with a word about it.

Strategy: bytes of a container or of UTF-16 are mostly valid UTF-8, too, so that a score would come out and mean
nothing: where NUL separates documents, a text of two bytes a character is a document a letter. What is a text, but may
have been meant as something else, is read and said.
"""

from __future__ import annotations

import codecs
import contextlib
import re

from ..errors import DataError

AS_LINES = "write its texts as JSON lines, an object with 'text' a line"
AS_UTF8 = "give its text as UTF-8"
AS_IDS = "write token ids as 16 bits each (ids.astype('uint16').tofile('ids.bin')), or give UTF-8 text"
NEITHER = "give a token shard or UTF-8 text"
CONTAINERS = {  # by how they begin: what they are, and the way out
    b"PAR1": ("a parquet table", AS_LINES),
    b"ARROW1": ("an arrow table", AS_LINES),
    b"\xff\xff\xff\xff": ("a stream of arrow tables", AS_LINES),
    b"SQLite format 3\0": ("an SQLite database", AS_LINES),
    b"\x89HDF": ("an HDF5 file", AS_LINES),
    b"%PDF-": ("a PDF document", AS_UTF8),
    b"{\\rtf": ("an RTF document", AS_UTF8),
    b"\xd0\xcf\x11\xe0": ("a document of Microsoft Office", AS_UTF8),
    b"version https://git-lfs.github.com/spec/": ("a git-lfs pointer to a file that is not here", "git lfs pull"),
    b"\x93NUMPY": ("a numpy array", AS_IDS),
    b"\x89BCAP": ("an artifact of bytecap", NEITHER),
    b"GGUF": ("a GGUF model", NEITHER),
    b"\x89PNG\r\n": ("a picture", NEITHER),
    b"\xff\xd8\xff": ("a picture", NEITHER),
    b"\x7fELF": ("a compiled program", NEITHER),
    **{bytes((0x80, protocol)): ("a Python pickle", AS_IDS) for protocol in range(2, 6)},
}
LEAST_MAGIC = 5  # bytes that tell a container from bare token ids, which may begin with any two
SAFETENSORS, SAFETENSORS_PLACE = b'{"', 8  # behind the size of what begins there
TAR, TAR_PLACE = b"ustar", 257
UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")  # the byte order marks of UTF-32, too
FEWEST_WIDE = 4  # bytes of two characters in UTF-16, from which on a NUL at every second place is no separator
LEAST_BYTES = 64  # by which shares are judged
MOST_NULS, MOST_CONTROLS = 0.25, 0.1  # of the bytes; documents are longer, and text hardly has other control characters
CONTROLS = bytes({*range(1, 32)} - set(b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f"))
NEVER_IN_TEXT = CONTROLS + b"\x7f"
MOST_SEPARATORS = 1 / 16  # of the bytes of a text that are NULs between its documents; ids below 256 have one in two
JSON_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]\s*[\"{\[]")
MARKUP_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|rss|svg|body|head)\b", re.IGNORECASE)
TABLE_SUFFIXES = (".csv", ".tsv")


def refuse_foreign(path: str, head: bytes) -> None:
    """DataError for a file given as text whose beginning is that of something else, naming what and the way out."""
    if head.startswith(UTF_16):
        raise DataError(f"{path} is UTF-16 or UTF-32 text, by its byte order mark; convert it to UTF-8")
    _refuse_container(path, head, "text", 1)
    nuls, controls = head.count(0), len(head) - len(head.translate(None, CONTROLS))
    if len(head) >= LEAST_BYTES and (nuls > MOST_NULS * len(head) or controls > MOST_CONTROLS * len(head)):
        what = "NUL" if nuls > controls else "control characters"
        share = 100 * max(nuls, controls) / len(head)
        raise DataError(
            f"{path} is no UTF-8 text: {share:.0f} % of its beginning are {what}, as in UTF-16 or in bare token ids; "
            "convert it to UTF-8, or name token ids .bin"
        )
    if FEWEST_WIDE <= len(head) and not len(head) % 2 and any(head) and not (any(head[::2]) and any(head[1::2])):
        raise DataError(f"{path} is no UTF-8 text: every second byte is NUL, as in UTF-16; convert it to UTF-8")


def refuse_foreign_ids(path: str, head: bytes) -> None:
    """DataError for a file given as bare token ids whose beginning is that of a container or of a text.

    Two letters make an id below 32,768, so that with a large vocabulary a text would be scored as ids, and so would
    documents with NULs between them.
    """
    _refuse_container(path, head, "token ids", LEAST_MAGIC)
    rare_nuls = head.count(0) <= MOST_SEPARATORS * len(head)
    if len(head) < LEAST_BYTES or not rare_nuls or head != head.translate(None, NEVER_IN_TEXT):
        return
    with contextlib.suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder("utf-8")().decode(head)
        raise DataError(
            f"{path} has the name of token ids and holds UTF-8 text; give it a name that does not end in .bin, .txt say"
        )


def _refuse_container(path: str, head: bytes, expected: str, least_magic: int) -> None:
    """DataError for a container, told by at least so many bytes."""
    told = (told for magic, told in CONTAINERS.items() if len(magic) >= least_magic and head.startswith(magic))
    known = next(told, None)
    if head[TAR_PLACE : TAR_PLACE + len(TAR)] == TAR:
        known = "a tar archive", "unpack it, and give its files"
    if head[SAFETENSORS_PLACE:].startswith(SAFETENSORS) and not any(head[4:SAFETENSORS_PLACE]):
        known = "a model in safetensors", NEITHER
    if known is not None:
        raise DataError(f"{path} is {known[0]}, not {expected}; {known[1]}")


def reading_notes(path: str, name: str, head: bytes) -> list[str]:
    """What is to be said of a file that is read as plain text. `name` is in lower case, without that of a
    compression.
    """
    notes = []
    if JSON_BEGINNING.match(head):
        notes.append(
            f"{path} begins like JSON and is read as plain text, names and brackets included; documents as JSON lines "
            "are an object with 'text' a line, in a file named .jsonl"
        )
    elif MARKUP_BEGINNING.match(head):
        notes.append(f"{path} begins like HTML or XML and is read as plain text, all markup included")
    elif name.endswith(TABLE_SUFFIXES):
        notes.append(f"{path} is named like a table and is read as plain text, all columns included")
    windows, lines = head.count(b"\r\n"), head.count(b"\n")
    if windows and 2 * windows >= lines:
        notes.append(
            f"{path} has the line ends of Windows, whose second byte a line counts in bits per byte; with others the "
            "same text has another score"
        )
    return notes
