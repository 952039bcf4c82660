"""Verification: a good artifact passes every check, and each kind of damage fails the check that names it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from make_vectors import FOLDER, read_table
from tiny_artifacts import BOUNDARY, PROGRAM, VOCABULARY, tiny_artifact
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.errors import ArtifactError, DataError
from bytecap.files.ledger import build_ledger
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.container.container import DIGEST, RAW, make_section, read_container, write_container
from bytecap.format.container.container import PROGRAM as PROGRAM_SECTION
from bytecap.format.container.limits import Limits
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues
from bytecap.runtime.check import Check
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.scoring_budget import ScoringBudget
from bytecap.runtime.shards import write_shard
from bytecap.runtime.verification import LEVELS, ScoreRequest, verify_artifact


@pytest.fixture
def files(tmp_path):
    tokenizer = tiny_tokenizer()
    ids = [token for seed in range(4) for token in (BOUNDARY, *tokenizer.encode_document(" ".join(words(seed, 30))))]
    write_shard(tmp_path / "x.bin", np.array(ids))
    (tmp_path / "x.model").write_bytes(model_bytes())
    (tmp_path / "train.py").write_text("import model\n")
    (tmp_path / "model.py").write_text("pass\n")
    return tmp_path


PASSED, SKIPPED = "passed", "skipped"
NOTHING_ASKED = [SKIPPED, SKIPPED]  # identity and score
DIGEST_RULES = {"R-DIG-1"}


def outcomes(checks: list[Check]) -> list[str]:
    """Of each level in order: passed, failed or skipped."""
    assert tuple(check.name for check in checks) == LEVELS
    assert all(check.seconds >= 0 for check in checks)
    return [check.outcome.value for check in checks]


def wanted(files, **changes) -> ScoreRequest:
    return ScoreRequest(files / "x.bin", **changes)


def scored(data: bytes, files, **changes) -> Check:
    """The check "score" of the tiny data."""
    return verify_artifact(data, tokenizer=files / "x.model", score=wanted(files, **changes))[-1]


def with_section(number: int, content: bytes) -> bytes:
    """The tiny artifact with another content in one section, its checksums right."""
    sections = [
        make_section(s.id, content, compress=False) if s.id == number else s for s in read_container(tiny_artifact())
    ]
    return write_container(sections)


def content_of(number: int) -> bytes:
    return next(section.decoded for section in read_container(tiny_artifact()) if section.id == number)


def test_a_good_artifact_passes_everything(files):
    data = tiny_artifact(identity=tiny_tokenizer().identity)
    artifact = read_artifact(data)
    score = evaluate_program(artifact.program, decode_tensors(artifact), files / "x.bin", files / "x.model")
    seen = []
    request = wanted(
        files,
        expected=round(score.bits_per_byte, 4),
        tolerance=0.0001,
        progress=lambda done, total: seen.append((done, total)),
    )
    promises = {"cap": len(data) + 18, "code_files": [files / "train.py"], "tokenizer": files / "x.model"}
    checks = verify_artifact(data, **promises, score=request)
    assert outcomes(checks) == [PASSED] * 6
    values = {check.name: check.values for check in checks}
    assert values["decode"]["sha256"] == artifact.digest.hex()
    ledger = build_ledger(data, [files / "train.py", files / "model.py"], len(data) + 18)
    assert values["ledger"] == {
        "artifact_bytes": len(data),
        "code_bytes": 18,
        "total_bytes": ledger.total_bytes,
        "cap": ledger.cap,
        "code_notes": [],
    }
    assert (values["score"]["bits_per_byte"], values["score"]["bytes"]) == (score.bits_per_byte, score.bytes)
    assert seen and seen[-1][0] == seen[-1][1] == len(score.sequence_losses)


def test_without_data_nothing_is_scored():
    checks = verify_artifact(tiny_artifact())
    assert outcomes(checks) == [PASSED] * 4 + NOTHING_ASKED
    assert [check.detail for check in checks[4:]] == [
        "not judged, no tokenizer was given; the artifact names none",
        "not judged, no data were given",
    ]


@pytest.mark.parametrize(("spare", "expected"), [(0, True), (-1, False)])
def test_the_cap(spare, expected, files):
    cap = len(tiny_artifact()) + 18 + spare
    checks = verify_artifact(tiny_artifact(), cap=cap, code_files=[files / "train.py"])
    assert outcomes(checks) == [PASSED, PASSED, PASSED if expected else "failed", PASSED, *NOTHING_ASKED]
    assert f"{cap:,}" in checks[2].detail and ("within" if expected else "1 over") in checks[2].detail


@pytest.mark.parametrize(
    ("off", "tolerance", "expected"),
    [(0.01, 0.02, True), (-0.01, 0.02, True), (0.01, 0.005, False), (-0.01, 0.005, False)],
)
def test_the_expected_score(off, tolerance, expected, files):
    quick = {"max_tokens": 64, "threads": 1}
    value = scored(tiny_artifact(), files, **quick).values["bits_per_byte"]
    check = scored(tiny_artifact(), files, expected=value + off, tolerance=tolerance, **quick)
    assert (check.name, check.passed) == ("score", expected)


def test_another_model_has_another_score(files):
    value = scored(tiny_artifact(), files).values["bits_per_byte"]
    assert not scored(tiny_artifact(1), files, expected=value).passed


def test_every_flipped_byte_fails():
    data = tiny_artifact()
    for offset in [*range(len(data) - 1, 0, -97), *range(120)]:
        damaged = data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]
        checks = verify_artifact(damaged)
        assert outcomes(checks)[2:] == [PASSED, SKIPPED, *NOTHING_ASKED]
        failed = [check for check in checks if check.outcome.value == "failed"]
        assert failed and all(check.values["rule"] for check in failed)


def test_a_changed_weight_fails_the_decoding_by_its_digest():
    raw = bytearray(content_of(RAW))
    raw[5] ^= 1
    checks = verify_artifact(with_section(RAW, bytes(raw)))
    assert outcomes(checks) == [PASSED, PASSED, PASSED, "failed", *NOTHING_ASKED]
    assert "R-DIG" in checks[3].detail


def test_weights_that_do_not_decode_fail_decoding():
    checks = verify_artifact(with_section(RAW, content_of(RAW)[:-1]))
    assert outcomes(checks) == [PASSED, PASSED, PASSED, "failed", *NOTHING_ASKED]
    assert "R-RAW" in checks[3].detail


def test_a_forged_digest_is_found_out():
    assert outcomes(verify_artifact(with_section(DIGEST, bytes(32))))[3] == "failed"


def test_damage_leaves_no_score_to_judge(files):
    check = scored(with_section(DIGEST, bytes(32)), files)
    assert (check.name, check.outcome.value) == ("score", "skipped")
    assert check.detail == "not judged, there are no trustworthy tensors to run"


def test_a_broken_program_fails_the_structure_behind_right_checksums():
    checks = verify_artifact(with_section(PROGRAM_SECTION, content_of(PROGRAM_SECTION)[:-1]))
    assert outcomes(checks) == ["failed", PASSED, PASSED, SKIPPED, *NOTHING_ASKED]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 something else", "not an artifact"),
        (tiny_artifact()[:8] + b"\x09" + tiny_artifact()[9:], "unsupported"),
        (b"", "truncated"),
    ],
)
def test_what_this_reader_cannot_read_fails_its_structure(data, words):
    checks = verify_artifact(data)
    assert outcomes(checks) == ["failed", SKIPPED, PASSED, SKIPPED, *NOTHING_ASKED]
    assert words in checks[0].detail


def test_what_is_beyond_the_limits_fails_its_structure():
    checks = verify_artifact(tiny_artifact(), limits=Limits(elements=10))
    assert outcomes(checks) == ["failed", PASSED, PASSED, SKIPPED, *NOTHING_ASKED]
    assert "over limit" in checks[0].detail


def test_damaged_files_are_still_measured(files):
    data = tiny_artifact()[:-1]
    size = verify_artifact(data, cap=len(data) + 17, code_files=[files / "train.py"])[2]
    assert size.outcome.value == "failed" and size.values["total_bytes"] == len(data) + 18


def test_code_that_imports_bytecap_is_told_that_its_decoder_is_not_counted(files):
    (files / "score.py").write_text("import numpy\n\nfrom bytecap import load\n")
    checks = verify_artifact(tiny_artifact(), code_files=[files / "train.py", files / "score.py"])
    assert [check.name for check in checks] == [*LEVELS[:3], "decoder", *LEVELS[3:]]
    assert checks[2].passed and "bytecap" not in checks[2].detail
    assert checks[3].outcome.value == "noted" and not checks[3].failed
    assert "score.py:3 imports bytecap" in checks[3].detail and "`bytecap pack`" in checks[3].detail
    assert "decoder" not in [check.name for check in verify_artifact(tiny_artifact(), code_files=[files / "train.py"])]


def test_cut_artifacts_fail():
    for size in (11, 50, 130, len(tiny_artifact()) - 1):
        assert outcomes(verify_artifact(tiny_artifact()[:size]))[0] == "failed"


@pytest.mark.parametrize("vectors", ["container", "artifact"])
def test_every_refused_vector_fails_the_level_that_its_rule_belongs_to(vectors):
    """Each file that the specification refuses fails, with the rule and place the specification's table gives."""
    entries = [entry for entry in read_table() if "sha256" not in entry and entry["level"] == vectors]
    assert len(entries) > 40
    for entry in entries:
        checks = verify_artifact((FOLDER / entry["file"]).read_bytes())
        failed = [check for check in checks if check.outcome.value == "failed"]
        assert len(failed) == 1, entry["file"]
        assert (failed[0].values["rule"], failed[0].values["offset"]) == (entry["rule"], entry.get("offset"))
        if entry["error"] == "ChecksumMismatch":
            assert failed[0].name == ("decode" if entry["rule"] in DIGEST_RULES else "checksums")
        else:
            assert failed[0].name in {"structure", "decode"}
        assert outcomes(checks)[2] == PASSED


