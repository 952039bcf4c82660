"""A model counts once, whatever its file is called; a table beside it counts once, whoever else counts it."""

from __future__ import annotations

import io
import json
import zlib

import numpy as np
import pytest
from submission_folders import write_folder

from bytecap.submissions.judge import judge_folder
from bytecap.submissions.judgement import JudgeOptions

CAP = 1_000_000
HEAD = "import glob, numpy as np\n"


def weights(count, seed=0):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.random.default_rng(seed).integers(0, 255, count, dtype=np.uint8))
    return buffer.getvalue()


def record(script, model_bytes, extra_bytes=0, **files):
    total = model_bytes + len(script) + extra_bytes
    log = f"Serialized model int8+zlib: {model_bytes} bytes\nCode size: {len(script)} bytes\n"
    log += f"Total submission size int8+zlib: {total} bytes\nfinal_int8_zlib_roundtrip_exact val_bpb:1.2000\n"
    told = json.dumps({"author": "a", "val_bpb": 1.2, "bytes_total": total, "bytes_code": len(script)})
    named = {name.replace("__", "."): contents for name, contents in files.items()}
    return {"train_gpt.py": script, "train.log": log, "submission.json": told, "README.md": "# A record\n", **named}


def judged(tmp_path, files):
    return judge_folder(write_folder(tmp_path / "folder", files), JudgeOptions(cap=CAP))


def totals(judgement):
    return next((line.as_counted, line.as_shipped) for line in judgement.ledger if line.name == "total")


MODEL = weights(900_000)
TABLE = b"\x93NUMPY\x01\x00v\x00" + np.random.default_rng(1).bytes(60_000)


@pytest.mark.parametrize(
    ("script", "names", "model"),
    [
        ("np.load('quantized.npz')\n", ["quantized.npz"], MODEL),
        ("open('packed.bin', 'rb').read()\n", ["packed.bin"], b"\1" + np.random.default_rng(2).bytes(900_000)),
        ("for p in sorted(glob.glob('seed*.npz')):\n    np.load(p)\n", ["seed1.npz", "seed2.npz", "seed3.npz"], MODEL),
    ],
)
def test_a_model_of_any_name_counts_once(script, names, model, tmp_path):
    script = HEAD + script
    judgement = judged(tmp_path, record(script, len(model), **{name.replace(".", "__"): model for name in names}))
    assert judgement.verdict == "pass"
    assert totals(judgement) == (len(model) + len(script), len(model) + len(script))


def test_weights_without_a_log_are_the_model(tmp_path):
    script = HEAD + "np.load('state.npz')\n"
    judgement = judged(tmp_path, {"train_gpt.py": script, "state.npz": MODEL, "README.md": "# Non-record\n"})
    assert (judgement.verdict, totals(judgement)) == ("pass", (None, len(MODEL) + len(script)))


@pytest.mark.parametrize(("bytes_", "verdict"), [(30_000, "pass"), (120_000, "fail")])
def test_a_table_beside_the_model_counts_too(bytes_, verdict, tmp_path):
    script, table = HEAD + "np.load('state.npz'), np.load('table.npz')\n", weights(bytes_, 3)
    judgement = judged(tmp_path, record(script, len(MODEL), state__npz=MODEL, table__npz=table))
    assert (judgement.verdict, totals(judgement)[1]) == (verdict, len(MODEL) + len(table) + len(script))
    assert "size-code-incomplete" not in {finding.rule for finding in judgement.findings}


def test_a_table_that_the_log_counts_is_not_counted_twice(tmp_path):
    script = HEAD + "np.load('model.npz'), np.load('table.npy')\n"
    files = record(script, len(MODEL), len(TABLE), model__npz=MODEL, table__npy=TABLE)
    judgement = judged(tmp_path, files)
    total = len(MODEL) + len(TABLE) + len(script)
    assert total < CAP < total + len(TABLE)
    assert (judgement.verdict, totals(judgement)) == ("pass", (total, total))


def test_two_models_that_are_read_are_told_together(tmp_path):
    script = HEAD + "np.load('a.npz'), np.load('b.npz')\n"
    judgement = judged(tmp_path, record(script, len(MODEL), a__npz=MODEL, b__npz=MODEL[:-1] + zlib.compress(b"")[:1]))
    texts = [finding.text for finding in judgement.findings if finding.rule == "blob-total"]
    assert any(text.startswith("of 2 models in the folder one is counted; together with") for text in texts)
