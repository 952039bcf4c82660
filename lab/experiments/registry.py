"""The experiments there are, in the order in which they are listed.

Strategy: an experiment is a class with a thesis, the observations that would support or falsify it (written down before
any figure was known) and one method that measures, which imports what it measures with. Adding one takes its folder, a
line of EXPERIMENTS and a line of the command's list of names (cli/lab_command.py), which a test compares with this one.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from ...format.registry import keyed
from .byte_allocation.experiment import ByteAllocation
from .findings import Findings
from .head_bottleneck.experiment import HeadBottleneck
from .head_to_depth.experiment import HeadToDepth
from .inputs import Inputs
from .row_rescue.experiment import RowRescue
from .vq_head.experiment import VqHead


class Experiment(Protocol):
    """One thesis and its test; the name is kebab-case."""

    name: ClassVar[str]
    thesis: ClassVar[str]
    supports: ClassVar[tuple[str, ...]]
    falsifies: ClassVar[tuple[str, ...]]

    def run(self, inputs: Inputs) -> Findings:
        """Measure. Raises DataError naming an input that this experiment needs and did not get."""


EXPERIMENTS: dict[str, Experiment] = keyed(
    (ByteAllocation(), HeadBottleneck(), HeadToDepth(), RowRescue(), VqHead()), "name"
)
