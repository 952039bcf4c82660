"""What a file that a script reads is for, and whether the challenge's rule counts it.

Strategy: by name and by the function that reads it. The public challenge counts the bytes of the code and
of the compressed model and asks that all counted code stand in the training script; it does not name the
tokenizer or the data, so these are listed and not counted. Model files are counted as the model. A text counts
like any other file: what a script reads may be weights, whatever the name ends in.
"""

from __future__ import annotations

import enum
import re

MODEL_SUFFIXES = (".pt", ".pth", ".ptz", ".ckpt", ".safetensors", ".bcap", ".gguf", ".pkl")
DATA_SUFFIXES = (".parquet", ".arrow", ".jsonl", ".csv", ".tsv")
TEXT_SUFFIXES = (".md", ".log", ".rst", ".txt")  # no model, whatever the name says
DOCUMENT_SUFFIXES = (*TEXT_SUFFIXES, ".sh", ".yml", ".yaml", ".toml", ".cfg", ".ini")
DOCUMENTS = {"submission.json", "makefile", "dockerfile", "readme", "pipfile"}
CODE_SUFFIXES = (".py", ".pyw", ".ipynb")
TOKENIZER = re.compile(r"tokenizer|\.model$|\.vocab$|vocab\.json$|merges\.txt$|\.tiktoken$|_bpe|spiece", re.IGNORECASE)
DATA = re.compile(r"fineweb|(^|[_-])(val|train|valid|validation|shard)[_-]?\w*\.(bin|npy|npz|idx)$", re.IGNORECASE)
MODEL = re.compile(r"model|weights|checkpoint|artifact", re.IGNORECASE)


class Purpose(enum.Enum):
    """What a file that is read is for; only OTHER counts beside the code."""

    TOKENIZER = "tokenizer: the challenge's rule counts code and compressed model and does not name it"
    DATA = "data: the challenge's rule counts code and compressed model and does not name it"
    MODEL = "model: counted as the model"
    CODE_AS_TEXT = "source that is read and not run"
    OWN_OUTPUT = "written by the script itself"
    MEASURED = "its size is asked for, and nothing else of it"
    OTHER = "side file: the script cannot run without it"


def is_document(path: str) -> bool:
    """Whether a file of a folder is there for people, by its name: a README, a log, the declaration, a dotfile."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(DOCUMENT_SUFFIXES) or name in DOCUMENTS or name.startswith((".", "license"))


def side_purpose(name: str, via: str) -> Purpose:
    """The purpose of the file `name` that the function `via` reads."""
    lower = name.lower()
    if lower.endswith(CODE_SUFFIXES):
        return Purpose.CODE_AS_TEXT
    if TOKENIZER.search(name) or via.startswith(("sentencepiece.", "tokenizers.", "tiktoken.")):
        return Purpose.TOKENIZER
    if DATA.search(name) or lower.endswith(DATA_SUFFIXES):
        return Purpose.DATA
    if lower.endswith(MODEL_SUFFIXES) or (MODEL.search(name) and not lower.endswith((".json", ".py", *TEXT_SUFFIXES))):
        return Purpose.MODEL
    return Purpose.OTHER
