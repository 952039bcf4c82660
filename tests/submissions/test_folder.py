"""The view of a folder: nothing outside it is read, nothing waits, everything has a limit that is said."""

from __future__ import annotations

import os

import pytest
from submission_folders import write_folder

from bytecap.errors import DataError
from bytecap.submissions.findings import Finding, Level, visible_text
from bytecap.submissions.folder import FolderLimits, SubmissionFile, decode_text, open_folder
from bytecap.submissions.folder_findings import listing_findings


def test_files_are_listed_below_the_folder_in_order(tmp_path):
    write_folder(tmp_path, {"b.py": "xx", "a/c.log": "", "a.txt": "x"})
    assert open_folder(tmp_path).files == (
        SubmissionFile("a.txt", 1),
        SubmissionFile("a/c.log", 0),
        SubmissionFile("b.py", 2),
    )


def test_links_are_listed_and_lead_nowhere(tmp_path):
    secret = write_folder(tmp_path / "outside", {"secret.txt": "secret"})
    inside = write_folder(tmp_path / "inside", {"real.txt": "real", "sub/x.txt": "x"})
    (inside / "file_link.txt").symlink_to(secret / "secret.txt")
    (inside / "folder_link").symlink_to(secret)
    (inside / "loop").symlink_to(inside)
    (inside / "nowhere").symlink_to("gone")
    folder = open_folder(inside)
    assert [file.name for file in folder.files if file.is_link] == ["file_link.txt", "folder_link", "loop", "nowhere"]
    assert folder.read_text("file_link.txt").text == "" and folder.unread["file_link.txt"] == "it is a link"
    for name in ("folder_link/secret.txt", "../outside/secret.txt", "/etc/hostname", "sub/../real.txt", "", "."):
        assert folder.get(name) is None
        with pytest.raises(KeyError):
            folder.read_bytes(name)


def test_a_file_that_becomes_a_link_after_the_listing_is_not_followed(tmp_path):
    """Neither at the end of its name nor on the way."""
    secret = write_folder(tmp_path / "outside", {"secret.txt": "secret", "x.txt": "secret"})
    inside = write_folder(tmp_path / "inside", {"a.txt": "a", "sub/x.txt": "x", "pipe": ""})
    folder = open_folder(inside)
    (inside / "a.txt").unlink()
    (inside / "a.txt").symlink_to(secret / "secret.txt")
    (inside / "sub").rename(inside / "other")
    (inside / "sub").symlink_to(secret)
    (inside / "pipe").unlink()
    os.mkfifo(inside / "pipe")
    assert [folder.read_bytes(name) for name in ("a.txt", "sub/x.txt", "pipe")] == [b"", b"", b""]
    assert set(folder.unread) == {"a.txt", "sub/x.txt", "pipe"}


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "train.log")
    folder = open_folder(tmp_path)
    assert folder.files == (SubmissionFile("train.log", 0, "special"),)
    assert folder.read_text("train.log").truncated and folder.unread == {"train.log": "it is a special file"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"plain \xc3\xa9", ("plain é", "utf-8", False, False)),
        (b"\xef\xbb\xbf{}", ("{}", "utf-8", True, False)),
        ("step:1 é".encode("utf-16"), ("step:1 é", "utf-16-le", True, False)),
        (b"\xfe\xff" + "abc".encode("utf-16-be"), ("abc", "utf-16-be", True, False)),
        ("abc".encode("utf-32"), ("abc", "utf-32-le", True, False)),
        ("no mark, but plain".encode("utf-16-le"), ("no mark, but plain", "utf-16-le", False, False)),
        ("no mark, but plain".encode("utf-16-be"), ("no mark, but plain", "utf-16-be", False, False)),
        (b"caf\xe9", ("caf\ufffd", "utf-8", False, True)),
        ("odd".encode("utf-16-le") + b"!", ("odd!", "utf-8", False, False)),
        (b"", ("", "utf-8", False, False)),
    ],
)
def test_texts_are_decoded_by_their_mark_or_by_what_they_look_like(data, expected):
    text = decode_text(data)
    if data == "odd".encode("utf-16-le") + b"!":  # too short to tell: the zeros stand
        assert text.text == "o\0d\0d\0!"
        return
    assert (text.text, text.encoding, text.bom, text.damaged) == expected


def test_a_limit_that_cuts_a_character_in_two_damages_nothing(tmp_path):
    write_folder(tmp_path, {"a.log": "é" * 10})
    folder = open_folder(tmp_path, FolderLimits(text_bytes=5))
    text = folder.read_text("a.log")
    assert (text.text, text.damaged, text.truncated) == ("éé", False, True)
    assert folder.unread == {"a.log": "only the first 5 of 20 bytes were read"}


