"""Submission folders: judged whole by findings of declared rules and levels, which print as visible text."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from folder_mutations import mutate_folder
from fuzz_frame import Answer, Mutation, Seed, Target
from fuzz_invariants import Broken, check_visible, reset_peak

from bytecap.cli.verify_folder_report import print_judgement
from bytecap.submissions.judge_server import judged_apart
from bytecap.submissions.judgement import JudgeOptions, judgement_from_document
from bytecap.submissions.rules import RULES

OPTIONS = JudgeOptions()
SECONDS, PEAK_BYTES = 10.0, 1 << 30  # what the judge allows itself, in a process of its own


def _judge(path: Path) -> Answer:
    shared = reset_peak()  # a fork begins with the memory of this process
    document = judged_apart(path, OPTIONS)
    check_document(document)
    rules = sorted({finding["rule"] for finding in document["findings"]})
    return Answer(f"{document['verdict']} {rules}", document["cpu_seconds"], document["peak_bytes"] - shared)


def check_document(document: dict[str, Any]) -> None:
    """Broken for a judgement that is not whole, not declared, or not to be seen."""
    for finding in document["findings"]:
        rule, level = finding["rule"], finding["level"]
        if rule.startswith("judge-"):
            raise Broken(f"not judged whole: {finding['text']} {finding['values']}", f"not judged whole: {rule}")
        if rule not in RULES or level not in {each.value for each in RULES[rule].levels}:
            raise Broken(f"an undeclared finding: {rule} {level}")
    if not document["complete"]:
        raise Broken("not judged whole, and no finding says why")
    json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_judgement(judgement_from_document(document, Path(document["folder"]), OPTIONS))
    check_visible(out.getvalue(), "a judgement")


def _draw(seeds: Sequence[Seed], rng: random.Random) -> Mutation:
    return mutate_folder(rng)


FOLDER = Target(
    "folder", lambda: [], _judge, _draw, errors=(), seconds=SECONDS, peak_bytes=PEAK_BYTES, mutations=20_000, short=6
)
