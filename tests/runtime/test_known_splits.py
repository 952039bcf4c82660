"""Known splits: cut, longer, other and whole data are told apart, and a table of the user's is read to the letter."""

from __future__ import annotations

import gzip
import hashlib
import json

import numpy as np
import pytest

from bytecap.errors import DataError
from bytecap.runtime import data_content
from bytecap.runtime.data_content import DataContent
from bytecap.runtime.known_splits import Split, SplitVerdict, match_split, read_splits
from bytecap.runtime.shards import write_shard

IDS = np.arange(1000, dtype=np.uint16) % 300


def digest_of(ids) -> str:
    return hashlib.sha256(ids.tobytes()).hexdigest()


DIGEST = digest_of(IDS)
SPLIT = Split("small", "validation", "small/val_*.bin", 300, (1000, 1000), None, DIGEST)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small").mkdir()
    return tmp_path / "small"


def matched(path, splits=(SPLIT,), expected=None, vocabulary_size=300):
    return match_split(DataContent(str(path), vocabulary_size), splits, expected)


def test_the_whole_split_is_told_by_name_or_by_size(folder, tmp_path):
    write_shard(folder / "val_0.bin", IDS)
    write_shard(tmp_path / "other.bin", IDS)
    for path in (folder / "val_0.bin", tmp_path / "other.bin"):
        found = matched(path)
        assert (found.verdict, found.split) == (SplitVerdict.SAME, SPLIT)
        assert found.detail == "small (validation), all of it: 1,000 tokens, sha256 agrees"
        assert dict(found.facts) == {"files": 1, "tokens": 1000, "bytes": None, "sha256": DIGEST}


def test_a_split_in_several_files_or_compressed_is_the_same(folder):
    write_shard(folder / "val_0.bin", IDS[:400])
    write_shard(folder / "val_1.bin", IDS[400:])
    assert matched(folder / "val_*.bin").verdict is SplitVerdict.SAME
    (folder / "val_1.bin").write_bytes(gzip.compress((folder / "val_1.bin").read_bytes()))
    assert matched(folder / "val_*.bin").verdict is SplitVerdict.SAME


@pytest.mark.parametrize(
    "ids, said",
    [
        (IDS[:202], "cut, 202 of 1,000 tokens (20.2 %)"),
        (np.append(IDS, IDS[:1]), "longer, 1,001 tokens where it has 1,000"),
        (
            IDS[::-1],
            f"other content of the same size, sha256 {digest_of(IDS[::-1])[:16]}… and not {DIGEST[:16]}…",
        ),
    ],
)
def test_other_data_under_a_known_name_are_told(folder, tmp_path, ids, said):
    write_shard(folder / "val_0.bin", ids)
    found = matched(folder / "val_0.bin")
    assert found.verdict is SplitVerdict.DIFFERENT
    assert found.detail.startswith(f"not small (validation), which they are by name: {said}")
    write_shard(tmp_path / "x.bin", ids)
    assert matched(tmp_path / "x.bin").verdict is SplitVerdict.UNKNOWN
    found = matched(tmp_path / "x.bin", expected="small")
    assert found.detail.startswith(f"not small (validation), which they are asked for: {said}")


def test_without_a_digest_only_the_size_is_told(folder):
    write_shard(folder / "val_0.bin", IDS)
    known = Split("small", "", "small/val_*.bin", 300, (999, 1001))
    found = matched(folder / "val_0.bin", (known,))
    assert found.verdict is SplitVerdict.SIZE and found.facts["sha256"] is None
    assert found.detail == "small by name and size: 1,000 tokens; its digest is not known"


def test_a_size_of_another_vocabulary_says_nothing(tmp_path):
    write_shard(tmp_path / "x.bin", IDS)
    assert matched(tmp_path / "x.bin", vocabulary_size=512).verdict is SplitVerdict.UNKNOWN


def test_a_text_is_known_by_its_bytes(tmp_path):
    (tmp_path / "wiki.txt").write_text("some words\n", encoding="utf-8")
    known = Split("wiki", "test", "wiki.txt", bytes=11, sha256=hashlib.sha256(b"some words\n").hexdigest())
    assert matched(tmp_path / "wiki.txt", (known,)).verdict is SplitVerdict.SAME
    (tmp_path / "wiki.txt").write_text("some other words\n", encoding="utf-8")
    assert matched(tmp_path / "wiki.txt", (known,)).detail.endswith("longer, 17 bytes where it has 11")
    write_shard(tmp_path / "a.bin", IDS)
    assert matched(tmp_path / "a.bin", (known,), expected="wiki").detail.endswith("token shards, where it is a text")


