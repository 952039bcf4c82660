"""Folders whose declaration, logs and code agree, and what happens when one of them does not."""

from __future__ import annotations

import json

from submission_folders import Example

SCRIPT = (
    "import os\nimport sys\nfrom math import log\n\n\ndef train():\n    return 1\n\n\ndef score():\n    return 2\n"
    + "".join(f"x{number} = {number}\n" for number in range(20))
)
MODEL = 15_000_000
README = "# A run\n"
NO_RECORD = "# A non-record run\n"


def log(
    *,
    model: int = MODEL,
    code: int = len(SCRIPT),
    score: str | None = "1.22436570",
    seed: int = 1337,
    source: str = SCRIPT,
    training: int = 599_000,
    evaluation: int = 1_400,
) -> str:
    """The log of one run, in the form that the challenge's baseline script writes."""
    lines = [
        source + "=" * 100,
        f"seed:{seed}",
        "step:100/200 val_loss:2.0606 val_bpb:1.2172 train_time:300000ms step_avg:43.54ms",
        f"stopping_early: wallclock_cap train_time:{training}ms step:200/20000",
        "Serialized model: 67224983 bytes",
        f"Code size: {code} bytes",
        f"Total submission size: {67_224_983 + code} bytes",
        f"Serialized model int8+zlib: {model} bytes (payload:17178912 raw_torch:17224025 payload_ratio:3.91x)",
        f"Total submission size int8+zlib: {model + code} bytes",
    ]
    if score is not None:
        lines += [
            f"final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:{float(score):.4f} eval_time:{evaluation}ms",
            f"final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:{score}",
        ]
    return "\n".join(lines) + "\n"


def declaration(**changes: object) -> str:
    """A submission.json that agrees with `log()`; None as a value leaves a key out."""
    told = {
        "author": "A",
        "github_id": "a",
        "name": "a run",
        "val_bpb": 1.2243657,
        "bytes_total": MODEL + len(SCRIPT),
        "bytes_code": len(SCRIPT),
    }
    told.update(changes)
    return json.dumps({key: value for key, value in told.items() if value is not None})


def folder(**files: str | bytes | None) -> dict[str, str | bytes]:
    """A good folder with some files changed, added, or left out; "__" stands for "." in a name."""
    good: dict[str, str | bytes | None] = {
        "README.md": README,
        "submission.json": declaration(),
        "train.log": log(),
        "train_gpt.py": SCRIPT,
    }
    good.update({name.replace("__", "."): contents for name, contents in files.items()})
    return {name: contents for name, contents in good.items() if contents is not None}


SIDE_FILE = bytes(range(256)) * 100
LONG_SCRIPT = SCRIPT + "y = 1\n" * 40_000

