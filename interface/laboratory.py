"""The experiments that put the project's founding theses to the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import silent
from .arguments import PathLike, optional_path, selection_of
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..lab.experiments.registry import Experiment
    from ..lab.experiments.running import ExperimentRun


def experiments() -> list[Experiment]:
    """Every experiment with its thesis, and what would support or falsify it, in the order of the registry."""
    from ..lab.experiments.registry import EXPERIMENTS

    return list(EXPERIMENTS.values())


@deliberate
def run_experiment(
    name: str,
    *,
    checkpoint: PathLike | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    calibration: PathLike | None = None,
    evaluation: PathLike | None = None,
    tokenizer: PathLike | None = None,
    training: PathLike | None = None,
    minutes: float = 10.0,
    tokens: int = 65_536,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    folder: PathLike = "bytecap-lab",
    options: Mapping[str, object] | None = None,
    progress: ProgressOption = None,
) -> ExperimentRun:
    """Run an experiment: its observations, tables, charts and the verdict that follows from them
    (`ExperimentRun.verdict`).

    Which of the inputs are needed depends on the experiment; a missing one is refused by name.
    Finished parts are kept in `folder`, so that a run that was stopped goes on; `options` are the
    experiment's own. Threads do not change the result.

    Raises CheckpointError, DataError, CompileError or OutputError.
    """
    from ..compiler.refusals import refuse_inputs
    from ..lab.experiments.inputs import Inputs
    from ..lab.experiments.running import run_experiment as run

    selection = selection_of(weights, ignore, rename)
    inputs = Inputs(
        checkpoint=optional_path(checkpoint),
        calibration=optional_path(calibration),
        evaluation=optional_path(evaluation),
        folder=Path(folder),
        tokenizer=optional_path(tokenizer),
        architecture=optional_path(architecture),
        weights=weights,
        ignore=selection.ignore,
        rename=selection.rename,
        training=optional_path(training),
        minutes=minutes,
        tokens=tokens,
        seed=seed,
        device=device,
        threads=threads,
        options=options,
    )
    texts = [path for path in (inputs.calibration, inputs.evaluation) if path is not None]
    refuse_inputs(inputs.checkpoint, texts, inputs.tokenizer, inputs.architecture)
    with heard(progress) as listener:
        return run(name, replace(inputs, progress=listener or silent))
