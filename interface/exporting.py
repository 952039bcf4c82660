"""An artifact as other programs want it: a checkpoint file, a Hugging Face folder, or a GGUF file.

Strategy: the name of the output says which. Everything is decoded, rounded and checked in memory before
the first byte is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..display import ShownByFacts
from ..errors import DataError, OutputError
from .arguments import PathLike, optional_path
from .file_errors import deliberate

if TYPE_CHECKING:
    from ..compiler.exports.rounding import Rounding
    from ..compiler.model.model import ModelTensor
    from ..format.artifact import Artifact

FILE_SUFFIXES = (".safetensors", ".pt", ".gguf")
ORIGINAL = "original"


@dataclass(frozen=True, slots=True, repr=False)
class Export(ShownByFacts):
    """What an export wrote.

    kind : str               "safetensors", "pt", "gguf", "folder" or "coded folder"
    files : tuple of Path    in the order in which they were written
    names : tuple of str     of the tensors
    dtypes : tuple of str    of the tensors, as written
    rounding : Rounding      how far the written values are from the artifact's
    notes : tuple of str     what is to be said of the tokenizer, in sentences
    """

    kind: str
    files: tuple[Path, ...]
    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    rounding: Rounding
    notes: tuple[str, ...] = ()

    def shown_facts(self) -> Mapping[str, str]:
        """What was written, and how far it is from the artifact."""
        found = self.rounding
        exact = "every weight is the artifact's"
        if found.changed:
            exact = f"{found.changed:,} of {found.weights:,} weights, relative error {found.relative_error:.1e}"
        return {
            "": self.kind,
            "files": ", ".join(map(str, self.files)),
            "tensors": f"{len(self.names):,} of {', '.join(sorted(set(self.dtypes)))}",
            "rounded": exact,
        }


@deliberate
def export(
    artifact: PathLike,
    output: PathLike,
    *,
    dtype: str = ORIGINAL,
    tokenizer: PathLike | None = None,
    other_tokenizer: bool = False,
    coded: bool = False,
    force: bool = False,
) -> Export:
    """Decode an artifact and write it for other programs.

    `output` ends in .safetensors, .pt (which needs torch) or .gguf, or is a folder, which is then written
    as Hugging Face's. Each tensor has the name and shape that it had in the checkpoint that was compiled
    (what its frontend rewrote is undone), and its type too, unless `dtype` says another for all: "float32"
    is exactly the artifact. `tokenizer`, a file or a folder, goes into the folder or the GGUF file; one that is not
    the model's own is refused unless `other_tokenizer`.
    `coded` leaves the weights of a folder in the artifact, for `bytecap.integrations.transformers`.

    Raises ArtifactError, DataError or OutputError.
    """
    from ..compiler.refusals import files_read
    from ..files.artifact_file import read_artifact_file
    from ..files.output import refuse_own_inputs
    from ..format.artifact import read_artifact

    output = Path(output)
    kind = _kind(output, coded)
    _check_output(output, kind, force)
    if tokenizer is not None and kind in ("safetensors", "pt"):
        raise OutputError(f"{output}: a {output.suffix} file holds no tokenizer; name a folder or a .gguf file")
    read = files_read([path for path in (artifact, tokenizer) if path is not None])
    refuse_own_inputs([output], read)
    data = read_artifact_file(artifact)
    content = read_artifact(data)
    said = () if tokenizer is None else _admit(content, Path(tokenizer), other_tokenizer)
    decoded = _decoded(content)
    if kind == "gguf":
        exported = _export_gguf(data, content, decoded, output, dtype, optional_path(tokenizer), force)
    elif kind.endswith("folder"):
        exported = _export_folder(data, content, decoded, output, dtype, optional_path(tokenizer), coded, force, read)
    else:
        exported = _export_file(data, content, decoded, output, dtype, force)
    return replace(exported, notes=said)


def _admit(content: Artifact, tokenizer: Path, other: bool) -> tuple[str, ...]:
    """What is to be said of the tokenizer; DataError for another one than the artifact's, unless that is wanted."""
    from ..runtime.identity import admit_tokenizer
    from ..runtime.tokenizers import load_tokenizer

    try:
        loaded = load_tokenizer(tokenizer)
    except DataError as error:  # a folder may hold what cannot be scored with
        return (f"the tokenizer was not compared with the artifact's: {error}",)
    return admit_tokenizer(content.identity, content.program.vocabulary_size, loaded, other=other)


def _kind(output: Path, coded: bool) -> str:
    """What is written: a file by its ending, in any case of letters; else a folder, whose name may have a dot before a
    number (SmolLM2-1.7B).
    """
    ending = output.suffix.lower()
    if ending in FILE_SUFFIXES:
        if coded:
            raise OutputError(f"{output}: coded weights go into a folder; name one")
        return ending[1:]
    if ending[1:].isalpha() and not output.is_dir():
        raise OutputError(
            f"{output}: give the output one of the endings {', '.join(FILE_SUFFIXES)}, or name a folder, without an "
            "ending or one that is there"
        )
    return "coded folder" if coded else "folder"


