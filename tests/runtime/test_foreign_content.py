"""Files given as text: what is none is refused by name, what may be meant as something else is said, text is read."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError
from bytecap.runtime.tokens import read_tokens

TEXT = " ".join(words(3, 300)) + "\n"
CYRILLIC = "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 " * 50


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return made.getvalue()


def numpy_file() -> bytes:
    made = io.BytesIO()
    np.save(made, np.arange(300, dtype=np.uint16))
    return made.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
FOREIGN = {
    "a.tar": (tar(), "is a tar archive, not text; unpack it"),
    "a.tar.gz": (gzip.compress(tar()), "is a tar archive, not text; unpack it"),
    "a.parquet": (b"PAR1" + TEXT.encode() + b"PAR1", "is a parquet table, not text; write its texts as JSON lines"),
    "a.arrow": (b"ARROW1\0\0" + TEXT.encode(), "is an arrow table, not text"),
    "a.pdf": (b"%PDF-1.7\n" + TEXT.encode(), "is a PDF document, not text; give its text as UTF-8"),
    "marked.txt": (TEXT.encode("utf-16"), "is UTF-16 or UTF-32 text, by its byte order mark; convert it to UTF-8"),
    "wide.txt": (TEXT.encode("utf-32"), "is UTF-16 or UTF-32 text, by its byte order mark"),
    "lines.jsonl": (json.dumps({"text": TEXT}).encode("utf-16"), "is UTF-16 or UTF-32 text"),
    "little.txt": (TEXT.encode("utf-16-le"), "is no UTF-8 text: 50 % of its beginning are NUL"),
    "big.txt.gz": (gzip.compress(TEXT.encode("utf-16-be")), "is no UTF-8 text: 50 % of its beginning are NUL"),
    "cyrillic.txt": (CYRILLIC.encode("utf-16-le"), r"is no UTF-8 text: \d\d % of its beginning are control characters"),
    "short.txt": ("Hi".encode("utf-16-le"), "is no UTF-8 text: every second byte is NUL, as in UTF-16; convert it"),
    "short_big.txt": ("Hi you".encode("utf-16-be"), "is no UTF-8 text: every second byte is NUL, as in UTF-16"),
    "tables": (b"\xff\xff\xff\xff\x00\x04\x00\x00", "is a stream of arrow tables, not text; write its texts as JSON"),
    "letter.rtf": (b"{\\rtf1\\ansi " + TEXT.encode(), "is an RTF document, not text; give its text as UTF-8"),
    "letter.docx": (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "is a document of Microsoft Office, not data"),
    "book.epub": (
        b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/epub+zip",
        "is a document of LibreOffice or an EPUB",
    ),
    "model.pt": (
        b"PK\x03\x04" + b"\0" * 26 + b"model/data.pkl",
        "is a checkpoint of torch.save, not data; give a token",
    ),
    "model.gguf": (b"GGUF\x03\0\0\0" + TEXT.encode(), "is a GGUF model, not text; give a token shard or UTF-8 text"),
    "model.bcap": (b"\x89BCAP\r\n" + TEXT.encode(), "is an artifact of bytecap, not text; give a token shard"),
    "model.safetensors": (b"\x10\0\0\0\0\0\0\0" + b'{"a": {}}', "is a model in safetensors, not text; give a token"),
    "pointer.txt": (POINTER, "is a git-lfs pointer to a file that is not here, not text; git lfs pull"),
    "pointer.jsonl": (POINTER, "is a git-lfs pointer to a file that is not here, not text; git lfs pull"),
    "pointer.bin": (POINTER, "is a git-lfs pointer to a file that is not here, not token ids; git lfs pull"),
    "ids.npy": (numpy_file(), r"is a numpy array, not text; write token ids as 16 bits each \(ids\.astype"),
    "npy.bin": (numpy_file(), r"is a numpy array, not token ids; write token ids as 16 bits each \(ids\.astype"),
    "ids.pkl": (pickle.dumps(list(range(300))), "is a Python pickle, not text; write token ids as 16 bits each"),
    "text.bin": (
        CYRILLIC.encode(),
        r"has the name of token ids and holds UTF-8 text; give it a name that .* \.txt say",
    ),
    "documents.bin": ("\0".join([CYRILLIC, TEXT, TEXT]).encode(), "has the name of token ids and holds UTF-8 text"),
    "text.bin.gz": (gzip.compress(TEXT.encode()), "has the name of token ids and holds UTF-8 text"),
    "a.txt.lz4": (b"\x04\x22\x4d\x18" + TEXT.encode(), "looks like lz4 data; decompress it first"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + TEXT.encode(), "looks like 7-Zip data; decompress it first"),
    "ids.dat": (bytes([65, 1, 66, 0] * 100), r"is no UTF-8 text: .*; convert it to UTF-8, or name token ids \.bin"),
}


def read(path, vocabulary_size=420):
    return read_tokens(path, tiny_tokenizer("bytes"), vocabulary_size, 1)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_text_is_refused_by_name(name, tmp_path):
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} {message}"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", [name for name in FOREIGN if ".bin" in name])
def test_a_large_vocabulary_does_not_make_it_token_ids(name, tmp_path):
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} {message}"):
        read_tokens(tmp_path / name, None, 65_536, 1)


@pytest.mark.parametrize("content", [b" \n\t \n", b" " * 5000, b"\n\0 \n", b'{"text": "  "}\n'])
def test_white_space_that_a_tokenizer_drops_is_no_text(content, tmp_path):
    name = "a.jsonl" if content.startswith(b"{") else "a.txt"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        DataError, match=rf"{name} holds white space alone, or characters that .* drops: no token .* words"
    ):
        read_tokens(tmp_path / name, tiny_tokenizer(), 420, 1)


def test_standard_input_is_held_to_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(FOREIGN["little.txt"][0])))
    with pytest.raises(DataError, match="- is no UTF-8 text"):
        read("-")


def test_json_lines_from_standard_input_are_not_scored_as_text(monkeypatch):
    for content, refused in ((json.dumps({"text": TEXT}), True), (json.dumps({"other": TEXT}), False), (TEXT, False)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"{content}\n".encode() * 3)))
        if refused:
            with pytest.raises(DataError, match="- holds JSON lines, and standard input is read as text; give them as"):
                read("-")
        else:
            assert read("-").text.bytes.sum() == 3 * len(content) + 3


@pytest.mark.parametrize(
    ("value", "kind"),
    [("3", "a number"), ("null", "null"), ("true", "true or false"), ("[]", "a list"), ("{}", "an object")],
)
def test_a_text_that_is_none_is_named_for_what_it_is(value, kind, tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n\n{{"text": {value}}}\n')
    with pytest.raises(DataError, match=f"a.jsonl: line 3 has a 'text' that is {kind}; write it as text, or leave"):
        read(tmp_path / "a.jsonl")


def test_what_is_compressed_twice_is_said(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(gzip.compress(TEXT.encode())))
    with pytest.raises(DataError, match=r"a\.txt\.gz is compressed twice; decompress it once"):
        read(tmp_path / "a.txt.gz")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps([{"text": TEXT}]), True),
        (json.dumps([TEXT, TEXT], indent=1), True),
        (json.dumps({"other": TEXT}), True),
        ("[link](there) and {braces}", False),
        (TEXT, False),
    ],
)
def test_json_from_standard_input_is_read_and_said(content, said, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content.encode())))
    notes = read("-").notes
    assert [note for note in notes if JSON_NOTE in note] == list(notes)
    assert len(notes) == said and all(note.startswith(f"standard input {JSON_NOTE}") for note in notes)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is a pipe, which is read only once; write it to a file, or give it as "):
        read(tmp_path / "pipe")
    reading, writing = os.pipe()  # as a shell's <(...) names it
    try:
        with pytest.raises(DataError, match=f"/dev/fd/{reading} is a pipe"):
            read(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_folder_is_answered_with_a_pattern(tmp_path):
    with pytest.raises(DataError, match=rf"{tmp_path} is a folder; name the files in it, or .* '{tmp_path}/\*\.txt'"):
        read(tmp_path)


JSON_NOTE = "begins like JSON and is read as plain text, names and brackets included"
WINDOWS_NOTE = "has the line ends of Windows, whose second byte a line counts in bits per byte"
MARKUP_NOTE = "begins like HTML or XML and is read as plain text, all markup included"
READ = {
    "a.txt": (TEXT, None),
    "crlf.txt": (TEXT.replace(" ", "\r\n"), WINDOWS_NOTE),
    "mostly.txt": ("a\r\nb\nc\r\n" * 20, WINDOWS_NOTE),
    "rarely.txt": ("a\nb\nc\r\n" * 20, None),
    "old.txt": (TEXT.replace(" ", "\r"), None),
    "page.html": ("<!DOCTYPE html>\n<html><body><p>" + TEXT, MARKUP_NOTE),
    "page.txt": ("\ufeff <?xml version='1.0'?><a>" + TEXT, MARKUP_NOTE),
    "compared.txt": ("<3 and a < b " + TEXT, None),
    "letters.txt": ("a\0b\0c", None),
    "documents.txt": ("\0".join(["abcd"] * 40), None),
    "terminal.txt": ("\x1b[1mbold\x1b[0m\f\t" * 20, None),
    "cyrillic.txt": (CYRILLIC, None),
    "markdown.txt": ("[link](there) and {braces}", None),
    "lines.txt": ("\ufeff" + json.dumps({"text": TEXT}) + "\n", None),
    "array.json": (json.dumps([{"text": TEXT}]), JSON_NOTE),
    "pretty.json": (json.dumps({"text": TEXT}, indent=1), JSON_NOTE),
    "other.txt": (json.dumps({"content": TEXT}), JSON_NOTE),
    "table.CSV": ("text,more\nab,cd\n", "is named like a table and is read as plain text, all columns included"),
}


@pytest.mark.parametrize("name", READ)
def test_text_is_read_and_what_may_be_meant_otherwise_is_said(name, tmp_path):
    text, note = READ[name]
    for path, content in ((tmp_path / name, text.encode()), (tmp_path / f"{name}.gz", gzip.compress(text.encode()))):
        path.write_bytes(content)
        notes = read(path).notes
        assert len(notes) == (note is not None) and all(f"{path} {note}" in said for said in notes)
