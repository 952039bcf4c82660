"""All rules that a folder is judged by, section by section: the tables of docs/submissions.md.

To add a section: its module has `RULES`; name it here, call its function in `judge.py`, give each rule an
example folder in tests/support, and put a block `submission-rules: NAME` on the page.
"""

from __future__ import annotations

from ..format.registry import keyed, paired
from . import (
    blob_models,
    blob_text,
    blob_tokenizers,
    blobs,
    byte_rows,
    code_findings,
    declaration,
    folder_findings,
    judge,
    run_logs,
    scores,
    sizes,
)
from .findings import Rule

SECTIONS: dict[str, tuple[Rule, ...]] = paired(
    (
        ("folder", folder_findings.RULES),
        ("code", code_findings.RULES),
        ("declaration", declaration.RULES),
        ("sizes", sizes.RULES),
        ("bytes", byte_rows.RULES),
        ("scores", scores.RULES),
        ("logs", run_logs.RULES),
        ("blobs", (*blobs.RULES, *blob_models.RULES, *blob_text.RULES, *blob_tokenizers.RULES)),
        ("judge", judge.RULES),
    )
)
RULES: dict[str, Rule] = keyed((rule for rules in SECTIONS.values() for rule in rules), "id")
