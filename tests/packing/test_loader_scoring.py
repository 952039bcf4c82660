"""What the shipped loader scores: windows, shards and bytes, against the runtime's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import model_bytes, tiny_tokenizer

from bytecap.packing.loader import scoring, shards
from bytecap.packing.submission import byte_table_entries, encode_byte_table
from bytecap.runtime.scoring import windows_by_document
from bytecap.runtime.shards import encode_shard, write_shard

LENGTHS = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda pair: (max(pair), min(pair)))


@settings(max_examples=200, deadline=None)
@given(ids=st.lists(st.integers(0, 3), min_size=2, max_size=40), lengths=LENGTHS, separate=st.booleans())
def test_the_windows_are_the_runtimes(ids, lengths, separate):
    length, stride = lengths
    starts = np.array([0, *(n for n in range(1, len(ids)) if ids[n] == 1)]) if separate else np.zeros(1, np.int64)
    expected = [(w.start, w.stop, w.skip) for w in windows_by_document(starts, len(ids) - 1, length, stride)]
    assert scoring.plan(np.array(ids), length, stride, 1 if separate else None) == expected


@given(plan=st.lists(st.tuples(st.integers(0, 3), st.integers(4, 6)), max_size=20), most=st.integers(1, 5))
def test_batches_are_windows_of_one_length_in_order(plan, most):
    windows = [(start, stop, 0) for start, stop in plan]
    found = list(scoring.batches(windows, most))
    assert [window for batch in found for window in batch] == windows
    assert all(len(batch) <= most and len({stop - start for start, stop, _ in batch}) == 1 for batch in found)


def test_every_target_counts_once():
    class Counting:
        def losses(self, rows):
            return rows[:, 1:].float()  # a token's loss is its id

    ids, counts = np.arange(50), np.arange(50) * 3
    plan = scoring.plan(ids, 8, 3, None)
    assert scoring.score_windows(Counting(), ids, counts, plan, 50, torch.device("cpu")) == (
        ids.sum(),
        49,
        counts.sum(),
    )


def test_pieces_are_read_without_sentencepiece(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_bytes())
    table = tiny_tokenizer().byte_table()
    assert shards.read_table(str(path)).astype("<u2").tobytes() == byte_table_entries(table)
    path.write_bytes(encode_byte_table(table))
    assert shards.read_table(str(path)).astype("<u2").tobytes() == byte_table_entries(table)
    ids = np.random.default_rng(1).integers(0, len(table.base_bytes), 500)
    found = shards.bytes_of_ids(ids, shards.read_table(str(path)), 1)
    assert found[0] == 0
    assert found[1:].tolist() == table.target_bytes(ids).tolist()


@pytest.mark.parametrize("data", [b"{}", b"\x0a\xff", b'\n\x03\x12\x01a{"model": 1}'])
def test_what_is_no_sentencepiece_model_is_told(tmp_path, data):
    (tmp_path / "t.json").write_bytes(data)
    with pytest.raises(SystemExit, match=r"t\.json is no sentencepiece model"):
        shards.read_table(str(tmp_path / "t.json"))


def test_a_token_without_a_piece_stops_the_run_unless_it_is_the_boundary():
    table = np.array([2, 3 | shards.LEADING])
    assert shards.bytes_of_ids(np.array([0, 5, 1, 1]), table, boundary=5).tolist() == [0, 0, 3, 4]
    with pytest.raises(SystemExit, match="only 2 pieces"):
        shards.bytes_of_ids(np.array([0, 5, 1]), table, boundary=4)


def test_shards_of_a_folder_with_counts_beside_them(tmp_path):
    for number in range(2):
        write_shard(tmp_path / f"fineweb_val_{number}.bin", np.arange(5) + 10 * number)
    ids, counts = shards.read_ids(str(tmp_path))
    assert ids.tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert counts is None
    for number in range(2):
        write_shard(tmp_path / f"fineweb_val_bytes_{number}.bin", np.full(5, number + 1))
    ids, counts = shards.read_ids(str(tmp_path / "fineweb_val_*.bin"))
    assert counts.tolist() == [1] * 5 + [2] * 5
    write_shard(tmp_path / "fineweb_val_bytes_1.bin", np.full(4, 1), force=True)
    with pytest.raises(SystemExit, match="other tokens"):
        shards.read_ids(str(tmp_path))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encode_shard(np.arange(9))[:-2], "says 9 tokens"),
        (encode_shard(np.arange(9)) + b"x", "says 9 tokens"),
        (b"text" * 300, "is not a token shard"),
        (b"", "is not a token shard"),
    ],
)
def test_damaged_shards_stop_the_run(tmp_path, data, said):
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    with pytest.raises(SystemExit, match=said):
        shards.read_shard(str(path))


def test_no_shard_at_all():
    with pytest.raises(SystemExit, match="no shard matches"):
        shards.read_ids("/nowhere/x_*.bin")
