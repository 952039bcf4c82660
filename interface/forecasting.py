"""What a compile will come to and cost, in seconds and without compiling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import silent
from .arguments import PathLike, optional_path, selection_of, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..compiler.outlook import Outlook


@deliberate
def forecast(
    checkpoint: PathLike,
    *,
    cap: int | str,
    calibration: PathLike,
    tokenizer: PathLike | None = None,
    code: Sequence[PathLike] = (),
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    recipe: PathLike = "default",
    effort: int = 5,
    profile: str = "default",
    device: str = "cpu",
    threads: int | None = None,
    progress: ProgressOption = None,
) -> Outlook:
    """The smallest and the largest useful artifact of a checkpoint, what `cap` is worth, and time and memory.

    The options are those of `compile`. Sizes are good to some percent and losses to some tens of percent, since a few
    tokens and rows stand for all. Raises what `compile` raises, CapError for a cap that nothing fits under.
    """
    from ..compiler.refusals import refuse_compile, refuse_inputs

    path, text, limit = Path(checkpoint), Path(calibration), size_in_bytes(cap)
    how, scripts = recipe if isinstance(recipe, str) else Path(recipe), [Path(each) for each in code]
    refuse_compile([limit], scripts, [], True, recipe=how, effort=effort, profile=profile)
    refuse_inputs(path, [text], optional_path(tokenizer), optional_path(architecture))
    from ..compiler.options import CompileOptions
    from ..compiler.outlook import look_ahead
    from ..compiler.read_job import read_job

    options = CompileOptions(
        text,
        optional_path(tokenizer),
        scripts,
        architecture=optional_path(architecture),
        selection=selection_of(weights, ignore, rename),
        recipe=how,
        effort=effort,
        profile=profile,
        device=device,
        threads=threads,
    )
    with heard(progress) as listener:
        found = read_job(path, options, glance=True, progress=listener)
        return look_ahead(found, limit, listener or silent)
