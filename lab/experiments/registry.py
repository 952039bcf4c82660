"""The registry of experiments: what each is called, what it claims, and what it is run on.

Strategy: an experiment is a class with a thesis, the observations that would support or falsify it written down before any figure is
known, and one method that measures. What all of them need comes in one record, so that the command and the tests start each alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from ...errors import DataError
from ...progress import Progress, silent
from .findings import Findings


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an experiment is run on.

    checkpoint, architecture : of the model under test; calibration, evaluation : shards or UTF-8 text, which may not overlap
    tokenizer : sentencepiece model, needed for text and for bytes; training : UTF-8 text that models are trained on
    folder : where finished parts are kept, so that a run that was stopped goes on; minutes : time that trainings may take in all
    options : what only this experiment knows, by name
    """

    checkpoint: Path | None
    calibration: Path | None
    evaluation: Path | None
    folder: Path
    tokenizer: Path | None = None
    architecture: Path | None = None
    training: Path | None = None
    minutes: float = 10.0
    tokens: int = 65_536
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    options: Mapping[str, object] | None = None
    progress: Progress = silent

    def require(self, experiment: str, *names: str) -> None:
        """DataError naming the options of those inputs (fields of this record) that were not given."""
        missing = [f"--{name}" for name in names if getattr(self, name) is None]
        if missing:
            raise DataError(f"the experiment {experiment} needs {' and '.join(missing)}")

    def chosen(self, **defaults: object) -> dict[str, object]:
        """The experiment's own options over these defaults, lists as tuples; DataError for one that it does not have."""
        given = {
            name: tuple(value) if isinstance(value, list) else value for name, value in (self.options or {}).items()
        }
        unknown = sorted(set(given) - set(defaults))
        if unknown:
            raise DataError(f"there is no option {unknown[0]!r} of this experiment; there are {', '.join(defaults)}")
        return defaults | given


class Experiment(Protocol):
    """One thesis and its test; the name is kebab-case."""

    name: ClassVar[str]
    thesis: ClassVar[str]
    supports: ClassVar[tuple[str, ...]]
    falsifies: ClassVar[tuple[str, ...]]

    def run(self, inputs: Inputs) -> Findings:
        """Measure. Raises DataError naming an input that this experiment needs and did not get."""


EXPERIMENTS: dict[str, Experiment] = {}


def register_experiment(experiment: type) -> type:
    """Class decorator: add an experiment under its name; a duplicate is refused."""
    if experiment.name in EXPERIMENTS:
        raise ValueError(f"experiment {experiment.name!r} is registered twice")
    EXPERIMENTS[experiment.name] = experiment()
    return experiment
