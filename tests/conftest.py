"""Settings all tests share: reproducible property tests under CI, and one small compiled model a session."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def small_job(tmp_path_factory):
    """Checkpoint, tokenizer, data and the artifact compiled from them by the command line. Read only."""
    from small_job import make_small_job

    return make_small_job(tmp_path_factory.mktemp("small-job"))
