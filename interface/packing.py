"""An artifact as a submission that needs nothing of ours: a folder with one script."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, OutputError
from .arguments import PathLike, optional_path, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..packing.folder import Packed
    from ..packing.submission import Description


@deliberate
def pack(
    artifact: PathLike,
    output: PathLike,
    *,
    cap: int | str | None = None,
    script_name: str = "train_gpt.py",
    data: PathLike | None = None,
    tokenizer: PathLike | None = None,
    stride: int | None = None,
    documents: str = "auto",
    description: Description | None = None,
    force: bool = False,
    progress: ProgressOption = None,
) -> Packed:
    """Write a folder with an artifact and one script that decodes, runs and scores it with numpy and torch alone.

    cap            of all that counts in the folder: artifact, script, and a table of bytes where one is needed
    data           a token shard, a folder of fineweb_val_*.bin or a pattern: the script scores it, and its log and
                   score are in the folder; without, no score is claimed anywhere
    tokenizer      of the data; one that is no sentencepiece model goes into the folder as a table of bytes
    stride         targets a window that the script scores unless told otherwise; by default all
    documents      "joined", "separate", or "auto": what `evaluate` would choose on the data, joined without data
    description    what submission.json and README.md say: author, name, ...

    Before anything is written the script is run on made-up tokens and held against the runtime. Raises CompileError
    when the cap is too small, VerificationError when the script fails or disagrees, OutputError, ArtifactError and
    DataError.
    """
    from ..compiler.refusals import files_read
    from ..files.artifact_file import read_artifact_file
    from ..files.output import check_output_folder, write_output_folder
    from ..packing.folder import PackOptions, pack_artifact
    from ..runtime.tokenizers import load_tokenizer

    output, tokenizer_file = Path(output), optional_path(tokenizer)
    check_output_folder(output, force=force)
    _check_options(script_name, documents)
    options = PackOptions(
        cap=None if cap is None else size_in_bytes(cap),
        script=script_name,
        data=optional_path(data),
        tokenizer=None if tokenizer_file is None else load_tokenizer(tokenizer_file),
        tokenizer_file=tokenizer_file,
        stride=stride,
        documents=documents,
        description=_described(description, Path(artifact)),
    )
    with heard(progress) as listener:
        packed = pack_artifact(read_artifact_file(artifact), options, listener)
    given = [artifact, *(path for path in (data, tokenizer) if path is not None)]
    write_output_folder(output, packed.files, force, files_read(given))
    return replace(packed, notes=(*packed.notes, *_left_over(output, packed)))


def _left_over(folder: Path, packed: Packed) -> list[str]:
    """Remove log and table of an earlier packing, which would be taken for ours, and name what else lies there."""
    from ..packing.submission import LOG_NAME, TABLE_NAME

    for name in {LOG_NAME, TABLE_NAME} - packed.files.keys():
        (folder / name).unlink(missing_ok=True)
    names = sorted(path.name for path in folder.iterdir() if path.name not in packed.files)
    return [f"also in the folder, and neither written nor counted: {', '.join(names)}"] if names else []


def _check_options(script_name: str, documents: str) -> None:
    if Path(script_name).name != script_name or not script_name.endswith(".py"):
        raise OutputError(f"{script_name!r} is no name for a script; give one that ends in .py, without a folder")
    if documents not in ("auto", "joined", "separate"):
        raise DataError(f"documents are 'joined', 'separate' or 'auto', not {documents!r}")


def _described(description: Description | None, artifact: Path) -> Description:
    """With the artifact's name and today's date where nothing was told."""
    from ..packing.submission import Description

    told = description or Description()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return replace(told, name=told.name or artifact.stem, date=told.date or today)
