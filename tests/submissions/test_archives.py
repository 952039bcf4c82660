"""Archives of a submission: judged as the folder that they hold, hostile and damaged ones refused whole."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard
from command_line import bytecap_command
from submission_folders import write_folder

import bytecap
from bytecap.errors import DataError
from bytecap.submissions import archives
from bytecap.submissions.archive_kinds import archive_kind, is_other_archive
from bytecap.submissions.archives import OpenedArchive, unpack_submission

FILES = {
    "README.md": "# Non-record\n\nNotes without a run.\n",
    "train_gpt.py": "import parts.model\n",
    "parts/model.py": "x = 1\n",
}
MEASURED = ("seconds", "cpu_seconds", "peak_bytes")
WAY_OUT = "; unpack it and give the folder"


def zipped(path: Path, files, *, top: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip file of names and contents; of a `ZipInfo` for a name its own attributes hold."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, contents in files.items() if isinstance(files, dict) else files:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else top + name, contents)
    return path


def tarred(path: Path, files, *, top: str = "", mode: str = "w") -> Path:
    """A tar file of names and contents; a `TarInfo` for a name stands there as it is."""
    with tarfile.open(path, mode) as archive:
        for name, contents in files.items() if isinstance(files, dict) else files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(top + name)
            data = contents.encode() if isinstance(contents, str) else contents
            member.size = member.size or len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def tar_member(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def zip_member(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, mode << 16
    return member


def without_costs(document):
    return {name: value for name, value in document.items() if name not in MEASURED}


@pytest.fixture(scope="module")
def of_folder(tmp_path_factory):
    """What the command line says of the folder itself."""
    return bytecap_command("verify", write_folder(tmp_path_factory.mktemp("plain"), FILES), "--json")


@pytest.mark.parametrize(
    ("name", "make", "top", "kind", "entered"),
    [
        ("a.zip", zipped, "", "zip", ""),
        ("a.ZIP", zipped, "repo-main/", "zip", "repo-main"),
        ("a.zip", zipped, "repo-main/records/track/mine/", "zip", "repo-main/records/track/mine"),
        ("a.tar", tarred, "./", "tar", ""),
        ("a.tar.gz", lambda *given, **top: tarred(*given, **top, mode="w:gz"), "mine/", "tar.gzip", "mine"),
        ("a.tgz", lambda *given, **top: tarred(*given, **top, mode="w:gz"), "", "tar.gzip", ""),
        ("a.tar.xz", lambda *given, **top: tarred(*given, **top, mode="w:xz"), "mine/", "tar.xz", "mine"),
        ("a.tar.bz2", lambda *given, **top: tarred(*given, **top, mode="w:bz2"), "mine/", "tar.bzip2", "mine"),
    ],
)
def test_an_archive_is_judged_as_the_folder_it_holds(name, make, top, kind, entered, of_folder, tmp_path):
    archive = make(tmp_path / name, FILES, top=top)
    of_archive = bytecap_command("verify", archive, "--json")
    opened = {"archive": kind, "files": 3, "bytes": sum(map(len, FILES.values())), "entered": entered}
    expected = {**without_costs(of_folder.document), "folder": str(archive), "opened": opened}
    assert (of_archive.code, of_archive.stderr) == (of_folder.code, of_folder.stderr)
    assert without_costs(of_archive.document) == expected


def test_the_report_is_the_folder_s_with_one_line_more(tmp_path):
    folder, archive = write_folder(tmp_path / "folder", FILES), zipped(tmp_path / "a.zip", FILES, top="mine/")
    of_folder, of_archive = (bytecap_command("verify", path) for path in (folder, archive))
    lines = of_folder.stdout.splitlines()
    assert of_archive.code == of_folder.code
    assert of_archive.stdout.splitlines() == [
        f"submission folder {archive}: 3 files",
        "opened from a zip archive of 3 files, 60 bytes; judged is its folder mine",
        *lines[1:],
    ]


def test_zstd_is_opened(tmp_path):
    plain = tarred(tmp_path / "a.tar", FILES)
    packed = tmp_path / "a.tar.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    (tmp_path / "out").mkdir()
    assert unpack_submission(packed, tmp_path / "out").archive == "tar.zstd"


def test_links_inside_stay_links_and_hard_links_are_files(tmp_path):
    members = [*FILES.items(), (tar_member("again.py", tarfile.SYMTYPE, "parts/model.py"), "")]
    members += [(tar_member("hard.py", tarfile.LNKTYPE, "parts/model.py"), "")]
    (tmp_path / "out").mkdir()
    opened = unpack_submission(tarred(tmp_path / "a.tar", members), tmp_path / "out")
    assert opened == OpenedArchive("tar", 5, 66, "")
    assert (tmp_path / "out/again.py").is_symlink()
    assert (tmp_path / "out/hard.py").read_text() == "x = 1\n"


def test_what_a_mac_packs_beside_the_folder_is_not_the_submission(tmp_path):
    files = {f"mine/{name}": text for name, text in FILES.items()} | {"__MACOSX/mine/._README.md": "x"}
    (tmp_path / "out").mkdir()
    assert unpack_submission(zipped(tmp_path / "a.zip", files), tmp_path / "out").entered == "mine"


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, {"a.py": "x = 1\n"}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def cut(path: Path, whole: Path, left: int) -> Path:
    path.write_bytes(whole.read_bytes()[:left])
    return path


def ten_gigabytes(path: Path) -> Path:
    """Gzip members of zeros, one after the other, read as one file."""
    path.write_bytes(gzip.compress(bytes(64 << 20)) * 160)
    return path


def lying(path: Path) -> Path:
    """A zip file whose member is larger than it says."""
    data = zipped(path, {"a.bin": bytes(1 << 20)}).read_bytes()
    size = (1 << 20).to_bytes(4, "little")
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    return path


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


HOSTILE = {
    "above": (lambda p: zipped(p / "a.zip", {"../a.py": ""}), "a name in it leads out of its folder: ../a.py"),
    "above inside": (lambda p: tarred(p / "a.tar", {"a/../../b": ""}), "leads out of its folder: a/../../b"),
    "absolute": (lambda p: zipped(p / "a.zip", {"/etc/a": ""}), "a name in it leads out of its folder: /etc/a"),
    "absolute tar": (lambda p: tarred(p / "a.tar", {"/etc/a": ""}), "a name in it leads out of its folder: /etc/a"),
    "windows": (lambda p: zipped(p / "a.zip", {"a\\b.py": ""}), "none that every system reads alike: a\\b.py"),
    "zero byte": (
        lambda p: replaced(zipped(p / "a.zip", {"a.py_.md": ""}), b"a.py_", b"a.py\0"),
        "none that every system reads alike: a.py\\x00.md",
    ),
    "link out": (
        lambda p: tarred(p / "a.tar", [(tar_member("a/b", tarfile.SYMTYPE, "../../c"), "")]),
        "a link in it leads out of its folder: a/b -> ../../c",
    ),
    "zip link out": (
        lambda p: zipped(p / "a.zip", [(zip_member("a", stat.S_IFLNK | 0o777), "/etc/passwd")]),
        "a link in it leads out of its folder: a -> /etc/passwd",
    ),
    "through a link": (
        lambda p: tarred(p / "a.tar", [(tar_member("a", tarfile.SYMTYPE, "b"), ""), ("a/c", "x"), ("b/d", "")]),
        "it holds a/c inside of a, which is no folder",
    ),
    "hard link out": (
        lambda p: tarred(p / "a.tar", [(tar_member("a", tarfile.LNKTYPE, "/etc/passwd"), "")]),
        "a in it is a hard link to no file of it: /etc/passwd",
    ),
    "hard link to a link": (
        lambda p: tarred(
            p / "a.tar",
            [(tar_member("a", tarfile.SYMTYPE, "b"), ""), (tar_member("c", tarfile.LNKTYPE, "a"), ""), ("b", "")],
        ),
        "c in it is a hard link to no file of it: a",
    ),
    "device": (
        lambda p: tarred(p / "a.tar", [(tar_member("a", tarfile.CHRTYPE), "")]),
        "a in it is a device, a pipe or a socket",
    ),
    "pipe": (
        lambda p: zipped(p / "a.zip", [(zip_member("a", stat.S_IFIFO | 0o644), "")]),
        "a in it is a device, a pipe or a socket",
    ),
    "twice": (lambda p: tarred(p / "a.tar", [("a", "1"), ("./a", "2")]), "it holds a twice"),
    "file and folder": (lambda p: tarred(p / "a.tar", [("a", ""), ("a/b", "")]), "it holds a/b inside of a, which"),
    "deep": (lambda p: zipped(p / "a.zip", {"a/" * 40 + "b": ""}), "its folders lie more than 32 deep"),
    "encrypted": (lambda p: encrypted(p / "a.zip"), "it is encrypted (a.py)"),
    "cut zip": (lambda p: cut(p / "a.zip", zipped(p / "b.zip", FILES), 200), "it is damaged or cut short (File is not"),
    "cut gzip": (
        lambda p: cut(p / "a.tgz", tarred(p / "b.tgz", FILES, mode="w:gz"), 150),
        "it is damaged or cut short (Compressed file ended",
    ),
    "cut xz": (lambda p: cut(p / "a.txz", tarred(p / "b.txz", FILES, mode="w:xz"), 150), "it is damaged or cut short"),
    "cut between members": (
        lambda p: cut(p / "a.tar", tarred(p / "b.tar", {"a": "1", "b": "2"}), 1024),
        "it is damaged or cut short (its end is missing)",
    ),
    "damaged header": (
        lambda p: replaced(tarred(p / "a.tar", {"first": "1", "second": "2"}), b"second", b"secund"),
        "it is damaged or cut short (its end is missing)",
    ),
    "no archive": (
        lambda p: write_folder(p, {"a.tar.gz": "text"}) / "a.tar.gz",
        "it is damaged or cut short (Not a gz",
    ),
    "no xz": (lambda p: write_folder(p, {"a.txz": "text"}) / "a.txz", "it is damaged or cut short (Input format"),
    "sparse": (
        lambda p: replaced(tarred(p / "a.tar", {"a": ""}), *_claimed_size()),
        "it unpacks to more than 512 MiB",
    ),
    "one more inside": (
        lambda p: zipped(p / "a.zip", {"top/inner.tar.gz": "x"}),
        "it holds one more archive and nothing else, top/inner.tar.gz",
    ),
    "several": (
        lambda p: zipped(p / "a.zip", {f"main/records/{name}/submission.json": "{}" for name in "cab"}),
        "it holds 3 submissions, not one: main/records/a, main/records/b, main/records/c; pick one with --inside "
        "main/records/a, or unpack",
    ),
}


def _claimed_size() -> tuple[bytes, bytes]:
    """The header of an empty file "a", and the same with 7 GiB of content and the checksum that goes with it."""
    plain, claimed = tarfile.TarInfo("a"), tarfile.TarInfo("a")
    claimed.size = 7 << 30
    return plain.tobuf(tarfile.USTAR_FORMAT), claimed.tobuf(tarfile.USTAR_FORMAT)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The document of each hostile archive: they are judged one after the other, so none may break the next one's."""
    folders = [tmp_path_factory.mktemp("hostile") / "in" for _ in HOSTILE]
    for folder in folders:
        folder.mkdir()
    made = [make(folder) for (make, _), folder in zip(HOSTILE.values(), folders, strict=True)]
    outcome = bytecap_command("verify", *made, "--json-lines", "--threads", 1)
    assert (outcome.code, outcome.stderr) == (7, "")
    return dict(zip(HOSTILE, map(json.loads, outcome.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_damaged_archive_is_not_judged_and_says_why(case, judged):
    found, reason = judged[case], HOSTILE[case][1]
    assert (found["verdict"], found["passed"]) == ("not judged", False)
    (finding,) = found["findings"]
    assert (finding["rule"], finding["level"]) == ("archive-unopened", "skipped")
    assert finding["text"].startswith("the archive was not opened: ")
    assert finding["text"].endswith(WAY_OUT.removeprefix("; "))
    assert reason in finding["text"]
    assert "opened" not in found


@pytest.mark.parametrize("make", [ten_gigabytes, lying])
def test_what_is_written_is_counted_whatever_an_archive_says(make, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 20)
    archive = make(tmp_path / ("a.zip" if make is lying else "a.tgz"))
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"it unpacks to more than 1 MiB|it is damaged"):
        unpack_submission(archive, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 1 << 20


def test_a_dictionary_of_four_gigabytes_is_refused(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0}]
    data = bytearray(lzma.compress(bytes(1 << 16), filters=filters))
    place = data.index(b"\x21\x01", 12)
    data[place + 2] = 40  # of a dictionary of 4 GiB; the header's checksum follows
    size = (data[12] + 1) * 4
    data[12 + size - 4 : 12 + size] = _crc(bytes(data[12 : 12 + size - 4]))
    (tmp_path / "a.txz").write_bytes(data)
    (finding,) = bytecap.verify_folder(tmp_path / "a.txz").findings
    assert finding.text == "the archive was not opened: unpacking it takes more than 1,024 MiB of memory" + WAY_OUT


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"^it holds more than 2 files$"):
        unpack_submission(zipped(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert not os.listdir(tmp_path / "out")


def test_nothing_stays_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "in").mkdir()
    bytecap.verify_folder(zipped(tmp_path / "in/a.zip", FILES))
    bytecap.verify_folder(cut(tmp_path / "in/b.zip", tmp_path / "in/a.zip", 300))
    assert os.listdir(tmp_path) == ["in"]


def test_a_refused_archive_takes_no_other_target_with_it(tmp_path):
    folder = write_folder(tmp_path / "folder", FILES)
    bad, good = encrypted(tmp_path / "bad.zip"), zipped(tmp_path / "good.zip", FILES)
    outcome = bytecap_command("verify", bad, folder, good, "--json-lines")
    documents = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.code == 7
    assert [document["folder"] for document in documents] == [str(bad), str(folder), str(good)]
    assert [document["verdict"] for document in documents] == [
        "not judged",
        documents[1]["verdict"],
        documents[1]["verdict"],
    ]


def test_an_archive_of_another_kind_is_told_what_to_do(tmp_path):
    path = write_folder(tmp_path, {"a.7z": "7z\xbc\xaf"}) / "a.7z"
    outcome = bytecap_command("verify", path)
    assert outcome.code == 7
    assert outcome.stderr == (
        f"bytecap: note: {path}: it is an archive of a kind that is not opened here; unpack it and give the folder or "
        "file in it\n"
    )


@pytest.mark.parametrize(
    ("name", "kind", "other"),
    [
        ("a.zip", "zip", False),
        ("a.tar.zst", "tar.zstd", False),
        ("a.tzst", "tar.zstd", False),
        ("a.rar", None, True),
        ("model.gz", None, True),
        ("model.pt", None, False),
        ("zip", None, False),
    ],
)
def test_kinds_are_told_by_names(name, kind, other):
    assert (archive_kind(Path(name)), is_other_archive(Path(name))) == (kind, other)
