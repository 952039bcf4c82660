"""Which of the files that a script reads are the model, whatever their names say: they count as it, and once.

Strategy: a log tells the model's bytes, and a file of just so many is it. Where no log tells them, weights that the
script reads are models. What is neither stays what its name made it, and counts beside the code.
"""

from __future__ import annotations

from dataclasses import replace

from ..files.code.closure_records import CodeClosure, Role
from ..files.code.side_files import Purpose
from .blob_kinds import read_blob
from .byte_rows import final_models
from .folder import SubmissionFolder
from .folder_room import name_in_folder
from .logs import read_logs

SMALLEST_MODEL = 64 << 10  # bytes; what is smaller is no model that matters to a cap


def count_models_once(folder: SubmissionFolder, closure: CodeClosure) -> None:
    """Give the files that are models the purpose of one."""
    sides = [
        file
        for file in closure.files.values()
        if file.role is Role.READ and file.purpose is Purpose.OTHER and file.bytes >= SMALLEST_MODEL
    ]
    if not sides:
        return
    logged = {size.value for log in read_logs(folder) for size in final_models(log)}
    for file in sides:
        if file.bytes in logged or (not logged and _is_weights(folder, name_in_folder(file.path))):
            closure.files[file.path] = replace(file, purpose=Purpose.MODEL)


def _is_weights(folder: SubmissionFolder, name: str) -> bool:
    file = folder.get(name)
    return file is not None and read_blob(folder, file)[0].kind in ("weights", "artifact")