def test_every_good_vector_passes():
    entries = [entry for entry in read_table() if "sha256" in entry and entry["level"] == "artifact"]
    assert entries
    for entry in entries:
        data = (FOLDER / entry["file"]).read_bytes()
        read_artifact(data)
        assert outcomes(verify_artifact(data)) == [PASSED] * 4 + NOTHING_ASKED, entry["file"]


def test_a_file_of_sections_that_mean_nothing_is_no_artifact():
    """A container may be good while what it holds is not."""
    for entry in read_table():
        if "sha256" in entry and entry["level"] == "container":
            data = (FOLDER / entry["file"]).read_bytes()
            with pytest.raises(ArtifactError):
                read_artifact(data)
            assert outcomes(verify_artifact(data))[:2] == ["failed", "passed"]


def test_unusable_weights_fail_the_score(files):
    """Weights that decode but overflow in the first product."""
    head = np.full((VOCABULARY, 8), 3e38, np.float32)
    tensors = [
        TensorSource(name, head.shape, "float32", (RawValues(head, "float32"),)) for name in ("embedding", "head")
    ]
    data = assemble_artifact(PROGRAM, tensors)
    check = scored(data, files, threads=1)
    assert check.outcome.value == "failed" and "not finite" in check.detail


def test_a_score_beyond_its_budget_fails(files):
    check = scored(tiny_artifact(), files, budget=ScoringBudget(memory_bytes=1000))
    assert check.failed
    assert "weights and one sequence" in check.detail


@pytest.mark.parametrize("name", ["x.bin", "x.model"])
def test_missing_files_are_the_callers_fault(name, files):
    (files / name).unlink()
    with pytest.raises(DataError, match="cannot read"):
        scored(tiny_artifact(), files)


def test_a_header_changed_with_its_checksum_is_refused_by_the_rule_it_breaks():
    data = bytearray(tiny_artifact())
    end = 12 + data[10] * 14
    data[13] = 9  # the first section's codec
    data[end : end + 4] = zlib.crc32(bytes(data[:end])).to_bytes(4, "little")
    checks = verify_artifact(bytes(data))
    assert (checks[0].outcome.value, checks[0].values["rule"]) == ("failed", "R-SEC-3")
