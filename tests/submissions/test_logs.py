"""What a log says, whatever stands in front of its lines, and nothing that only looks like it."""

from __future__ import annotations

import pytest
from submission_folders import write_folder
from submission_folders_claims import SCRIPT, log

from bytecap.submissions.folder import FolderLimits, open_folder
from bytecap.submissions.log_lines import Stage, scores_of, sizes_of
from bytecap.submissions.log_source import compare_with_scripts, find_printed_source
from bytecap.submissions.logs import LogFacts, final_models, final_totals, read_log, read_logs


def facts_of(text: str, name: str = "train.log") -> LogFacts:
    facts = LogFacts(name, "utf-8", False, False)
    read_log(text, facts)
    return facts


def told(facts: LogFacts) -> tuple:
    sizes = [(size.kind, size.value, size.label) for size in facts.sizes]
    scores = [(score.written, score.label, score.stage) for score in facts.scores]
    return sizes, scores, [time.seconds for time in facts.training], facts.seed, facts.steps


def test_a_log_of_the_baseline_script():
    facts = facts_of(log(seed=42))
    code = len(SCRIPT)
    assert [(size.value, size.label) for size in final_totals(facts)] == [(15_000_000 + code, "int8+zlib")]
    assert [(size.value, size.label) for size in final_models(facts)] == [(15_000_000, "int8+zlib")]
    assert [score.stage for score in facts.scores] == [Stage.TRAINING, Stage.FINAL, Stage.FINAL]
    assert facts.scores[-1].written == "1.22436570" and facts.scores[-1].label == "final_int8_zlib_roundtrip"
    assert (facts.seed, facts.steps, facts.training[0].seconds) == ("42", 200, 599.0)
    assert facts.evaluations[0].seconds == pytest.approx(1.4)


@pytest.mark.parametrize(
    "prefix",
    ["1774926434.123456 ", "[default0]:", "[rank7]: ", "2026-04-30T01:02:03Z ", "[2026-04-19 11:28:15] ", "INFO: "],
)
def test_prefixes_change_nothing(prefix):
    plain = log(source="")
    assert told(facts_of("".join(prefix + line + "\n" for line in plain.splitlines()))) == told(facts_of(plain))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_encodings_change_nothing(encoding, tmp_path):
    write_folder(tmp_path, {"train.log": log().encode(encoding)})
    (facts,) = read_logs(open_folder(tmp_path))
    assert told(facts) == told(facts_of(log()))


def test_binary_noise_between_lines_is_passed_over():
    noise = bytes(range(256)).decode("latin-1").replace("\n", "") * 20
    assert told(facts_of(log().replace("\n", f"\n{noise}\n"))) == told(facts_of(log()))


