"""Settings all tests share: reproducible property tests under CI, and one small compiled model a session.

Test processes that run beside each other do their sums on one thread each. Left alone, every one of
them takes all cores for every small product, and most of the time goes into waiting for each other.
"""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:  # read when torch and numpy are loaded, which is later
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# How long an example takes to be drawn says how busy the machine is.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(config, items):
    """Leave the root alone, which is a package: pytest would import it a second time, under the name of the
    checkout's folder, and fail where that is no name (bytecap-main).
    """
    packages = {node for item in items for node in item.listchain() if isinstance(node, pytest.Package)}
    for package in packages:
        if package.path == config.rootpath:
            package.setup = lambda: None


def pytest_sessionfinish():
    """Of a process that has read the fuzzer's modules."""
    if "fixtures" in sys.modules:
        sys.modules["fixtures"].remove_fixtures()


@pytest.fixture(scope="session")
def small_job(tmp_path_factory):
    """Checkpoint, tokenizer, data and the artifact compiled from them by the command line. Read only."""
    from small_job import make_small_job

    return make_small_job(tmp_path_factory.mktemp("small-job"))


@pytest.fixture
def full_factors(monkeypatch):
    """Calibration and walks without rounded factors, for what is held to formulas with more digits than these keep."""
    from bytecap.compiler import tile_products
    from bytecap.compiler.quantize import sequential
    from bytecap.compiler.statistics import calibration

    monkeypatch.setattr(tile_products, "has_tiles", lambda: False)
    for module in (calibration, sequential):
        monkeypatch.setattr(module, "has_half_products", lambda device: False)
