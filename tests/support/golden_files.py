"""Expected output kept in files under tests/golden/.

After a wanted change, rewrite them with `BYTECAP_REWRITE_GOLDEN=1 python -m pytest tests` and read the difference
before committing it; such a run fails, so that it is never taken for a passing one.
"""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
REWRITE = "BYTECAP_REWRITE_GOLDEN"


def assert_golden(name: str, text: str) -> None:
    """Compare `text` with the file `name` under tests/golden/."""
    path = GOLDEN / name
    if os.environ.get(REWRITE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        raise AssertionError(f"rewrote {path}; run again without {REWRITE}")
    assert text == path.read_text(encoding="utf-8")