def test_sizes_take_no_decompressing_where_only_a_part_is_read(tmp_path, monkeypatch):
    """A shard's header tells its tokens; of a compressed text nothing is known until a digest is asked for."""
    write_shard(tmp_path / "x.bin", IDS)
    (tmp_path / "x.bin").write_bytes(gzip.compress((tmp_path / "x.bin").read_bytes()))
    (tmp_path / "x.txt").write_bytes(gzip.compress(b"some words\n"))
    known = Split("wiki", "test", "wiki.txt", bytes=11, sha256=hashlib.sha256(b"some words\n").hexdigest())
    shard, text = (DataContent(str(tmp_path / name), 300, whole=False) for name in ("x.bin", "x.txt"))
    monkeypatch.setattr(data_content, "opened", None)
    assert (shard.tokens, text.bytes) == (1000, None)
    found = match_split(text, (known,))
    assert (found.verdict, found.detail) == (SplitVerdict.UNKNOWN, "not a known split: compressed text, read in part")
    monkeypatch.undo()
    assert match_split(text, (known,), "wiki").verdict is SplitVerdict.SAME
    assert match_split(shard, (SPLIT,)).verdict is SplitVerdict.SAME


def test_standard_input_is_no_known_split():
    found = match_split(DataContent("-", 300), (SPLIT,))
    assert (found.verdict, found.detail) == (SplitVerdict.UNKNOWN, "not a known split: text from standard input")


def test_the_shipped_table_has_the_challenge_and_no_name_twice():
    splits = {split.name: split for split in read_splits()}
    assert splits["fineweb10B_sp1024"].tokens == (62_021_846, 62_021_846)
    least, most = splits["fineweb10B_sp8192_caseops"].tokens
    assert (least - 1) // 2048 == (most - 1) // 2048 == 47_851_520 // 2048


def test_a_cut_shard_of_the_challenge_is_told_by_its_name(tmp_path):
    folder = tmp_path / "fineweb10B_sp1024"
    folder.mkdir()
    write_shard(folder / "fineweb_val_000000.bin", IDS)
    found = matched(folder / "fineweb_val_000000.bin", read_splits(), vocabulary_size=1024)
    assert found.detail.endswith("by name: cut, 1,000 of 62,021,846 tokens (0.0 %)")


def test_a_table_of_the_users(tmp_path):
    (tmp_path / "mine.toml").write_text('[[split]]\nname = "mine"\ntokens = 1_000\nsha256 = "' + DIGEST + '"\n')
    (tmp_path / "more.json").write_text(json.dumps({"split": [{"name": "more", "tokens": [5, 9]}]}))
    found = {split.name: split for split in read_splits([tmp_path / "mine.toml", tmp_path / "more.json"])}
    assert found["mine"] == Split("mine", tokens=(1000, 1000), sha256=DIGEST)
    assert found["more"].tokens == (5, 9) and "fineweb10B_sp1024" in found


@pytest.mark.parametrize(
    "text, said",
    [
        ("[[split]]\ntokens = 1\n", "split 1 has no name"),
        ('[[split]]\nname = "a"\n', "split 1 (a) has neither tokens, bytes nor sha256"),
        ('[[split]]\nname = "a"\ntokens = 0\n', "split 1 (a): tokens is 0"),
        ('[[split]]\nname = "a"\ntokens = [5, 4]\n', "tokens is [5, 4]"),
        ('[[split]]\nname = "a"\ntoken = 5\n', "token is 5"),
        ('[[split]]\nname = "a"\nsha256 = "AB"\n', "sha256 is 'AB'"),
        ('[[split]]\nname = "fineweb10B_sp1024"\nbytes = 5\n', "is registered twice"),
        ("split = 5\n", "needs [[split]] entries"),
        ("[[split]\n", "is no table of splits"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, said):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(DataError) as caught:
        read_splits([tmp_path / "t.toml"])
    assert said in str(caught.value) and "t.toml" in str(caught.value)


def test_an_unknown_expected_split_is_refused(tmp_path):
    write_shard(tmp_path / "x.bin", IDS)
    with pytest.raises(DataError, match="'large' is no known split"):
        matched(tmp_path / "x.bin", expected="large")
