"""Folders with binary files: weights in the forms that submissions have, and what is none."""

from __future__ import annotations

import io
import lzma
import pickle
import struct
import zlib

import numpy as np
import torch
from source_tree import ROOT
from submission_folders import Example
from submission_folders_claims import SCRIPT, declaration, folder, log

from bytecap.submissions.judgement import JudgeOptions


def saved(value: object, **options: object) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def int8_state(columns: int = 4) -> dict[str, object]:
    """The challenge's quantized dictionary at toy size: three rows of codes, 3 scales, 4 numbers passed through."""
    codes = np.random.default_rng(0).integers(-127, 128, (3, columns), np.int8)
    return {
        "__quant_format__": "int8_clean_per_row_v1",
        "quantized": {"a.weight": torch.from_numpy(codes)},
        "scales": {"a.weight": torch.ones(3, dtype=torch.float16)},
        "dtypes": {"a.weight": "bfloat16"},
        "passthrough": {"b": torch.ones(4, dtype=torch.float16)},
    }


def record_state() -> dict[str, object]:
    """A later record's tables: integers and scales, one matrix with a low-rank correction."""
    weights = {
        "a.q": torch.ones(3, 4, dtype=torch.int8),
        "a.scale": torch.ones(3),
        "a.lqA": torch.ones(3, 1, dtype=torch.int8),
        "a.lqAs": torch.ones(1),
        "a.lqB": torch.ones(1, 4, dtype=torch.int8),
        "a.lqBs": torch.ones(1),
        "b": torch.ones(4),
    }
    return {"w": weights, "m": {"a": "gptq (int6)+lqer", "b": "passthrough (float16)"}}


class Evil:
    """A pickle that would call os.system when it is loaded."""

    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/bytecap-was-executed",)


WEIGHTS = zlib.compress(saved(int8_state(10_000)))
SHARD = struct.pack("<3i", 20240520, 1, 100).ljust(1024, b"\0") + bytes(200)
PREFIX = lzma.compress(np.random.default_rng(0).integers(0, 1024, 4000, np.uint16).tobytes())

ARTIFACT = (ROOT / "spec" / "vectors" / "good-program-tied.bcap").read_bytes()


def packed_folder(**changes: str | bytes | None) -> dict[str, str | bytes]:
    """A folder with an artifact and what its bytes and those of the script make together, and no log."""
    told = declaration(bytes_total=len(ARTIFACT) + len(SCRIPT))
    return folder(**{"train__log": None, "model__bcap": ARTIFACT, "submission__json": told, **changes})


EXAMPLES = (
    Example("artifact", {"blob-artifact": "pass", "blob-total": "pass"}, packed_folder()),
    Example("artifact-damaged", {"blob-artifact": "fail"}, packed_folder(model__bcap=ARTIFACT[:-3])),
    Example(
        "artifact-and-another-total",
        {"blob-total": "finding"},
        packed_folder(submission__json=declaration(bytes_total=len(ARTIFACT) + len(SCRIPT) + 1)),
    ),
    Example(
        "artifact-over-cap",
        {"blob-total": "fail"},
        packed_folder(),
        options={"options": JudgeOptions(cap=len(ARTIFACT))},
    ),
    Example(
        "weights-as-logged",
        {"blob-weights": "information", "blob-model-size": "pass"},
        folder(
            final_model__int8__ptz=WEIGHTS,
            train__log=log(model=len(WEIGHTS)),
            submission__json=declaration(bytes_total=len(WEIGHTS) + len(SCRIPT)),
        ),
    ),
    Example(
        "weights-of-another-run",
        {"blob-model-size": "finding"},
        folder(final_model__int8__ptz=WEIGHTS, train__log=log(model=len(WEIGHTS) + 1000)),
    ),
    Example("weights-cut", {"blob-damaged": "warning"}, folder(final_model__int8__ptz=WEIGHTS[:-20])),
    Example("weights-that-import", {"blob-pickle-names": "finding"}, folder(model__pkl=pickle.dumps({"w": Evil()}, 2))),
    Example(
        "paid-prefix",
        {"blob-data": "finding"},
        folder(prefix__xz=PREFIX, train_gpt__py=SCRIPT + "prefix = open('prefix.xz', 'rb').read()\n"),
    ),
    Example("data-of-nobody", {"blob-data": "information"}, folder(notes__dat=SHARD)),
    Example(
        "tokenizer-that-carries",
        {"tokenizer-beside": "finding"},
        folder(tokenizer__json='{"model": {"vocab": {"a": 0}, "merges": []}, "comment": "' + "text " * 999 + '"}'),
    ),
    Example(
        "tokenizer-by-name",
        {"tokenizer-beside": "warning"},
        folder(tokenizer__txt="text " * 999, train_gpt__py=SCRIPT + "open('tokenizer.txt').read()\n"),
    ),
    Example("library", {"blob-program": "finding"}, folder(fast__so=b"\x7fELF" + bytes(100))),
)
