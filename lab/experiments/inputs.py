"""What an experiment is run on.

Strategy: one record holds what any experiment may need, so that the command and the tests start each alike;
an experiment asks for the inputs that it cannot do without, and takes options of its own by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...compiler.checkpoints.selection import Selection
from ...errors import DataError
from ...progress import Progress, silent

MEASURED = ("checkpoint", "calibration", "evaluation")  # what artifacts are measured with


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an experiment is run on.

    checkpoint, architecture : files of the model under test
    weights, ignore, rename : which set of weights of it is read, names that are left out, and others that are changed
    calibration, evaluation : shards or UTF-8 text, which may not overlap
    folder : where finished parts are kept, so that a run that was stopped goes on
    tokenizer : needed for text that comes without one in or beside the checkpoint; without any, scores are in bits a
        token
    training : UTF-8 text that models are trained on
    minutes : time that all trainings together may take
    tokens : evaluation tokens at most
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
    weights: str | None = None
    ignore: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()
    options: Mapping[str, object] | None = None
    progress: Progress = silent

    @property
    def selection(self) -> Selection:
        """Which tensors of the checkpoint are read."""
        return Selection(self.weights, self.ignore, self.rename)

    def require(self, experiment: str, *names: str) -> None:
        """DataError naming the options of those inputs (fields of this record) that were not given."""
        missing = [f"--{name}" for name in names if getattr(self, name) is None]
        if missing:
            raise DataError(f"the experiment {experiment} needs {' and '.join(missing)}")

    def chosen(self, **defaults: object) -> dict[str, object]:
        """The experiment's own options over these defaults, lists as tuples.

        DataError for an option that it does not have.
        """
        given = {
            name: tuple(value) if isinstance(value, list) else value for name, value in (self.options or {}).items()
        }
        unknown = sorted(set(given) - set(defaults))
        if unknown:
            raise DataError(f"there is no option {unknown[0]!r} of this experiment; there are {', '.join(defaults)}")
        return defaults | given
