"""The peers that this folder holds ours against are really there: `make test-peers` installs them."""

from __future__ import annotations

import transformers


def test_transformers_is_the_version_that_golden_logits_were_made_with():
    assert tuple(map(int, transformers.__version__.split(".")[:2])) >= (4, 57)
