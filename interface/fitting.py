"""Compiling several checkpoints, or to several caps, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.common_baseline import pin_instructions
from ..errors import DataError
from .arguments import PathLike, optional_path, paths_of, selection_of, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..compiler.fitted import Fit


@deliberate
def fit(
    checkpoints: PathLike | Sequence[PathLike],
    *,
    cap: int | str | Sequence[int | str],
    calibration: PathLike,
    output: PathLike,
    tokenizer: PathLike | None = None,
    code: Sequence[PathLike] = (),
    evaluation: PathLike | Sequence[PathLike] = (),
    evaluation_tokens: int | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    recipe: PathLike = "default",
    effort: int = 5,
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    reproducible: bool = False,
    work: PathLike | None = None,
    keep_work: bool = False,
    force: bool = False,
    progress: ProgressOption = None,
) -> Fit:
    """Compile each checkpoint, such as the seeds of one recipe, to an artifact under each cap, into a folder.

    cap       one, or several: each checkpoint is measured once and landed on each
    output    NAME.bcap of each checkpoint, with several caps NAME-BYTES.bcap, and fit.json, by which a run that is
              repeated keeps what is finished and was made of the same files and options
    force     replace artifacts that were made of something else
    The others are those of `compile`. Artifacts have the bytes that `compile` gives.
    A cap that a checkpoint cannot meet is said in its record, and the others are made. Else raises as `compile` does.
    """
    caps = [size_in_bytes(each) for each in ([cap] if isinstance(cap, int | str) else cap)]
    scripts, texts = [Path(path) for path in code], [Path(path) for path in paths_of(evaluation)]
    paths, named = [Path(path) for path in paths_of(checkpoints)], recipe if isinstance(recipe, str) else Path(recipe)
    if reproducible:
        pin_instructions()
    _refuse_options(caps, scripts, force, named, effort, profile)
    _refuse(paths, [Path(calibration), *texts], optional_path(tokenizer), optional_path(architecture))
    from ..compiler.fit import fit_checkpoints
    from ..compiler.options import CompileOptions

    options = CompileOptions(
        Path(calibration),
        optional_path(tokenizer),
        scripts,
        texts,
        evaluation_tokens,
        optional_path(architecture),
        selection_of(weights, ignore, rename),
        *(named, effort, profile, device, seed, threads),
        work=optional_path(work),
        keep_work=keep_work,
        reproducible=reproducible,
    )
    with heard(progress) as listener:
        return fit_checkpoints(paths, caps, Path(output), options, force=force, progress=listener)


def _refuse_options(
    caps: list[int], scripts: list[Path], force: bool, recipe: str | Path, effort: int, profile: str
) -> None:
    from ..compiler.refusals import refuse_compile

    if not caps:
        raise DataError("no cap is given; name one or several")
    refuse_compile(caps, scripts, [], force, recipe=recipe, effort=effort, profile=profile)


def _refuse(checkpoints: list[Path], data: list[Path], tokenizer: Path | None, architecture: Path | None) -> None:
    """What needs no torch to be refused, before it is loaded."""
    from ..compiler.refusals import refuse_inputs

    if not checkpoints:
        raise DataError("no checkpoint is given; name one or several")
    for path in checkpoints:
        refuse_inputs(path, data, tokenizer, architecture)