def _check_output(output: Path, kind: str, force: bool) -> None:
    from ..files.output import check_output, check_output_folder

    (check_output_folder if kind.endswith("folder") else check_output)(output, force=force)


def _decoded(content: Artifact) -> list[ModelTensor]:
    """The tensors as the program reads them."""
    from ..compiler.model.model import ModelTensor
    from ..format.artifact import decode_tensors

    decoded = zip(content.directory, decode_tensors(content), strict=True)
    return [ModelTensor(entry.name, values, entry.dtype) for entry, values in decoded]


def _restored(content: Artifact, decoded: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The tensors as the checkpoint had them."""
    from ..compiler.frontends import restored_tensors

    return restored_tensors(content.program, decoded)


def _described(content: Artifact, decoded: Sequence[ModelTensor]) -> tuple[dict[str, object], list[ModelTensor]]:
    """Configuration and tensors by Hugging Face; OutputError where the artifact keeps none, or another model's."""
    from ..compiler.exports.architecture import complete_configuration
    from ..compiler.exports.folder import configuration_of
    from ..compiler.exports.meta_names import as_hugging_face
    from ..compiler.exports.text_part import as_text_model

    configuration = complete_configuration(content, decoded, configuration_of(content.provenance))
    return as_text_model(*as_hugging_face(configuration, _restored(content, decoded)))


def _dtypes(tensors: Sequence[ModelTensor], dtype: str) -> dict[str, str]:
    """By name the type in which a tensor is written."""
    return {tensor.name: tensor.dtype if dtype == ORIGINAL else dtype for tensor in tensors}


def _export_file(
    data: bytes, content: Artifact, decoded: Sequence[ModelTensor], output: Path, dtype: str, force: bool
) -> Export:
    from ..compiler.checkpoints.export import export_checkpoint
    from ..compiler.exports.architecture import export_metadata
    from ..compiler.exports.rounding import measure_rounding

    tensors = _restored(content, decoded)
    dtypes = _dtypes(tensors, dtype)
    rounding = measure_rounding({t.name: t.values for t in tensors}, dtypes)
    metadata = export_metadata(data, content, decoded)
    export_checkpoint(list(dtypes), [t.values for t in tensors], list(dtypes.values()), output, force, metadata)
    return Export(output.suffix[1:].lower(), (output,), tuple(dtypes), tuple(dtypes.values()), rounding)


def _export_folder(
    data: bytes,
    content: Artifact,
    decoded: Sequence[ModelTensor],
    output: Path,
    dtype: str,
    tokenizer: Path | None,
    coded: bool,
    force: bool,
    read: Sequence[Path],
) -> Export:
    from ..compiler.exports import folder
    from ..compiler.exports.architecture import origin_metadata
    from ..compiler.exports.rounding import measure_rounding
    from ..files.output import write_output_folder

    configuration, tensors = _described(content, decoded)
    dtypes = _dtypes(tensors, dtype)
    values = {tensor.name: tensor.values for tensor in tensors}
    origin = origin_metadata(data, content)
    if not coded:
        rounding = measure_rounding(values, dtypes)
        files = folder.folder_files(configuration, values, dtypes, origin)
    else:
        rounding = measure_rounding(values, dict.fromkeys(dtypes, "float32"))
        files = folder.coded_folder_files(configuration, values, dtypes, origin, data)
    if tokenizer is not None:
        files |= folder.tokenizer_files(tokenizer)
    write_output_folder(output, files, force, read)
    kind = "coded folder" if coded else "folder"
    return Export(kind, tuple(output / name for name in files), tuple(dtypes), tuple(dtypes.values()), rounding)


def _export_gguf(
    data: bytes,
    content: Artifact,
    decoded: Sequence[ModelTensor],
    output: Path,
    dtype: str,
    tokenizer: Path | None,
    force: bool,
) -> Export:
    """`dtype` "original" is that of most weights."""
    from ..compiler.exports import gguf_file
    from ..compiler.exports.architecture import origin_metadata
    from ..compiler.exports.gguf_tokenizer import gguf_tokenizer
    from ..compiler.exports.granite_hybrid import as_granite

    configuration, tensors = as_granite(*_described(content, decoded))
    if dtype == ORIGINAL:
        sizes: dict[str, int] = {}
        for tensor in tensors:
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.values.size
        dtype = max(sorted(sizes), key=lambda name: sizes[name])
    laid_out = gguf_file.gguf_tensors(configuration, tensors)
    kinds = gguf_file.tensor_kinds(laid_out, dtype)
    fields = gguf_tokenizer(tokenizer, content.program.vocabulary_size, configuration) | origin_metadata(data, content)
    rounding = gguf_file.measure_kinds(laid_out, kinds)
    gguf_file.write_gguf(output, configuration, fields, laid_out, kinds, force)
    return Export("gguf", (output,), tuple(laid_out), tuple(kinds[name].name for name in laid_out), rounding)