@pytest.mark.parametrize(
    ("line", "sizes"),
    [
        ("Total submission size int6+zstd-22: 15,999,100 bytes", [("total", 15_999_100, "int6+zstd-22")]),
        (
            "artifact: 15470583 bytes  code: 58274 bytes  total: 15528857 bytes",
            [("model", 15470583, ""), ("code", 58274, ""), ("total", 15528857, "")],
        ),
        (
            "final compressed_model_bytes:15450463 code_bytes:55299 total_artifact_bytes:15505762",
            [("model", 15450463, ""), ("code", 55299, ""), ("total", 15505762, "")],
        ),
        ("Code size (compressed): 31999 bytes", [("code", 31_999, "compressed")]),
        ("budget:15993853/16000000 (15.99/16.00MB) FITS", [("total", 15993853, "budget")]),
        ("selective_prune: probe prune_n=3 total_bytes=15999999", []),
        ("Total submission size limit: 16000000 bytes", []),
        ("ttt_phased: total_docs:50000 prefix_docs:2000", []),
        ('    log0(f"Code size: {code_bytes} bytes")', []),
        ("Serialized model: skipped raw checkpoint SAVE_RAW_MODEL=0", []),
    ],
)
def test_sizes_of_a_line(line, sizes):
    found = [(size.kind, size.value, size.label) for size in sizes_of(line, 1)]
    assert [(kind, value) for kind, value, _ in found] == [(kind, value) for kind, value, _ in sizes]
    if len(sizes) == 1:
        assert found == sizes


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("final_int8_zlib_roundtrip_exact val_loss:2.07 val_bpb:1.22436570", Stage.FINAL),
        ("quantized_ttt_phased val_loss:2.31944212 val_bpb:1.05989454 eval_time:508785ms", Stage.FINAL),
        ("diagnostic quantized val_loss:2.3 val_bpb:1.0598 eval_time:5ms", Stage.FINAL),
        ("legal_ttt_exact val_loss:2.3 val_bpb:1.0598", Stage.FINAL),
        ("pre-quantization post-ema val_loss:2.8 val_bpb:1.08734790 eval_time:7440ms", Stage.BEFORE),
        ("DIAGNOSTIC post_ema val_loss:2.8 val_bpb:1.0873 eval_time:7440ms", Stage.BEFORE),
        ("step:13780/20000 val_loss:2.0606 val_bpb:1.2172 train_time:600038ms", Stage.TRAINING),
        ("4550/20000 val_loss: 2.8119 val_bpb: 1.0886", Stage.TRAINING),
        ("  ttt_chunk [3/1238] bpb=1.123456 time=3.4s", Stage.PROGRESS),
        ("  sliding_eval [ 12.0%] 3/9 windows running_bpb=1.2345", Stage.PROGRESS),
    ],
)
def test_the_stage_of_a_score(line, stage):
    assert [score.stage for score in scores_of(line, 1)] == [stage]


def test_of_many_scores_on_the_way_the_last_is_kept():
    lines = [f"  ttt_chunk [{step}/100] bpb=1.{step:06d} time=1.0s" for step in range(100)]
    assert [score.written for score in facts_of("\n".join(lines)).scores] == ["1.000099"]


def test_the_seed_of_a_log_or_of_its_name():
    assert facts_of("  seed: 1337\nval_bpb:1.2").seed == "1337"
    assert facts_of("val_bpb:1.2", "logs/train_seed42.log").seed == "42"
    assert facts_of("val_bpb:1.2", "ternary_log_7.txt").seed == "7"
    assert facts_of("val_bpb:1.2", "train.log").seed == ""


def test_a_long_log_is_read_to_its_end(tmp_path):
    """Beyond the limit of texts: what counts stands last."""
    filling = "step:1/2 train_loss:2.0 train_time:3ms step_avg:1.0ms\n" * 2_000
    write_folder(tmp_path, {"train.log": filling + log(source="")})
    folder = open_folder(tmp_path, FolderLimits(text_bytes=1_000))
    assert [size.value for log_facts in read_logs(folder) for size in final_totals(log_facts)] != []
    assert folder.unread == {}


def test_other_texts_are_no_logs(tmp_path):
    files = {name: log() for name in ("requirements.txt", "README.txt", "notes.md", "train_gpt.py")}
    write_folder(tmp_path, files | {"empty.log": "", "words.txt": "nothing here"})
    assert read_logs(open_folder(tmp_path)) == ()


def test_the_printed_script_is_found_and_compared():
    source = find_printed_source(log().splitlines())
    assert source is not None and source.first == 0
    assert compare_with_scripts(source, [("a.py", "x = 1\n"), ("train_gpt.py", SCRIPT)]).same
    changed = compare_with_scripts(source, [("train_gpt.py", SCRIPT.replace("x3 = 3", "x3 = 4") + "more = 1\n")])
    assert (changed.name, changed.only_printed, changed.only_shipped) == ("train_gpt.py", 1, 2)


def test_a_script_after_other_output_is_found():
    text = "W0409 warning\n" + "=" * 100 + "\nHyperparameters:\n" + "=" * 100 + "\n" + log()
    source = find_printed_source(text.splitlines())
    assert source is not None and source.lines[0] == "import os"
    assert find_printed_source(("x\n" * 100 + "=" * 100).splitlines()) is None
