"""The smallest artifact: of long streams of zeros the beginning tells the size of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import ARCHITECTURE, CALM, golf_model

from bytecap.compiler.job import CompileJob
from bytecap.compiler.outlook import _no_statistics
from bytecap.compiler.profiles import profile_codec
from bytecap.compiler.rate_control import artifacts
from bytecap.compiler.recipe import parse_recipe


@pytest.mark.parametrize(("profile", "encoded"), [("max", 2), ("default", 2), ("fast", 0)])
def test_long_streams_of_zeros_are_not_encoded_to_their_end(monkeypatch, profile, encoded) -> None:
    model = golf_model(1, **ARCHITECTURE | {"vocab_size": 8192, "model_dim": 256})
    nothing = np.empty((0, 16), np.int64)
    statistics = _no_statistics(model)
    job = CompileJob(
        model, statistics, nothing.ravel(), nothing, parse_recipe("x", {}), {}, codec=profile_codec(profile), **CALM
    )
    exact = artifacts.smallest_draft(job).size
    assert artifacts.smallest_draft(job, reckoned=True).size == exact  # streams are short
    told: list[int] = []
    encode = artifacts.encode_grid_stream
    monkeypatch.setattr(
        artifacts,
        "encode_grid_stream",
        lambda members, codec: told.append(sum(m.codes.size for m in members)) or encode(members, codec),
    )
    monkeypatch.setattr(artifacts, "TOLD_ZEROS", 1 << 16)
    assert artifacts.smallest_draft(job, reckoned=True).size == pytest.approx(exact, rel=0.01)
    assert told[:2] == [1 << 16, 1 << 17][:encoded] and sum(told) < job.weights / 2
