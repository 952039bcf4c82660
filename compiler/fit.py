"""Several checkpoints, such as the seeds of one recipe, and several caps in one run: every artifact under its cap.

Strategy: each checkpoint is measured once and landed on each cap by itself, so that no seed pays for another's size.
What is finished is written at once, after a record of what it was made of; a run that finds both, unchanged, keeps the
artifact and does nothing for it. So a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import CapError, OutputError
from ..files.digests import file_sha256
from ..files.output import check_output, refuse_own_inputs, write_output
from ..progress import NamedProgress, Progress, RepeatedProgress, silent
from ..runtime.tokenizers import tokenizer_files
from ..version import VERSION
from .checkpoints.folder import source_files
from .explanation.prediction import far_off_notes
from .fitted import RECORD, Fit, FittedArtifact, read_record, write_record
from .forecast import CALIBRATE
from .inputs import artifact_budget, inner_tokenizer, own_tokenizer
from .options import CompileOptions
from .pipeline import (
    CompileResult,
    add_score,
    land_checkpoint,
    measure_checkpoint,
)
from .read_job import counted_code
from .recipe import read_recipe
from .refusals import files_read
from .resume.work_folder import open_work_folder
from .scratch_file import ScratchFile

NOTES = ("notes", "calibration_notes", "identity_notes", "code_notes")  # of a compile's report


def fit_checkpoints(
    checkpoints: Sequence[Path],
    caps: Sequence[int],
    folder: Path,
    options: CompileOptions,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Fit:
    """Compile each checkpoint to each cap into `folder`, which is made where its parent exists.

    force : replace artifacts that are there and were made of something else

    A cap that cannot be met is a `failure` of its artifact, and the others are made. Raises what compiling raises but
    for that, and OutputError, before anything is read, for an artifact of another making that is in the way.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder")
    caps = tuple(dict.fromkeys(caps))
    planned = _plan(checkpoints, caps, folder, options)
    read = (*checkpoints, options.calibration, *options.evaluation, *options.code)
    refuse_own_inputs([each.output for each in planned], files_read(read))
    known = read_record(folder / RECORD)
    code_files = counted_code(options)[0]
    for cap in caps:
        artifact_budget(cap, code_files)
    _make_folder(folder)  # not before: what is refused leaves none
    done = {each.output: replace(known[each.output], kept=True) for each in planned if _is_there(each, known)}
    for each in planned:
        if each.output not in done:
            _check_free(Path(each.output), force)
    for number, checkpoint in enumerate(checkpoints):
        wanted = [each for each in planned if each.checkpoint == str(checkpoint) and each.output not in done]
        told = NamedProgress(progress or silent, f"{number + 1}/{len(checkpoints)} {checkpoint.name}")
        for made, artifact in _compiled(wanted, options, told):
            done[made.output] = made
            write_record(folder / RECORD, known | done)
            if artifact is not None:
                write_output(made.output, artifact, force)
    return Fit(tuple(done[each.output] for each in planned))


def _check_free(output: Path, force: bool) -> None:
    if output.is_file() and not force:
        raise OutputError(f"{output} exists, and is not what these inputs and options gave", argument="force")
    check_output(output, force)


def _compiled(
    wanted: Sequence[FittedArtifact], options: CompileOptions, progress: Progress
) -> Iterator[tuple[FittedArtifact, bytes | None]]:
    """The artifacts of one checkpoint as they are finished, with their bytes; None where the cap cannot be met."""
    if not wanted:
        return
    told = {each.cap: _of_cap(each.cap, len(wanted), progress) for each in wanted}
    if len(wanted) > 1:
        progress = RepeatedProgress(progress, [_cap_name(cap) for cap in told], CALIBRATE)
    with open_work_folder(options.work, options.keep_work) as folder, ScratchFile(folder.folder) as scratch:
        measured = measure_checkpoint(wanted[0].checkpoint, options, scratch, progress, folder)
        for each in wanted:
            try:
                result = land_checkpoint(measured, each.cap, told[each.cap])
            except CapError as error:
                yield replace(each, failure=str(error)), None
            else:
                add_score(result, measured, told[each.cap])
                yield _finished(each, result, folder.taken_over), result.artifact
        folder.finish()


def _of_cap(cap: int, caps: int, progress: Progress) -> Progress:
    """Whom the landing on a cap reports to: by its name where there are several."""
    return progress if caps == 1 else NamedProgress(progress, _cap_name(cap))


def _cap_name(cap: int) -> str:
    return f"{cap:,} bytes"


