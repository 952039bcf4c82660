"""Runs of the validation data inside files: found wherever they start, not found by chance."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from submission_folders import write_folder
from submission_folders_claims import folder

from bytecap.runtime.shards import write_shard
from bytecap.submissions.blob_text import SHORTEST_RUN, longest_run
from bytecap.submissions.judge import judge_folder
from bytecap.submissions.judgement import JudgeOptions

RNG = np.random.default_rng(5)
DATA = RNG.bytes(20_000)


@pytest.mark.parametrize("source", [0, 1, 31, 64, 777, 19_900])
@pytest.mark.parametrize("place", [0, 3, 1000])
def test_a_run_is_found_wherever_it_starts(place, source):
    content = RNG.bytes(place) + DATA[source : source + 100] + RNG.bytes(50)
    length, found, place_of_data = longest_run(content, DATA)
    assert (found, place_of_data) == (place, source)
    assert length == pytest.approx(100, abs=2)  # a byte behind it may agree by chance


def test_the_longest_of_several_runs_is_told():
    content = DATA[100:200] + b"-" * 9 + DATA[5000:9000] + b"-" + DATA[300:400]
    assert longest_run(content, DATA)[0] == 4000


def test_what_is_not_there_is_not_found():
    assert longest_run(RNG.bytes(100_000), DATA)[0] < SHORTEST_RUN
    assert longest_run(bytes(10_000), bytes(10_000)) == (0, 0, 0)
    assert longest_run(b"", DATA) == longest_run(DATA, b"") == (0, 0, 0)


def test_tokens_of_a_shard_in_a_compressed_file(tmp_path):
    tokens = RNG.integers(0, 1024, 5000).astype(np.uint16)
    write_shard(tmp_path / "val.bin", tokens)
    files = folder(prefix__xz=lzma.compress(tokens[1000:3000].tobytes()), other__dat=RNG.bytes(5000))
    path = write_folder(tmp_path / "folder", files)
    judgement = judge_folder(path, JudgeOptions(data=str(tmp_path / "val.bin"), tokenizer="bytes"))
    (finding,) = [finding for finding in judgement.findings if finding.rule == "blob-text"]
    assert (finding.place, finding.values["bytes"], finding.values["source"]) == ("prefix.xz", 4000, 2000)
    assert "blob-text" not in {finding.rule for finding in judge_folder(path).findings}
