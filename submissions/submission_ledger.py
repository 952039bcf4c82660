"""The ledger of a submission: bytes as its log counts them beside bytes as the folder holds them.

Strategy: of several logs the one with the largest counted total stands for all, since every seed has to fit.
The model is the compressed one that the log tells. Where the folder holds no such file, its logged bytes stand
in both columns and the note says so.
"""

from __future__ import annotations

from .blob_models import ModelFacts
from .blobs import BlobFacts
from .byte_rows import ByteRow
from .claims import ClaimFacts
from .declared import Quantity
from .folder import SubmissionFolder
from .judgement import LedgerLine


def submission_ledger(
    folder: SubmissionFolder, claims: ClaimFacts | None, blobs: BlobFacts | None, models: ModelFacts | None
) -> tuple[LedgerLine, ...]:
    """Lines for the model, the code, data that a text of the folder names, and their sum; none where the claims
    could not be read.
    """
    if claims is None:
        return ()
    row = max(claims.rows, key=lambda row: row.counted or 0, default=None)
    counted_total, model = (row.counted, row.model) if row is not None else (None, None)
    counted_by = "" if row is None else f"as counted by {row.log}"
    if row is None and (declared := _declared_total(claims)) is not None:
        counted_total, counted_by = declared, f"as declared by {claims.declaration.name}"
    shipped_model, note = _shipped_model(folder, row, models)
    data = [] if blobs is None else [each for each in blobs.data if each.name not in claims.code.modules]
    in_total = [each for each in data if row is not None and row.log in each.counted_by]
    counted_code = None if counted_total is None or model is None else counted_total - model
    if counted_code is not None:
        counted_code -= sum(each.bytes for each in in_total)
        counted_code = counted_code if counted_code >= 0 else None  # the total is of another model
    code = claims.code
    total = None if shipped_model is None else shipped_model + code.closure_bytes + sum(each.bytes for each in data)
    return (
        LedgerLine("model, compressed", model, shipped_model, note),
        LedgerLine(_code_name(claims), counted_code, code.closure_bytes or None),
        *(
            LedgerLine(f"data: {each.name}", each.bytes if each in in_total else None, each.bytes, each.named_by)
            for each in data
        ),
        LedgerLine("total", counted_total, total, counted_by),
    )


def _declared_total(claims: ClaimFacts) -> int | None:
    totals = claims.declaration.of(Quantity.TOTAL_BYTES, "headline")
    return next((int(claim.amount.value) for claim in totals if claim.amount.value is not None), None)


def _shipped_model(folder: SubmissionFolder, row: ByteRow | None, models: ModelFacts | None) -> tuple[int | None, str]:
    """The bytes of the model in the folder, or of the file that the log means, else the logged ones; a note on it."""
    if models is not None and models.counted is not None:
        return models.counted.bytes, f"it is {models.counted.name}"
    if row is None or row.model is None:
        return None, ""
    for file in folder.files:
        if file.kind == "file" and file.bytes == row.model:
            return file.bytes, f"it is {file.name}"
    return row.model, "not in the folder, so the logged bytes stand for it"


def _code_name(claims: ClaimFacts) -> str:
    modules = len(claims.code.modules)
    more = f" and {modules} more {'file' if modules == 1 else 'files'}" if modules else ""
    return f"code: {claims.code.script}{more}" if claims.code.script else "code"
