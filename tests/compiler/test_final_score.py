"""The score at the end of a compile: that of `eval` on the same tokens, told early when it cannot be made."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import bytecap_command
from html_pages import parsed_page
from small_job import ARCHITECTURE
from tiny_tokenizers import model_bytes, tiny_tokenizer

import bytecap
from bytecap.compiler.final_score import EVALUATION_TOKENS, read_evaluation, score_compile
from bytecap.compiler.inputs import read_model
from bytecap.errors import DataError
from bytecap.progress import silent
from bytecap.runtime.shards import read_shard, write_shard

LENGTH = ARCHITECTURE["seq_len"]


@pytest.fixture(scope="module")
def model(small_job):
    return read_model(small_job.checkpoint, small_job.architecture)


@pytest.fixture(scope="module")
def scored(small_job, tmp_path_factory):
    """A compile that scores, with a page, as a document; and what it prints."""
    folder = tmp_path_factory.mktemp("scored")
    options = ["--evaluation", small_job.data, "--evaluation-tokens", 640]
    page = folder / "page.html"
    arguments = small_job.compile_arguments(folder / "out.bcap", *options)
    document = bytecap_command(*arguments, "--report", page, "--json").document
    return document, bytecap_command(*arguments, "--force").stdout, page.read_text("utf-8")


def evaluated(small_job, *more):
    arguments = ["--against", small_job.checkpoint, "--architecture", small_job.architecture, "--json", *more]
    return bytecap_command("eval", small_job.artifact, *small_job.score_arguments(), *arguments).document


def test_it_is_the_score_that_eval_gives(small_job, scored):
    score, expected = scored[0]["report"]["score"], evaluated(small_job, "--max-tokens", 640)
    for name, other in (("artifact", "score"), ("checkpoint", "reference")):
        assert score[name] == {key: expected[other][key] for key in ("bits_per_byte", "bits_per_token")}
    assert score["gap"] == expected["gap"]
    assert (score["tokens"], score["bytes"]) == (640, expected["score"]["bytes"])
    assert scored[0]["sha256"] == small_job.compiled.document["sha256"]  # scoring changes no byte


def test_it_stands_in_the_text_and_on_the_page(scored):
    document, text, page = scored
    score, gap = document["report"]["score"], document["report"]["score"]["gap"]
    told = f"{gap['mbpb']:+.2f} ± {gap['standard_error_mbpb']:.2f} mBPB"
    line = next(line for line in text.splitlines() if line.startswith("scored "))
    assert f"{score['artifact']['bits_per_byte']:.5f} bits per byte" in line and told in line
    assert "640 tokens" in line and "(at most 640 are scored)" in line
    assert told in page and "score" in document["report"]["seconds"]
    parsed_page(page)


def test_without_evaluation_data_there_is_none(small_job):
    assert small_job.compiled.document["report"]["score"] is None


@pytest.mark.parametrize(
    ("tokens", "scored_tokens"), [(LENGTH, LENGTH), (3 * LENGTH + 5, 3 * LENGTH), (None, 1600)], ids=str
)
def test_the_first_tokens_are_scored(small_job, model, tokens, scored_tokens):
    text = read_evaluation(model.program, [small_job.data], small_job.tokenizer, tokens)
    assert text.limit == (EVALUATION_TOKENS if tokens is None else tokens)
    found = score_compile(text, small_job.artifact.read_bytes(), model, 1, silent)
    assert found["tokens"] == scored_tokens
    assert (found["gap"]["standard_error_mbpb"] is None) == (scored_tokens == LENGTH)
    difference = found["artifact"]["bits_per_byte"] - found["checkpoint"]["bits_per_byte"]
    assert found["gap"]["mbpb"] == pytest.approx(1000 * difference)


def test_what_cannot_be_scored_says_why_and_is_no_error(small_job, model, tmp_path):
    write_shard(tmp_path / "short.bin", read_shard(small_job.data)[:LENGTH])
    cases = {
        "one sequence needs 32": ([tmp_path / "short.bin"], small_job.tokenizer),
        "name the tokenizer with --tokenizer": ([small_job.data], None),
        "score files of one kind": ([small_job.data, small_job.text], small_job.tokenizer),
    }
    for reason, (evaluation, tokenizer) in cases.items():
        text = read_evaluation(model.program, evaluation, tokenizer, None)
        found = score_compile(text, small_job.artifact.read_bytes(), model, 1, silent)
        assert found["artifact"] is found["checkpoint"] is found["gap"] is None
        assert reason in found["notes"][0]
    assert read_evaluation(model.program, [], small_job.tokenizer, None) is None


def test_what_is_wrong_with_it_is_told_before_the_work(small_job, tmp_path):
    """Tokens of another tokenizer, whose text contradicts this one's pieces."""
    lone = tiny_tokenizer("spaceless").encode_document("ab cd " * 60)
    write_shard(tmp_path / "spelled.bin", np.array([1, *lone]))
    (tmp_path / "spaceless.model").write_bytes(model_bytes("spaceless"))
    calls = []
    with pytest.raises(DataError, match="spelled as three bytes"):
        bytecap.compile(
            small_job.checkpoint,
            cap="18KB",
            calibration=small_job.calibration,
            tokenizer=tmp_path / "spaceless.model",
            evaluation=tmp_path / "spelled.bin",
            architecture=small_job.architecture,
            progress=lambda *call: calls.append(call),
        )
    assert calls == []
