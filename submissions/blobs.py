"""The binary files of a folder: weights, artifacts, tokenizers, and data that a script reads beside them.

Strategy: a file counts as binary by its bytes, whatever its name. Weights are compared with the sizes that the logs
tell; data that are no weights are what a cap is easily got round with, so they are named, with who names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..files.code.side_files import MODEL_SUFFIXES, TOKENIZER
from .blob_kinds import Blob, read_blob
from .blob_tokenizers import tokenizer_findings
from .claims import ClaimFacts
from .findings import Finding, Level, Rule
from .folder import SubmissionFile, SubmissionFolder, decode_text

RULES = (
    Rule("blob-weights", (Level.INFORMATION,), "A file of weights: layout, tensors, weights, bytes."),
    Rule(
        "blob-model-size",
        (Level.PASS, Level.FINDING),
        "The compressed weights in the folder have a logged model's size, or none.",
    ),
    Rule("blob-damaged", (Level.WARNING,), "A binary file is cut, damaged, or a pointer to a file that is not here."),
    Rule("blob-pickle-names", (Level.FINDING,), "A pickle would import names that weights do not need."),
    Rule(
        "blob-data",
        (Level.FINDING, Level.INFORMATION),
        "Data that are not the model; a finding where a script or log of the folder names the file.",
    ),
    Rule("blob-program", (Level.FINDING,), "A compiled program or library, whose source is not what runs."),
)
LOOKED_AT = 200  # binary files of one folder
TEXT_SUFFIXES = {".py", ".sh", ".md", ".json", ".txt", ".log", ".toml", ".yaml", ".yml", ".csv", ".ipynb", ".cfg"}
BINARY_SUFFIXES = (".ptz", ".pt", ".pth", ".bin", ".npz", ".npy", ".safetensors", ".bcap", ".gguf", ".pkl", ".model")
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\b\x1b")  # one byte in ten of compressed data
HEAD_BYTES = 4096
SMALL_SHARE = 20


@dataclass(frozen=True, slots=True)
class NamedData:
    """Data beside the model: `named_by` says where a text names the file, `counted_by` which logs count it."""

    name: str
    bytes: int
    named_by: str
    counted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """The binary files that were looked at, how many there are, the data that a text names, and the models."""

    blobs: tuple[Blob, ...]
    binary_files: int
    data: tuple[NamedData, ...]
    models: tuple[Blob, ...] = ()


def judge_blobs(folder: SubmissionFolder, claims: ClaimFacts | None) -> tuple[BlobFacts, list[Finding]]:
    """Judge every binary file; `claims` tell the logged sizes and the texts that may name a file."""
    files = [file for file in folder.files if is_binary(folder, file)]
    blobs = tuple(read_blob(folder, file)[0] for file in files[:LOOKED_AT])
    for file in files[LOOKED_AT:]:  # told with all else that is not read, so that nothing hides behind the others
        folder.unread.setdefault(file.name, f"it is behind the first {LOOKED_AT} binary files")
    findings = [finding for blob in blobs for finding in blob_findings(blob)]
    models = models_of(blobs, claims)
    beside = [blob for blob in (*blobs, *_read_texts(folder, blobs, claims)) if _is_data(blob, models, claims)]
    data = [named_data(folder, blob, claims) for blob in beside]
    findings += [data_finding(each, blob, claims) for each, blob in zip(data, beside, strict=True)]
    findings += tokenizer_findings(folder, _reads(claims))
    findings += model_size_findings([blob for blob in blobs if blob.kind == "weights"], claims)
    return BlobFacts(blobs, len(files), tuple(each for each in data if each.named_by), models), findings


def models_of(blobs: Sequence[Blob], claims: ClaimFacts | None) -> tuple[Blob, ...]:
    """The models of a folder: its artifacts, else weights of a logged model's size, else, where no log tells one, its
    only weights, or the largest ones that its code reads.
    """
    if artifacts := tuple(blob for blob in blobs if blob.kind == "artifact"):
        return artifacts
    weights = [blob for blob in blobs if blob.kind == "weights"]
    logged = set() if claims is None else {row.model for row in claims.rows} - {None}
    if logged:
        return tuple(blob for blob in weights if blob.bytes in logged)
    if len(weights) == 1:
        return tuple(weights)
    read = [blob for blob in weights if blob.name in _reads(claims)]
    return (max(read, key=lambda blob: blob.bytes),) if read else ()


def _reads(claims: ClaimFacts | None) -> dict[str, str]:
    """Files that the code reads and that do not count as code, with the places."""
    return {} if claims is None else dict(claims.code.reads)


def _is_data(blob: Blob, models: Sequence[Blob], claims: ClaimFacts | None) -> bool:
    """Whether a file is none of the models, by its kind or because the code reads these weights beside the model."""
    if claims is not None and blob.bytes in {row.model for row in claims.rows}:
        return False
    if blob.kind in ("data", "shard", "array"):
        return True
    return blob.kind in ("weights", "artifact") and blob not in models and blob.name in _reads(claims)


def _read_texts(folder: SubmissionFolder, blobs: Sequence[Blob], claims: ClaimFacts | None) -> list[Blob]:
    """Texts that the code reads and that do not count: no binary files, and data all the same."""
    known = {blob.name for blob in blobs}
    files = [file for file in folder.files if file.name in _reads(claims) and file.name not in known]
    return [Blob(file.name, file.bytes, what="text", content_bytes=file.bytes) for file in files if _is_table(file)]


def _is_table(file: SubmissionFile) -> bool:
    return not TOKENIZER.search(file.name) and file.suffix not in MODEL_SUFFIXES


def is_binary(folder: SubmissionFolder, file: SubmissionFile) -> bool:
    """Whether a file's first bytes are no text, or its name is one that weights have."""
    if file.kind != "file" or not file.bytes:
        return False
    if file.suffix in BINARY_SUFFIXES:
        return True
    try:
        with folder.open_file(file.name) as opened:
            head = opened.read(HEAD_BYTES)
    except OSError:
        return False  # it is in `unread` as soon as a section wants its text
    if file.suffix in TEXT_SUFFIXES:  # text of another encoding, or with a stray byte, is text all the same
        return decode_text(head).encoding == "utf-8" and len(head.translate(None, CONTROLS)) < 0.98 * len(head)
    return b"\0" in head or len(head.decode("utf-8", "ignore").encode()) < len(head) - 3