def _finished(wanted: FittedArtifact, result: CompileResult, taken_over: Sequence[str]) -> FittedArtifact:
    report, ledger, score = result.report, result.ledger, result.report["score"] or {}
    return replace(
        wanted,
        sha256=hashlib.sha256(result.artifact).hexdigest(),
        artifact_bytes=ledger.artifact_bytes,
        code_bytes=ledger.code_bytes,
        margin=wanted.cap - ledger.total_bytes,
        seconds=sum(report["seconds"].values()),
        **{name: report[name] for name in ("bits_per_weight", "byte_price", "predicted_loss", "measured_loss")},
        held_out_tokens=report["held_out_tokens"],
        bits_per_byte=(score.get("artifact") or {}).get("bits_per_byte"),
        gap_mbpb=(score.get("gap") or {}).get("mbpb"),
        assumed={name: report["architecture"].get(name) for name in report["defaults"]},
        notes=[note for name in NOTES for note in report[name]]
        + list(score.get("notes", ()))
        + [f"no prediction: {doubt}" for doubt in report["prediction"]["doubts"]]
        + far_off_notes(report["prediction"])
        + [f"taken over from a run before: {each}" for each in taken_over],
    )


def _plan(
    checkpoints: Sequence[Path], caps: Sequence[int], folder: Path, options: CompileOptions
) -> list[FittedArtifact]:
    """Every artifact with its name and what it is to be made of."""
    names, common = _names(checkpoints), _digest_of_options(options)
    found = []
    for checkpoint, name in zip(checkpoints, names, strict=True):
        digest = _digest_of_checkpoint(checkpoint, options)
        for cap in caps:
            output = folder / (f"{name}.bcap" if len(caps) == 1 else f"{name}-{cap}.bcap")
            made_of = hashlib.sha256(f"{digest} {cap} {common}".encode()).hexdigest()
            found.append(FittedArtifact(str(checkpoint), cap, str(output), made_of))
    return found


def _names(checkpoints: Sequence[Path]) -> list[str]:
    """A name for each checkpoint: as many of the last parts of its path as tell it from the others."""
    paths = [Path(os.path.abspath(path)) for path in checkpoints]
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if twice is not None:
        raise OutputError(f"{twice} is named twice; each checkpoint is fitted once")
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["-".join((*path.parts[-count:-1], path.stem if path.is_file() else path.name)) for path in paths]
        if len(set(names)) == len(names):
            return [name.strip("/").lstrip("-/") for name in names]
    return [path.name for path in paths]


def _digest_of_checkpoint(checkpoint: Path, options: CompileOptions) -> str:
    """Of all that is read for it: its shards, configurations beside them, and the tokenizer, wherever that is."""
    tokenizer = own_tokenizer(checkpoint, options.calibration, options.tokenizer) or inner_tokenizer(checkpoint)
    told = [] if tokenizer is None else (tokenizer_files(tokenizer) or [tokenizer])
    return " ".join(map(_digest, [*source_files(checkpoint), "tokenizer", *told]))


def _digest_of_options(options: CompileOptions) -> str:
    """Of what else decides an artifact's bytes, but for the cap: contents of files, not their names."""
    recipe = read_recipe(options.recipe, options.effort)
    files = {
        "calibration": file_sha256(options.calibration),
        "architecture": options.architecture and _digest(options.architecture),
        "evaluation": [file_sha256(path) for path in options.evaluation],
        "evaluation_tokens": options.evaluation_tokens,
        "code_bytes": sum(path.stat().st_size for path in counted_code(options)[0]),
    }
    plain = {name: getattr(options, name) for name in ("effort", "profile", "device", "seed")}
    plain |= {"reproducible": True} if options.reproducible else {}
    values = {**files, **plain, "recipe": recipe.digest, "selection": asdict(options.selection), "version": VERSION}
    return json.dumps(values, sort_keys=True)


def _digest(path: Path | str) -> str:
    """Of a file or folder; of a word that stands for none, itself."""
    return file_sha256(path) if Path(path).exists() else str(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror or error}") from error


def _is_there(wanted: FittedArtifact, known: Mapping[str, FittedArtifact]) -> bool:
    """Whether an artifact is finished: recorded as made of the same, and the file is the one that was written."""
    found = known.get(wanted.output)
    if found is None or found.failure is not None or found.made_of != wanted.made_of:
        return False
    return Path(wanted.output).is_file() and file_sha256(wanted.output) == found.sha256
