"""The tokenizer of a GGUF file, out of another GGUF, a sentencepiece model or a tokenizer.json.

Strategy: another GGUF's fields are taken as they stand. Of a sentencepiece model pieces, scores and kinds
are GGUF's own notions. A tokenizer.json must be byte-level BPE with a pre-tokenizer that llama.cpp has a
name for, since GGUF stores the name and not the pattern. Without a tokenizer llama.cpp is told so, and
takes token ids only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import OutputError
from ...files.nested_text import parse_json
from ...runtime.tokenizers.gguf_tokenizer import PREFIX
from ...runtime.tokenizers.scored_pieces import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED

PRE_TOKENIZERS = {  # how llama.cpp calls a sequence of pre-tokenizers: (kind, pattern), "" for none
    (("ByteLevel", ""),): "gpt-2",
    (("Digits", ""), ("ByteLevel", "")): "smollm",
    (
        (
            "Split",
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
            "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        ),
        ("ByteLevel", ""),
    ): "llama-bpe",
    (
        (
            "Split",
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
            "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        ),
        ("ByteLevel", ""),
    ): "qwen2",
}


def gguf_tokenizer(path: Path | None, vocabulary: int, configuration: Mapping[str, object]) -> dict[str, object]:
    """The fields of tokenizer.ggml.* for a model of so many tokens.

    Raises OutputError for a tokenizer that GGUF cannot hold, or that has more pieces than the model has tokens.
    """
    if path is None:
        return {f"{PREFIX}model": "no_vocab"}
    path = _chosen(path)
    fields = _fields(path)
    count = len(fields[f"{PREFIX}tokens"])
    if count > vocabulary:
        raise OutputError(f"{path} has {count:,} pieces, and the model {vocabulary:,} tokens; give the model's own")
    _pad(fields, vocabulary)
    for name in ("bos", "eos"):
        token = configuration.get(f"{name}_token_id")
        if isinstance(token, int):
            fields.setdefault(f"{PREFIX}{name}_token_id", token)
    return fields


def _chosen(path: Path) -> Path:
    if path.is_file():
        return path
    found = next((path / name for name in ("tokenizer.json", "tokenizer.model") if (path / name).is_file()), None)
    if found is None:
        raise OutputError(f"{path} has neither tokenizer.json nor tokenizer.model")
    return found


def _fields(path: Path) -> dict[str, object]:
    from ...runtime.gguf_file import is_gguf

    if is_gguf(path):
        return _from_gguf(path)
    return _from_json(path) if path.suffix == ".json" else _from_sentencepiece(path)


def _pad(fields: dict, vocabulary: int) -> None:
    """Rows of the table that have no piece get names that no text has."""
    tokens, kinds = list(fields[f"{PREFIX}tokens"]), list(fields[f"{PREFIX}token_type"])
    missing = range(len(tokens), vocabulary)
    fields[f"{PREFIX}tokens"] = [*tokens, *(f"[PAD{index}]" for index in missing)]
    fields[f"{PREFIX}token_type"] = [*kinds, *(UNUSED for _ in missing)]
    if f"{PREFIX}scores" in fields:
        fields[f"{PREFIX}scores"] = [*fields[f"{PREFIX}scores"], *(-1e4 for _ in missing)]


def _from_gguf(path: Path) -> dict[str, object]:
    from ...runtime.gguf_file import GgufDamaged, read_gguf

    try:
        metadata = read_gguf(path).metadata
    except GgufDamaged as error:
        raise OutputError(f"{path} is not a whole GGUF file: {error}; copy it again") from error
    fields = {name: value for name, value in metadata.items() if name.startswith(PREFIX)}
    if f"{PREFIX}tokens" not in fields:
        raise OutputError(f"{path} holds no tokenizer")
    fields.setdefault(f"{PREFIX}token_type", [NORMAL] * len(fields[f"{PREFIX}tokens"]))
    return fields


def _from_sentencepiece(path: Path) -> dict[str, object]:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor()
    try:
        model.Load(str(path))
    except (RuntimeError, OSError) as error:
        raise OutputError(f"{path} is neither a GGUF file nor a tokenizer.json nor a sentencepiece model") from error
    ids = range(model.GetPieceSize())
    kinds = ((model.IsUnknown, UNKNOWN), (model.IsControl, CONTROL), (model.IsUnused, UNUSED), (model.IsByte, BYTE))
    special = {"bos": model.bos_id(), "eos": model.eos_id(), "unknown": model.unk_id(), "padding": model.pad_id()}
    return {
        f"{PREFIX}model": "llama",
        f"{PREFIX}tokens": [model.IdToPiece(index) for index in ids],
        f"{PREFIX}scores": [float(model.GetScore(index)) for index in ids],
        f"{PREFIX}token_type": [next((kind for test, kind in kinds if test(index)), NORMAL) for index in ids],
        **{f"{PREFIX}{name}_token_id": token for name, token in special.items() if token >= 0},
    }


def _from_json(path: Path) -> dict[str, object]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        model, added = content["model"], content.get("added_tokens") or []
        pieces = dict(model["vocab"]) | {token["content"]: token["id"] for token in added}
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is not a tokenizer.json of byte-level BPE: {error!r}") from error
    by_id = {index: piece for piece, index in pieces.items()}
    if sorted(by_id) != list(range(len(by_id))):
        raise OutputError(f"{path} has ids without a piece, which GGUF cannot express")
    kinds = {token["content"]: CONTROL if token.get("special") else USER_DEFINED for token in added}
    return {
        f"{PREFIX}model": "gpt2",
        f"{PREFIX}pre": _pre_tokenizer(path, content.get("pre_tokenizer")),
        f"{PREFIX}tokens": [by_id[index] for index in range(len(by_id))],
        f"{PREFIX}token_type": [kinds.get(by_id[index], NORMAL) for index in range(len(by_id))],
        f"{PREFIX}merges": merges,
    }


def _pre_tokenizer(path: Path, content: object) -> str:
    """llama.cpp's name of a pre-tokenizer."""
    steps = content.get("pretokenizers", [content]) if isinstance(content, Mapping) else []
    found = tuple((step.get("type"), (step.get("pattern") or {}).get("Regex", "")) for step in steps)
    if found not in PRE_TOKENIZERS:
        kinds = " and ".join(str(kind) for kind, _ in found) or "none"
        raise OutputError(f"{path}: llama.cpp's name of its pre-tokenizer ({kinds}) is not known; give a GGUF file")
    return PRE_TOKENIZERS[found]