def blob_findings(blob: Blob) -> list[Finding]:
    """What is said of one file by itself."""
    size = _size(blob)
    values = {"bytes": blob.bytes, "kind": blob.kind, "wrapper": blob.wrapper, "content_bytes": blob.content_bytes}
    findings = []
    if blob.names:
        text = f"loading it would import {', '.join(blob.names[:8])}{' and more' if len(blob.names) > 8 else ''}"
        findings.append(Finding("blob-pickle-names", Level.FINDING, text, blob.name, {"names": blob.names}))
    if blob.kind in ("damaged", "pointer"):
        findings.append(Finding("blob-damaged", Level.WARNING, f"{size}; {blob.what}", blob.name, values))
    elif blob.kind in ("weights", "array"):
        types = ", ".join(f"{count:,} {dtype}" for dtype, count in (blob.types or {}).items())
        counted = f"{blob.tensors:,} tensors, {blob.elements:,} weights ({types})" if blob.tensors else "not opened"
        text = f"{size}: {blob.what}, {counted}"
        more = {"tensors": blob.tensors, "elements": blob.elements, "types": blob.types or {}}
        findings.append(Finding("blob-weights", Level.INFORMATION, text, blob.name, {**values, **more}))
    elif blob.kind == "program":
        findings.append(Finding("blob-program", Level.FINDING, f"{size}: {blob.what}", blob.name, values))
    return findings