def test_a_huge_file_costs_its_limit_only(tmp_path):
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    folder = open_folder(tmp_path, FolderLimits(file_bytes=1000))
    assert folder.files == (SubmissionFile("huge.bin", 1 << 40),)
    assert folder.read_bytes("huge.bin") == bytes(1000)
    assert folder.read_bytes("huge.bin", 10) == bytes(10)
    assert "of 1,099,511,627,776 bytes" in folder.unread["huge.bin"]


def test_all_reads_together_have_a_limit(tmp_path):
    write_folder(tmp_path, {"a.py": "x" * 60, "b.py": "y" * 60, "c.py": "z" * 60})
    folder = open_folder(tmp_path, FolderLimits(total_bytes=100))
    assert [len(folder.read_bytes(name)) for name in ("a.py", "b.py", "c.py")] == [60, 40, 0]
    assert set(folder.unread) == {"b.py", "c.py"}
    texts = open_folder(tmp_path, FolderLimits(total_text_bytes=100))
    assert [len(texts.read_text(name).text) for name in ("a.py", "b.py", "c.py", "a.py")] == [60, 40, 0, 60]


def test_thousands_of_files_and_folders_inside_each_other_are_listed_up_to_a_limit(tmp_path):
    write_folder(tmp_path, {f"{number:04}.txt": "" for number in range(3000)})
    limited = open_folder(tmp_path, FolderLimits(files=1000))
    assert len(limited.files) == 1000 and limited.unlisted == ("only the first 1,000 files were looked at",)
    assert len(open_folder(tmp_path).files) == 3000
    deep = tmp_path / "deep"
    write_folder(deep, {"/".join(["d"] * 40) + "/x.txt": "", "y.txt": ""})
    folder = open_folder(deep)
    assert [file.name for file in folder.files] == ["y.txt"]
    assert folder.unlisted == (f"{'/'.join(['d'] * 32)}/: too many folders inside each other",)


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch):
    """As root every file can be read, so the refusal of the system is put in its place."""
    write_folder(tmp_path, {"a.txt": "a", "sub/b.txt": "b"})
    folder, opened = open_folder(tmp_path), os.open

    def refuse(name, *arguments, **options):
        if name in ("a.txt", "sub"):
            raise PermissionError(13, "Permission denied")
        return opened(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert folder.read_bytes("a.txt") == b"" and folder.unread == {"a.txt": "Permission denied"}
    assert open_folder(tmp_path).unlisted == ("sub/: Permission denied",)


@pytest.mark.parametrize("name", ["gone", "file.txt"])
def test_what_is_no_folder_is_an_error(tmp_path, name):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(DataError, match=f"{name} cannot be opened as a folder"):
        open_folder(tmp_path / name)


def test_no_file_is_left_open(tmp_path):
    write_folder(tmp_path, {"a/b/c.txt": "x"})
    before = os.listdir("/proc/self/fd")
    folder = open_folder(tmp_path, FolderLimits(files=1))
    folder.read_bytes("a/b/c.txt")
    (tmp_path / "a/b/c.txt").unlink()
    folder.read_bytes("a/b/c.txt")
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("train gpt é 日本 🙂.py", "train gpt é 日本 🙂.py"),
        ("a\u202egol.txt", "a\\u202egol.txt"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\t", "two\\x0alines\\x0d\\x09"),
        ("zero\u200bwidth\ufeff\u2066", "zero\\u200bwidth\\ufeff\\u2066"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_characters_that_do_not_show_are_escaped(text, shown):
    assert visible_text(text) == shown
    finding = Finding("a-b", Level.FINDING, text, text, {text: [text, {"x": text}], "nan": float("nan"), "n": 1})
    assert (finding.text, finding.place) == (shown, shown)
    assert finding.values == {shown: [shown, {"x": shown}], "nan": "nan", "n": 1}


def test_long_text_is_cut_and_says_so():
    assert visible_text("x" * 3000) == "x" * 1000 + "... (2,000 more characters)"


def test_a_name_that_is_no_utf8_is_listed_and_read(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(path, "wb") as file:
        file.write(b"x")
    folder = open_folder(tmp_path)
    assert folder.read_bytes(folder.files[0].name) == b"x"


def test_names_that_carry_bytes_and_names_alike_are_told(tmp_path):
    many = {f"n/{number:04d}{'abcdefghij' * 20}": "" for number in range(400)}
    folder = open_folder(
        write_folder(tmp_path / "folder", {**many, "A.txt": "", "a.TXT": "", "cafe\u0301": "", "caf\xe9": ""})
    )
    texts = [finding.text for finding in listing_findings(folder) if finding.rule == "folder-name"]
    assert len(texts) == 3
    assert texts[0].startswith("the names of its 404 files have 82,")
    assert all("only in capitals or in how a letter is written" in text for text in texts[1:])
