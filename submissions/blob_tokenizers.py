"""What a file that does not count as a tokenizer holds beside one: members that none reads, long pieces, white space.

Strategy: the challenge's rule names no tokenizer, so its bytes are not counted, and whatever else lies in the file is
carried for nothing. What each format's own members are is known; bytes in other members, in pieces longer than any
trained vocabulary has, in white space beyond the widest usual writing and in texts that are no pieces are counted
here, each a certain number. That pieces of ordinary length spell a text by their order is not told.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..files.code.side_files import TOKENIZER
from ..runtime.tokenizers.sentencepiece_model import FIRST_PIECE
from .blob_kinds import read_varint
from .findings import Finding, Level, Rule
from .folder import SubmissionFile, SubmissionFolder

RULES = (
    Rule(
        "tokenizer-beside",
        (Level.FINDING, Level.WARNING),
        "A file goes uncounted for a tokenizer and holds bytes that no tokenizer needs; a warning where it is none.",
    ),
)
LONGEST_PIECE = 256  # bytes; trained vocabularies end at 128 spaces or dashes
MOST_LONG = 4096  # bytes of all longer pieces together that are not worth a word
SHORTEST_TEXT = 32  # characters
LONG_TEXT = 1024  # bytes of one text that is neither a piece nor a table of normalization
NORMALIZATION = 512 << 10  # bytes: sentencepiece's tables of NFKC take 237 KB
LONG_TEXTS = {"precompiled_charsmap": NORMALIZATION, "chat_template": 64 << 10}
MOST_BYTES = 64 << 20
USUAL = 1024  # bytes beside a tokenizer that are not worth a word
SUFFIXES = (".json", ".model", ".vocab", ".tiktoken", ".txt", ".spm")
CONFIGURATIONS = ("config.json", "special_tokens_map.json", "added_tokens.json")  # ends of names beside tokenizer.json
MEMBERS = set("version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model".split())
MODEL_MEMBERS = set(
    "type dropout unk_token unk_id continuing_subword_prefix continuing_word_prefix end_of_word_suffix fuse_unk "
    "byte_fallback ignore_merges vocab merges max_input_chars_per_word".split()
)
TOKEN_MEMBERS = set("id content single_word lstrip rstrip normalized special".split())
PARTS = {  # of sentencepiece's message: name, bytes that are usual
    2: ("trainer_spec", 16 << 10),
    3: ("normalizer_spec", NORMALIZATION),
    4: ("self_test_data", 64 << 10),
    5: ("denormalizer_spec", NORMALIZATION),
}
PIECE_PARTS = {1, 2, 3}  # text, score, type


@dataclass(slots=True)
class Beside:
    """Bytes that no tokenizer needs, by what they are."""

    what: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, bytes_: int) -> None:
        self.what[what] = self.what.get(what, 0) + bytes_

    @property
    def bytes(self) -> int:
        return sum(self.what.values())


def tokenizer_findings(folder: SubmissionFolder, read: Mapping[str, str]) -> list[Finding]:
    """A finding for each file that is called a tokenizer and holds more than one; `read` are places that read files."""
    findings = []
    for file in folder.files:
        base = file.name.rpartition("/")[2]
        if file.kind != "file" or not TOKENIZER.search(base) or not base.lower().endswith(SUFFIXES) or not file.bytes:
            continue
        if file.bytes > MOST_BYTES:
            text = f"{file.bytes:,} bytes, more than are looked through; not counted, since it is called a tokenizer"
            findings.append(Finding("tokenizer-beside", Level.WARNING, text, file.name, {"bytes": file.bytes}))
            continue
        findings += _file_findings(file, folder.read_bytes(file.name), read.get(file.name, ""))
    return findings


def _file_findings(file: SubmissionFile, data: bytes, place: str) -> Iterator[Finding]:
    beside = bytes_beside(file.name, data)
    where = f", and {place} reads it" if place else ""
    values = {"bytes": file.bytes, "read_by": place}
    if beside is None:
        if place:
            text = f"{file.bytes:,} bytes that go uncounted by their name alone: no tokenizer of a known form{where}"
            yield Finding("tokenizer-beside", Level.WARNING, text, file.name, values)
        return
    if beside.bytes > USUAL:
        parts = ", ".join(f"{bytes_:,} in {what}" for what, bytes_ in list(beside.what.items())[:6])
        more = " and more" if len(beside.what) > 6 else ""
        text = f"{beside.bytes:,} of {file.bytes:,} bytes are no part of a tokenizer: {parts}{more}{where}"
        beside_values = {**values, "beside": beside.bytes, "parts": beside.what}
        yield Finding("tokenizer-beside", Level.FINDING, text, file.name, beside_values)


def bytes_beside(name: str, data: bytes) -> Beside | None:
    """What a tokenizer's file holds beside it; None for one of no known form."""
    if FIRST_PIECE.match(data) is not None:
        return _of_sentencepiece(data)
    if data.lstrip()[:1] == b"{":
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return _of_json(name, document, len(data))
    return _of_lines(name, data)


def _of_json(name: str, document: Any, size: int) -> Beside | None:
    """tokenizer.json of Hugging Face, a vocabulary (piece: id), or one of the configurations beside them."""
    beside = Beside()
    model = document.get("model")
    if isinstance(model, dict) and ("vocab" in model or "merges" in model):
        _members(beside, document, MEMBERS, "")
        _members(beside, model, MODEL_MEMBERS, "model.")
        vocabulary = model.get("vocab")
        pieces = vocabulary if isinstance(vocabulary, dict) else [_first(item) for item in _list(vocabulary)]
        _pieces(beside, pieces, "pieces")
        _pieces(beside, (_text(merge) for merge in _list(model.get("merges"))), "merges", 2 * LONGEST_PIECE)
        tokens = [token for token in _list(document.get("added_tokens")) if isinstance(token, dict)]
        for token in tokens:
            _members(beside, token, TOKEN_MEMBERS, "added_tokens.")
        _pieces(beside, (str(token.get("content", "")) for token in tokens), "added tokens")
        for member in MEMBERS - {"model", "added_tokens"}:
            _texts(beside, document.get(member), member)
    elif document and all(isinstance(value, int) for value in document.values()):
        _pieces(beside, document, "pieces")
    elif name.endswith(CONFIGURATIONS):
        _texts(beside, document, "texts")
    else:
        return None
    _white_space(beside, document, size)
    return beside