JSON_EXAMPLES = (
    Example(
        "no-json",
        {"json-absent": "fail", "size-not-declared": "warning", "score-not-declared": "warning"},
        folder(submission__json=None),
    ),
    Example("no-json-no-record", {"json-absent": "warning"}, folder(submission__json=None, README__md=NO_RECORD)),
    Example(
        "json-named",
        {"json-other-name": "information"},
        folder(submission__json=None, submission_ternary__json=declaration()),
    ),
    Example("json-comma", {"json-invalid": "fail"}, folder(submission__json='{"author": "A",\n"val_bpb": 1.2,\n}')),
    Example("json-deep", {"json-invalid": "fail"}, folder(submission__json="[" * 100_000)),
    Example("json-list", {"json-invalid": "fail"}, folder(submission__json="[1, 2]")),
    Example(
        "json-bom",
        {"json-byte-order-mark": "warning"},
        folder(submission__json="\ufeff" + declaration()),
    ),
    Example(
        "json-twice",
        {"json-repeated-key": "warning"},
        folder(submission__json=declaration()[:-1] + ', "val_bpb": 1.2243657}'),
    ),
    Example(
        "json-long-number",
        {"json-odd-number": "warning"},
        folder(submission__json=declaration()[:-1] + f', "steps": {"9" * 10_000}, "x": NaN, "y": 1e999}}'),
    ),
    Example(
        "json-pending",
        {"json-text-number": "finding", "size-not-declared": "warning"},
        folder(submission__json=declaration(bytes_total="pending")),
    ),
    Example(
        "json-nobody", {"json-author": "finding"}, folder(submission__json=declaration(author=None, github_id=None))
    ),
)
SIZE_EXAMPLES = (
    Example(
        "good",
        {
            "size-declared": "pass",
            "size-code-field": "pass",
            "bytes-as-counted": "pass",
            "bytes-as-shipped": "pass",
            "score-declared": "pass",
            "log-script": "pass",
            "score-recomputed": "skipped",
        },
        folder(),
    ),
    Example(
        "declared-over",
        {
            "size-declared-over-cap": "fail",
            "bytes-logged-over-cap": "fail",
            "bytes-as-counted": "information",
            "bytes-as-shipped": "fail",
            "size-mebibytes": "warning",
        },
        folder(submission__json=declaration(bytes_total=16_500_000 + len(SCRIPT)), train__log=log(model=16_500_000)),
    ),
    Example("unexplained", {"size-unexplained": "fail"}, folder(submission__json=declaration(bytes_total=14_800_123))),
    Example("too-much", {"size-unexplained": "finding"}, folder(submission__json=declaration(bytes_total=15_800_123))),
    Example(
        "nothing-logged",
        {
            "size-unlogged": "skipped",
            "score-unlogged": "skipped",
            "log-absent": "finding",
            "bytes-as-counted": "skipped",
            "bytes-as-shipped": "skipped",
        },
        folder(train__log=None),
    ),
    Example(
        "nothing-but-claims",
        {"size-unlogged": "fail", "score-unlogged": "fail"},
        folder(train__log=None, train_gpt__py=""),
    ),
    Example("model-only", {"size-model-only": "finding"}, folder(submission__json=declaration(bytes_total=MODEL))),
    Example(
        "code-incomplete",
        {"size-code-incomplete": "fail"},
        folder(
            train_gpt__py="import parts\n" + SCRIPT,
            parts__py="x = 1\n",
            submission__json=declaration(bytes_code=len(SCRIPT) + 13),
        ),
    ),
    Example("code-wrong", {"size-code-field": "finding"}, folder(submission__json=declaration(bytes_code=12_345))),
    Example(
        "model-field", {"size-model-field": "pass"}, folder(submission__json=declaration(bytes_model_int8_zlib=MODEL))
    ),
    Example(
        "model-field-wrong",
        {"size-model-field": "finding"},
        folder(submission__json=declaration(bytes_model_int8_zlib=MODEL - 500)),
    ),
    Example("one-log-over", {"bytes-logged-over-cap": "warning"}, folder(train_2__log=log(model=16_100_000, seed=2))),
    Example(
        "raw-script",
        {"bytes-as-shipped": "finding"},
        folder(
            train_gpt__py=LONG_SCRIPT,
            submission__json=declaration(bytes_total=15_900_500, bytes_code=500),
            train__log=log(model=15_900_000, code=500, source=LONG_SCRIPT),
        ),
    ),
)
SIDE_EXAMPLES = (
    Example(
        "side-file",
        {"bytes-side-file": "finding", "bytes-as-shipped": "pass"},
        folder(
            table__bin=SIDE_FILE,
            submission__json=declaration(bytes_total=MODEL + len(SCRIPT) + len(SIDE_FILE)),
            train__log=log().replace(
                f"int8+zlib: {MODEL + len(SCRIPT)} bytes", f"int8+zlib: {MODEL + len(SCRIPT) + len(SIDE_FILE)} bytes"
            ),
        ),
    ),
)
CAP_EXAMPLES = (
    Example(
        "binary-cap",
        {"size-mebibytes": "warning"},
        folder(train_gpt__py=SCRIPT + "LIMIT_BYTES = 16 * 1024 * 1024\n"),
    ),
)
SCORE_EXAMPLES = (
    Example("score-near", {"score-near": "warning"}, folder(submission__json=declaration(val_bpb=1.22466))),
    Example("score-early", {"score-unquantized": "finding"}, folder(submission__json=declaration(val_bpb=1.2172))),
    Example("score-invented", {"score-unmatched": "fail"}, folder(submission__json=declaration(val_bpb=1.15015359))),
    Example(
        "score-of-three",
        {"score-unmatched": "finding", "log-missing-seeds": "finding"},
        folder(submission__json=declaration(val_bpb=1.2262, n_seeds=3)),
    ),
)
LOG_EXAMPLES = (
    Example("chatty", {"log-too-long": "warning"}, folder(train__log=log() + f"code{'.' * 1_900}\n" * 2_300)),
    Example(
        "other-script",
        {"log-other-script": "finding", "log-code-size": "finding"},
        folder(train_gpt__py=SCRIPT + "late = 1\n"),
    ),
    Example(
        "slow",
        {"time-training": "warning", "time-evaluation": "warning"},
        folder(train__log=log(training=650_000, evaluation=700_000)),
    ),
    Example(
        "slow-no-record",
        {"time-training": "information", "time-evaluation": "information"},
        folder(train__log=log(training=650_000, evaluation=700_000), README__md=NO_RECORD),
    ),
)
EXAMPLES = (*JSON_EXAMPLES, *SIZE_EXAMPLES, *SIDE_EXAMPLES, *CAP_EXAMPLES, *SCORE_EXAMPLES, *LOG_EXAMPLES)