def _size(blob: Blob) -> str:
    return f"{blob.bytes:,} bytes" + (f" of {blob.wrapper}, {blob.content_bytes:,} unfolded" if blob.wrapper else "")


def named_data(folder: SubmissionFolder, blob: Blob, claims: ClaimFacts | None) -> NamedData:
    """Who names a file of data, and whether a logged total has room for exactly it."""
    place = naming_place(folder, blob.name, claims)
    return NamedData(blob.name, blob.bytes, place, tuple(_logs_that_count(blob, claims)))


def data_finding(data: NamedData, blob: Blob, claims: ClaimFacts | None) -> Finding:
    """What is said of data beside the model."""
    text = f"{_size(blob)}: {blob.what}; not the model"
    text += f"; named by {data.named_by}" if data.named_by else "; no script, log or text names it"
    if data.counted_by:
        text += f"; counted in the total of {', '.join(data.counted_by[:3])}"
    elif data.named_by and claims is not None and claims.rows:
        text += "; no logged total counts it"
    level = Level.FINDING if data.named_by else Level.INFORMATION
    values = {"bytes": blob.bytes, "kind": blob.kind, "named_by": data.named_by, "counted_by": data.counted_by}
    return Finding("blob-data", level, text, blob.name, values)


def naming_place(folder: SubmissionFolder, name: str, claims: ClaimFacts | None) -> str:
    """Where the code reads the file, or a text of the folder has its name: "train.log:9"; "" nowhere."""
    if read := _reads(claims).get(name):
        return read
    base = name.rpartition("/")[2]
    texts = [] if claims is None else list(claims.code.texts)
    known = {each for each, _ in texts}
    names = [file.name for file in folder.files if file.kind == "file" and file.suffix in TEXT_SUFFIXES]
    for each, text in texts:
        if (place := text.find(base)) >= 0:
            return f"{each}:{text.count(chr(10), 0, place) + 1}"
    for each in sorted(set(names) - known, key=lambda name: (not name.endswith((".sh", ".log")), name)):
        text = folder.read_text(each).text
        if (place := text.find(base)) >= 0:
            return f"{each}:{text.count(chr(10), 0, place) + 1}"
    return ""


def _logs_that_count(blob: Blob, claims: ClaimFacts | None) -> list[str]:
    """Logs whose total is their model, their code, and exactly this file."""
    if claims is None:
        return []
    code = {claims.code.script_bytes, claims.code.closure_bytes}
    for log in claims.logs:
        code |= {size.value for size in log.sizes if size.kind == "code"}
    return [
        row.log
        for row in claims.rows
        if row.counted is not None and row.model is not None and row.counted - row.model - blob.bytes in code
    ]


def model_size_findings(weights: Sequence[Blob], claims: ClaimFacts | None) -> list[Finding]:
    """Whether the compressed weights are those that a log speaks of."""
    logged = {} if claims is None else {row.model: row.log for row in claims.rows if row.model is not None}
    if not weights or not logged:
        return []
    findings = [
        Finding(
            "blob-model-size",
            Level.PASS,
            f"{blob.bytes:,} bytes, the logged model of {logged[blob.bytes]}",
            blob.name,
            {"bytes": blob.bytes, "log": logged[blob.bytes]},
        )
        for blob in weights
        if blob.bytes in logged
    ]
    if findings:
        return findings
    largest = max(weights, key=lambda blob: blob.bytes)
    nearest = min(logged, key=lambda size: abs(size - largest.bytes))
    if largest.bytes * SMALL_SHARE < nearest:  # tables beside a model that is not in the folder
        return []
    text = f"{largest.bytes:,} bytes of weights are no logged model's; the nearest has {nearest:,} by {logged[nearest]}"
    return [Finding("blob-model-size", Level.FINDING, text, largest.name, {"bytes": largest.bytes, "nearest": nearest})]
