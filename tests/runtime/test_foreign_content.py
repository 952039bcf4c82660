"""Files given as text: what is none is refused by name, what may be meant as something else is said, text is read."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tarfile
from types import SimpleNamespace

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
    "ids.dat": (bytes([65, 1, 66, 0] * 100), r"is no UTF-8 text: .*; convert it to UTF-8, or name token ids \.bin"),
}


def read(path):
    return read_tokens(path, tiny_tokenizer("bytes"), 420, 1)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_text_is_refused_by_name(name, tmp_path):
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} {message}"):
        read(tmp_path / name)


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
