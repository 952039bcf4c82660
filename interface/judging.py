"""Judging submission folders of strangers: nothing of them is executed, each has a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CompileError, DataError
from ..progress import stage_of
from .arguments import PathLike, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..submissions.judgement import Judgement, JudgeOptions


@deliberate
def verify_folder(path: PathLike, **options: object) -> Judgement:
    """Judge one submission folder; the options and errors are those of `verify_folders`."""
    return next(iter(verify_folders([path], **options)))  # type: ignore[arg-type]


@deliberate
def verify_folders(
    paths: Sequence[PathLike],
    *,
    cap: int | str | None = None,
    data: PathLike | None = None,
    tokenizer: PathLike | None = None,
    tolerance: float = 0.0005,
    inside: str | None = None,
    seconds: float | None = None,
    memory: int | str | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    progress: ProgressOption = None,
) -> Iterator[Judgement]:
    """Judge submission folders, or archives of one each, from their files alone; yields a record each, in their order.

    cap                what artifact and code may take together; without one the challenge's 16,000,000 bytes
    data, tokenizer    validation text: weights of a known architecture in the folder are scored on it and held
                       against the declared score, with this tolerance in bits per byte
    inside             the path in each folder or archive of the submission that is meant, where it holds several
    seconds, memory    what judging one folder may take: 10 seconds of a core and 1 GiB, with more for an artifact
                       that has to be decoded; with data there is no limit unless given.
                       A folder beyond them, or one that bytecap breaks down on, is "not judged", and the others go on.
    threads            folders at a time, by default one a CPU; the result does not depend on it
    scheduler          address of a Dask cluster whose workers see the same files; this machine without one

    Raises DataError for a path that is neither folder nor archive, for a folder `inside` that is not there, for only
    one of data and tokenizer, CapError for a text that is no size, CompileError when the cluster cannot be reached.
    """
    from ..submissions.archive_kinds import is_submission
    from ..submissions.chosen_folder import picked_folder

    folders = [Path(path) for path in paths]
    for folder in folders:
        if not is_submission(folder):
            raise DataError(f"{folder} is not a folder, nor an archive (.zip, .tar, .tar.gz, .tar.xz, .tar.zst) of one")
    if inside is not None:
        folders = [picked_folder(folder, inside) if folder.is_dir() else folder for folder in folders]
    options = replace(_options(cap, data, tokenizer, tolerance, seconds, memory), inside=inside or "")
    return _judged(folders, options, threads, scheduler, progress)


def _options(
    cap: int | str | None,
    data: PathLike | None,
    tokenizer: PathLike | None,
    tolerance: float,
    seconds: float | None,
    memory: int | str | None,
) -> JudgeOptions:
    from ..submissions.judgement import CHALLENGE_CAP, JudgeOptions

    if (data is None) != (tokenizer is None):
        raise DataError("a score needs both data and their tokenizer; give both, or neither")
    usual = JudgeOptions()
    unlimited = data is not None
    return JudgeOptions(
        cap=CHALLENGE_CAP if cap is None else size_in_bytes(cap),
        cap_assumed=cap is None,
        data=None if data is None else str(data),
        tokenizer=None if tokenizer is None else str(tokenizer),
        tolerance=tolerance,
        seconds=seconds if seconds is not None else 0 if unlimited else usual.seconds,
        memory_bytes=size_in_bytes(memory) if memory is not None else 0 if unlimited else usual.memory_bytes,
    )


def _judged(
    folders: list[Path],
    options: JudgeOptions,
    threads: int | None,
    scheduler: str | None,
    progress: ProgressOption,
) -> Iterator[Judgement]:
    from ..format.parallel import usable_cores
    from ..submissions.isolation import judge_folders

    cluster = scheduler is not None
    with _cluster(scheduler) if cluster else nullcontext(), heard(progress) as listener:
        yield from judge_folders(
            folders,
            options,
            threads=threads or (-1 if cluster else usable_cores()),
            cluster=cluster,
            progress=stage_of(listener, "judge folders"),
        )


def _cluster(scheduler: str | None):
    from ..lab.measure.backends import running_on

    if not scheduler:
        raise CompileError("a Dask cluster needs the address of its scheduler")
    return running_on("dask", scheduler)