def _members(beside: Beside, document: Mapping[str, Any], known: set[str], where: str) -> None:
    for member, value in document.items():
        if member not in known:
            beside.add(f"{where}{member[:40]}", len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")))


def _pieces(beside: Beside, pieces: Iterable[Any], what: str, longest: int = LONGEST_PIECE) -> None:
    sizes = (len(piece.encode("utf-8", "surrogatepass")) for piece in pieces if isinstance(piece, str))
    _long(beside, sizes, what, longest)


def _long(beside: Beside, sizes: Iterable[int], what: str, longest: int = LONGEST_PIECE) -> None:
    """What is longer than it ever is, where there is much of it, or one many times as long."""
    long = [size for size in sizes if size > longest]
    if sum(long) > MOST_LONG or any(size > 8 * longest for size in long):
        beside.add(f"{len(long)} {what} longer than {longest} bytes", sum(long))


def _texts(beside: Beside, value: Any, member: str) -> None:
    """Texts that are longer than settings are; a table of normalization may have what NFKC takes."""
    waiting, long = [("", value)], 0
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, dict):
            waiting += list(item.items())
            long += sum(len(name) for name in item if len(name) > LONG_TEXT)
        elif isinstance(item, list):
            waiting += [(key, part) for part in item]
        elif isinstance(item, str):
            long += len(item.encode("utf-8", "surrogatepass")) if len(item) > LONG_TEXTS.get(key, LONG_TEXT) else 0
    if long:
        beside.add(f"texts of {member}" if member != "texts" else "texts", long)


def _white_space(beside: Beside, document: Any, size: int) -> None:
    """Bytes beyond the widest usual writing: four spaces a level, all but ASCII escaped. Keys that stand twice, too."""
    widest = len(json.dumps(document, indent=4, ensure_ascii=True)) + 2
    if size > widest:
        beside.add("white space, or members that stand twice", size - widest)


def _of_sentencepiece(data: bytes) -> Beside:
    beside, pieces, sizes = Beside(), list[int](), dict.fromkeys(PARTS, 0)
    for number, content in _fields(data):
        if number == 1:
            for part, value in _fields(content):
                if part == 1:
                    pieces.append(len(value))
                elif part not in PIECE_PARTS:
                    beside.add("pieces, in fields that no piece has", len(value))
        elif number in sizes:
            sizes[number] += len(content)
        else:
            beside.add(f"field {number}, which no tokenizer has" if number else "a tail that is no field", len(content))
    for number, (name, usual) in PARTS.items():
        if sizes[number] > usual:
            beside.add(name, sizes[number])
    _long(beside, pieces, "pieces")
    return beside


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of each field of a message of protocol buffers; number 0 for what is no field."""
    place = 0
    while place < len(data):
        key, begin = read_varint(data, place)
        kind, length = key & 7, {0: 0, 1: 8, 5: 4}.get(key & 7, -1)
        if kind == 2:
            length, begin = read_varint(data, begin)
        elif kind == 0:
            _, end = read_varint(data, begin)
            length = end - begin
        if length < 0 or begin + length > len(data):
            yield 0, data[place:]
            return
        yield key >> 3, data[begin : begin + length]
        place = begin + length


def _of_lines(name: str, data: bytes) -> Beside | None:
    """A vocabulary of lines: tiktoken's (base64, rank), sentencepiece's (piece, score), merges, or pieces alone."""
    lines = data.split(b"\n")
    ranked = [line.split(b" ") for line in lines if line.strip()]
    beside = Beside()
    if name.endswith(".tiktoken") or (ranked and all(_is_ranked(words) for words in ranked[:64])):
        pieces = [words[0] for words in ranked if _is_ranked(words)]
        other = sum(len(b" ".join(words)) for words in ranked if not _is_ranked(words))
        if other:
            beside.add("lines that are no pieces", other)
        long = (piece for piece in pieces if len(piece) > LONGEST_PIECE * 4 // 3 + 4)
        _long(beside, (len(base64.b64decode(piece)) for piece in long), "pieces")
        return beside
    if not name.endswith((".vocab", "vocab.txt", "merges.txt")):
        return None
    _long(beside, map(len, lines), "lines", 2 * LONGEST_PIECE)
    return beside


def _is_ranked(words: list[bytes]) -> bool:
    if len(words) != 2 or not words[1].strip().isdigit():
        return False
    try:
        base64.b64decode(words[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def hidden_texts(data: bytes) -> bytes:
    """The longer texts of a JSON document as they are and, where they are base64, as what they stand for."""
    try:
        waiting: list[Any] = [json.loads(data)]
    except (ValueError, RecursionError):
        return b""
    found: list[bytes] = []
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and len(item) >= SHORTEST_TEXT:
            found.append(item.encode("utf-8", "surrogatepass"))
            try:
                found.append(base64.b64decode(item, validate=True))
            except (binascii.Error, ValueError):
                pass
    return b"\0".join(found)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(item: Any) -> Any:
    return item[0] if isinstance(item, list) and item else item


def _text(merge: Any) -> str:
    return " ".join(map(str, merge)) if isinstance(merge, list) else str(merge)
