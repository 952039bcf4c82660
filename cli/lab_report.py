"""What `bytecap lab` prints: the experiments there are; of one that was run, its thesis, findings and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..lab.experiments.registry import Experiment
    from ..lab.experiments.running import ExperimentRun

Data = Mapping[str, Any]


def experiments_document(experiments: Sequence[Experiment]) -> dict[str, Any]:
    return {
        "experiments": [
            {"name": e.name, "thesis": e.thesis, "supports": list(e.supports), "falsifies": list(e.falsifies)}
            for e in experiments
        ]
    }


def print_experiments(experiments: Sequence[Experiment]) -> None:
    """A name and its thesis, then what would support or falsify it, a line each."""
    for experiment in experiments:
        print_text(f"{experiment.name}: {experiment.thesis}", 2)
        for title, lines in (("supports", experiment.supports), ("falsifies", experiment.falsifies)):
            for line in lines:
                print_text(f"  {title:<9}  {line}", 13)


def run_document(run: ExperimentRun) -> dict[str, Any]:
    """Everything about a run as JSON values."""
    from ..lab.experiments.running import document_of

    return document_of(run)


def print_run(document: Data) -> None:
    """The thesis, a line an observation, the verdict."""
    print_text(f"{document['experiment']}: {document['thesis']}", 2)
    click.echo()
    for observation in document["observations"]:
        weight = "" if observation["decisive"] else " (beside)"
        print_field(observation["outcome"], f"{observation['question']}{weight}  {observation['answer']}", 11)
    decisive = [o for o in document["observations"] if o["decisive"]]
    counts = ", ".join(
        f"{sum(o['outcome'] == kind for o in decisive)} {kind}" for kind in ("supports", "falsifies", "undecided")
    )
    click.echo()
    print_field("verdict", f"{document['verdict']} ({counts})", 11)
