"""A few megabytes of English that every CPython carries, and a tokenizer and token shards made of it.

Strategy: one document a topic of `pydoc_data.topics` and one a module of the standard library (its
docstrings, in the order of the source), each text once, in an order that depends on the texts alone.
Documents, not lines, are dealt out to validation, calibration and training, so that nothing scored has been
trained or calibrated on.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import sentencepiece

from ...errors import DataError
from ...files.output import check_output, write_output
from ...runtime.shards import write_shard
from ...runtime.tokenizers.sentencepiece_model import SPACE, SentencepieceTokenizer

LEFT_OUT_FOLDERS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
SEPARATOR = "\0"
LEAST_DOCUMENT = 200  # characters; shorter ones are one-line remarks
PARTS = ("validation", "calibration", "train")
VALIDATION_SHARE = CALIBRATION_SHARE = 0.1
BOUNDARY_TOKEN = 1


@dataclass(frozen=True, slots=True)
class DemoData:
    """The files made by `write_demo_data`: the text, the tokenizer and a shard of each part."""

    text: Path
    tokenizer: Path
    validation: Path
    calibration: Path
    train: Path


def write_demo_data(folder: str | Path, vocabulary_size: int = 1024, *, force: bool = False) -> DemoData:
    """Write text.txt, tokenizer.model and one shard a part into an existing folder.

    The same files on every run of one Python version. Raises OutputError when a file exists (without `force`)
    or cannot be written, DataError when this Python carries too little documentation.
    """
    folder = Path(folder)
    files = DemoData(folder / "text.txt", folder / "tokenizer.model", *(folder / f"{part}.bin" for part in PARTS))
    for path in astuple(files):
        check_output(path, force=force)
    documents = python_documentation()
    write_output(files.text, SEPARATOR.join(documents).encode(), force=force)
    train_tokenizer(files.text, vocabulary_size, files.tokenizer.with_suffix(""), force=force)
    tokenizer = SentencepieceTokenizer.load(files.tokenizer)
    for part, chosen in split_documents(documents).items():
        write_shard(getattr(files, part), encode_documents(tokenizer, chosen), force=force)
    return files


def python_documentation() -> list[str]:
    """The documents, sorted by the SHA-256 of their text.

    Raises DataError where a Python comes without documentation.
    """
    documents = [text.strip() for text in (*_topics(), *_module_documents(Path(sysconfig.get_path("stdlib"))))]
    usable = {text for text in documents if len(text) >= LEAST_DOCUMENT}
    if len(usable) < 100:
        raise DataError(
            f"this Python carries only {len(usable)} documents of its own; the demo needs pydoc_data and the standard "
            "library's sources"
        )
    return sorted(usable, key=_digest)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _topics() -> Iterator[str]:
    """The language reference as `help()` shows it."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield _clean(topics[name])


def _module_documents(folder: Path) -> Iterator[str]:
    """The docstrings of each module under `folder`, those seen in an earlier module left out."""
    seen: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        if LEFT_OUT_FOLDERS.isdisjoint(path.relative_to(folder).parts):
            fresh = [text for text in _docstrings(path) if text not in seen]
            seen.update(fresh)
            yield "\n\n".join(dict.fromkeys(fresh))


def _docstrings(path: Path) -> list[str]:
    """Docstrings of a module, its classes and functions, in order; none when the file is not Python of this version."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = sorted(
        (node for node in ast.walk(tree) if isinstance(node, kinds)), key=lambda node: getattr(node, "lineno", 0)
    )
    return [_clean(text) for node in nodes if (text := ast.get_docstring(node))]


def _clean(text: str) -> str:
    """Without the separator and without what UTF-8 cannot hold."""
    return text.replace(SEPARATOR, "").encode("utf-8", "ignore").decode()


def split_documents(documents: Sequence[str]) -> dict[str, list[str]]:
    """Documents by part, in order: validation and calibration up to their share of the characters, then training."""
    total = sum(map(len, documents))
    shares = {"validation": VALIDATION_SHARE, "calibration": CALIBRATION_SHARE}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    filled = dict.fromkeys(PARTS, 0)
    for document in documents:
        part = next((p for p in shares if filled[p] < shares[p] * total), "train")
        parts[part].append(document)
        filled[part] += len(document)
    return parts


def encode_documents(tokenizer: SentencepieceTokenizer, documents: Iterable[str]) -> np.ndarray:
    """Token ids int32 [n] of all documents, the boundary token before each."""
    return np.concatenate(
        [np.array([BOUNDARY_TOKEN, *tokenizer.encode_document(text)], np.int32) for text in documents]
    )


def train_tokenizer(
    text_path: str | Path, vocabulary_size: int, model_prefix: str | Path, *, force: bool = False
) -> Path:
    """Train a byte-pair tokenizer of the public challenge's settings on NUL-separated documents; returns PREFIX.model.

    Pieces 0 to 3 are padding, begin, end and unknown; then 256 bytes, then pieces of the text with digits on their own.
    Raises DataError when the text is too small for the vocabulary or leaves out the bare space piece, without which
    bytes are miscounted; OutputError when the file exists (without `force`) or cannot be written.
    """
    text_path, path = Path(text_path), Path(f"{model_prefix}.model")
    text, model = text_path.read_text(encoding="utf-8"), io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(
                line for document in text.split(SEPARATOR) for line in document.splitlines() if line.strip()
            ),
            model_writer=model,
            vocab_size=vocabulary_size,
            model_type="bpe",
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="nmt_nfkc",
            add_dummy_prefix=False,
            character_coverage=0.999,
            max_sentence_length=1 << 16,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{text_path} does not give a vocabulary of {vocabulary_size}: {reason}; use more text or another size"
        ) from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    if SentencepieceTokenizer(processor, str(path)).token(SPACE) is None:
        raise DataError(f"{text_path} gives a vocabulary without a piece for the bare space; use more text")
    write_output(path, model.getvalue(), force=force)
    return path
