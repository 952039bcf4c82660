"""The experiments that put the project's founding theses to the test, one file a thesis, in one registry."""

from .byte_allocation import experiment as byte_allocation  # noqa: F401 - registers the experiments
from .findings import Chart, Estimate, Findings, Observation, Table, verdict_of
from .head_bottleneck import experiment as head_bottleneck  # noqa: F401 - registers the experiments
from .head_to_depth import experiment as head_to_depth  # noqa: F401 - registers the experiments
from .registry import EXPERIMENTS, Experiment, Inputs, register_experiment
from .row_rescue import experiment as row_rescue  # noqa: F401 - registers the experiments
from .vq_head import experiment as vq_head  # noqa: F401 - registers the experiments

__all__ = [
    "EXPERIMENTS", "Chart", "Estimate", "Experiment", "Findings", "Inputs", "Observation", "Table", "register_experiment", "verdict_of",
]  # fmt: skip
