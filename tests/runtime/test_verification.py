"""Verification: a good artifact passes every check, and each kind of damage fails the check that names it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from tiny_artifacts import BOUNDARY, PROGRAM, VOCABULARY, tiny_artifact
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.errors import DataError, LimitExceeded, NotAnArtifact, UnsupportedArtifact
from bytecap.files.ledger import build_ledger
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import RawValues, TensorSource, assemble_artifact
from bytecap.format.container.container import DIGEST, RAW, make_section, read_container, write_container
from bytecap.format.container.container import PROGRAM as PROGRAM_SECTION
from bytecap.format.container.limits import Limits
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.shards import write_shard
from bytecap.runtime.verification import Check, _check_canonical, verify_artifact


@pytest.fixture
def files(tmp_path):
    tokenizer = tiny_tokenizer()
    ids = [token for seed in range(4) for token in (BOUNDARY, *tokenizer.encode_document(" ".join(words(seed, 30))))]
    write_shard(tmp_path / "x.bin", np.array(ids))
    (tmp_path / "x.model").write_bytes(model_bytes())
    (tmp_path / "train.py").write_text("import model\n")
    (tmp_path / "model.py").write_text("pass\n")
    return tmp_path


def passed(checks: list[Check]) -> dict[str, bool]:
    return {check.name: check.passed for check in checks}


def with_section(number: int, content: bytes) -> bytes:
    """The tiny artifact with another content in one section, its checksums right."""
    sections = [
        make_section(s.id, content, compress=False) if s.id == number else s for s in read_container(tiny_artifact())
    ]
    return write_container(sections)


def content_of(number: int) -> bytes:
    return next(section.decoded for section in read_container(tiny_artifact()) if section.id == number)


def test_a_good_artifact_passes_everything(files):
    data = tiny_artifact()
    artifact = read_artifact(data)
    score = evaluate_program(artifact.program, decode_tensors(artifact), files / "x.bin", files / "x.model")
    seen = []
    checks = verify_artifact(
        data,
        cap=len(data) + 18,
        code_files=[files / "train.py"],
        data_path=files / "x.bin",
        tokenizer_path=files / "x.model",
        expected_bits_per_byte=round(score.bits_per_byte, 4),
        tolerance=0.0001,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert passed(checks) == dict.fromkeys(
        ["structure", "checksums", "canonical", "decoding", "digest", "size", "score"], True
    )
    values = {check.name: check.values for check in checks}
    assert values["digest"]["sha256"] == artifact.digest.hex()
    ledger = build_ledger(data, [files / "train.py", files / "model.py"], len(data) + 18)
    assert values["size"] == {
        "artifact_bytes": len(data),
        "code_bytes": 18,
        "total_bytes": ledger.total_bytes,
        "cap": ledger.cap,
    }
    assert (values["score"]["bits_per_byte"], values["score"]["bytes"]) == (score.bits_per_byte, score.bytes)
    assert seen and seen[-1][0] == seen[-1][1] == len(score.sequence_losses)


def test_without_data_nothing_is_scored():
    assert list(passed(verify_artifact(tiny_artifact()))) == [
        "structure",
        "checksums",
        "canonical",
        "decoding",
        "digest",
        "size",
    ]


@pytest.mark.parametrize(("spare", "expected"), [(0, True), (-1, False)])
def test_the_cap(spare, expected, files):
    cap = len(tiny_artifact()) + 18 + spare
    checks = verify_artifact(tiny_artifact(), cap=cap, code_files=[files / "train.py"])
    assert passed(checks)["size"] is expected and all(check.passed for check in checks if check.name != "size")
    assert f"{cap:,}" in checks[-1].detail and ("within" if expected else "1 over") in checks[-1].detail


@pytest.mark.parametrize(
    ("off", "tolerance", "expected"),
    [(0.01, 0.02, True), (-0.01, 0.02, True), (0.01, 0.005, False), (-0.01, 0.005, False)],
)
def test_the_expected_score(off, tolerance, expected, files):
    options = {"data_path": files / "x.bin", "tokenizer_path": files / "x.model", "max_tokens": 64, "threads": 1}
    value = verify_artifact(tiny_artifact(), **options)[-1].values["bits_per_byte"]
    check = verify_artifact(tiny_artifact(), **options, expected_bits_per_byte=value + off, tolerance=tolerance)[-1]
    assert (check.name, check.passed) == ("score", expected)


def test_another_model_has_another_score(files):
    options = {"data_path": files / "x.bin", "tokenizer_path": files / "x.model"}
    value = verify_artifact(tiny_artifact(), **options)[-1].values["bits_per_byte"]
    assert not verify_artifact(tiny_artifact(1), **options, expected_bits_per_byte=value)[-1].passed


def test_every_flipped_byte_fails_or_is_refused():
    data = tiny_artifact()
    for offset in [*range(len(data) - 1, 0, -97), *range(120)]:
        damaged = data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]
        try:
            checks = verify_artifact(damaged)
        except (NotAnArtifact, UnsupportedArtifact, LimitExceeded):
            assert offset < 12
            continue
        assert not all(check.passed for check in checks)
        assert checks[-1].name in {"structure", "checksums"} and checks[-1].values["rule"]


def test_a_changed_weight_fails_the_digest():
    raw = bytearray(content_of(RAW))
    raw[5] ^= 1
    checks = verify_artifact(with_section(RAW, bytes(raw)))
    result = passed(checks)
    assert result == {
        "structure": True,
        "checksums": True,
        "canonical": True,
        "decoding": True,
        "digest": False,
        "size": True,
    }
    assert "R-DIG" in next(check.detail for check in checks if check.name == "digest")


def test_weights_that_do_not_decode_fail_decoding():
    result = passed(verify_artifact(with_section(RAW, content_of(RAW)[:-1])))
    assert result["decoding"] is False and "digest" not in result and result["size"]


def test_a_forged_digest_is_found_out():
    assert passed(verify_artifact(with_section(DIGEST, bytes(32))))["digest"] is False


def test_damage_ends_the_list_before_the_score(files):
    checks = verify_artifact(
        with_section(DIGEST, bytes(32)), data_path=files / "x.bin", tokenizer_path=files / "x.model"
    )
    assert "score" not in passed(checks)


def test_a_broken_program_fails_the_structure():
    checks = verify_artifact(with_section(PROGRAM_SECTION, content_of(PROGRAM_SECTION)[:-1]))
    assert passed(checks) == {"structure": False}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"PK\x03\x04 something else", NotAnArtifact),
        (tiny_artifact()[:8] + b"\x09" + tiny_artifact()[9:], UnsupportedArtifact),
    ],
)
def test_what_is_no_artifact_is_refused(data, error):
    with pytest.raises(error):
        verify_artifact(data)


def test_a_small_limit_is_no_fault_of_the_artifact():
    with pytest.raises(LimitExceeded):
        verify_artifact(tiny_artifact(), limits=Limits(elements=10))


def test_cut_artifacts_fail():
    for size in (11, 50, 130, len(tiny_artifact()) - 1):
        assert not verify_artifact(tiny_artifact()[:size])[-1].passed


def test_bytes_that_are_not_canonical_are_placed():
    """The reader refuses such bytes already, so the comparison is shown a difference by hand."""
    data = tiny_artifact()
    artifact = read_artifact(data)
    assert _check_canonical(data, artifact).passed
    assert "offset 0x0014" in _check_canonical(data[:20] + bytes([data[20] ^ 1]) + data[21:], artifact).detail
    assert f"0x{len(data):04x}" in _check_canonical(data + b"x", artifact).detail


def test_unusable_weights_fail_the_score(files):
    """Weights that decode but overflow in the first product."""
    head = np.full((VOCABULARY, 8), 3e38, np.float32)
    tensors = [
        TensorSource(name, head.shape, "float32", (RawValues(head, "float32"),)) for name in ("embedding", "head")
    ]
    data = assemble_artifact(PROGRAM, tensors)
    checks = verify_artifact(data, data_path=files / "x.bin", tokenizer_path=files / "x.model", threads=1)
    assert not checks[-1].passed and "not finite" in checks[-1].detail


@pytest.mark.parametrize(
    "options", [{"data_path": "x.bin"}, {"tokenizer_path": "x.model"}, {"expected_bits_per_byte": 1.0}]
)
def test_half_of_what_a_score_needs_is_refused(options):
    with pytest.raises(DataError, match="needs both data and their tokenizer"):
        verify_artifact(tiny_artifact(), **options)


@pytest.mark.parametrize("name", ["data_path", "tokenizer_path"])
def test_missing_files_are_the_callers_fault(name, files):
    options = {"data_path": files / "x.bin", "tokenizer_path": files / "x.model"} | {name: files / "missing"}
    with pytest.raises(DataError, match="cannot read"):
        verify_artifact(tiny_artifact(), **options)


def test_the_checksum_is_the_tables_own():
    """A header changed together with its checksum is still refused: by the rule it breaks, not by luck."""
    data = bytearray(tiny_artifact())
    end = 12 + data[10] * 14
    data[13] = 9  # the first section's codec
    data[end : end + 4] = zlib.crc32(bytes(data[:end])).to_bytes(4, "little")
    with pytest.raises(UnsupportedArtifact):
        verify_artifact(bytes(data))
