"""Compiling several checkpoints, or to several caps, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
    recipe: PathLike = "default",
    effort: int = 5,
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
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
    from ..compiler.refusals import refuse_compile, refuse_inputs

    caps = [size_in_bytes(each) for each in ([cap] if isinstance(cap, int | str) else cap)]
    scripts, texts = [Path(path) for path in code], [Path(path) for path in paths_of(evaluation)]
    refuse_compile(caps, scripts, [], force, recipe=recipe if isinstance(recipe, str) else Path(recipe), effort=effort)
    paths = [Path(path) for path in paths_of(checkpoints)]
    for path in paths:
        refuse_inputs(path, [Path(calibration), *texts], optional_path(tokenizer), optional_path(architecture))
    from ..compiler.fit import fit_checkpoints
    from ..compiler.options import CompileOptions

    options = CompileOptions(
        Path(calibration),
        optional_path(tokenizer),
        scripts,
        texts,
        evaluation_tokens,
        optional_path(architecture),
        selection_of(weights, ignore),
        recipe if isinstance(recipe, str) else Path(recipe),
        *(effort, profile, device, seed, threads),
        work=optional_path(work),
        keep_work=keep_work,
    )
    with heard(progress) as listener:
        return fit_checkpoints(paths, caps, Path(output), options, force=force, progress=listener)
