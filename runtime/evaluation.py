"""From a program, its tensors and a data file to a score: the one path of `eval`, `verify` and the demo.

Strategy: read the tokens, hold the byte table against the decoded text of all documents that will
be scored, and only then run the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..format.program.program import Program
from ..progress import StageProgress
from .interpreter import Interpreter
from .scoring import Score, score, target_count
from .tokenizers import ByteTable, Tokenizer, load_tokenizer
from .tokens import Tokens, read_tokens


def evaluate_program(
    program: Program,
    tensors: Sequence[np.ndarray],
    data_path: str | Path,
    tokenizer_path: str | Path,
    *,
    sequence_length: int | None = None,
    stride: int | None = None,
    max_tokens: int | None = None,
    threads: int | None = None,
    progress: StageProgress | None = None,
) -> Score:
    """Bits per byte of `program` over float32 `tensors` on a shard or UTF-8 text.

    `sequence_length` defaults to the program's own; the other options are those of `scoring.score`.
    Raises DataError for whatever is wrong with the data, the tokenizer or their fit to the program,
    and for a byte table that the text contradicts; VerificationError when the model's losses are
    not finite.
    """
    tokenizer = load_tokenizer(tokenizer_path)
    tokens = read_tokens(data_path, tokenizer, program.vocabulary_size, program.boundary_token)
    length = program.sequence_length if sequence_length is None else sequence_length
    byte_table = checked_byte_table(tokenizer, tokens, length, max_tokens)
    model = Interpreter(program, tensors)
    return score(
        model,
        tokens,
        byte_table,
        sequence_length=length,
        stride=stride,
        max_tokens=max_tokens,
        threads=threads,
        progress=progress,
    )


def checked_byte_table(
    tokenizer: Tokenizer, tokens: Tokens, sequence_length: int, max_tokens: int | None = None
) -> ByteTable:
    """The tokenizer's byte table, checked against the text of every document that the scored targets touch.

    Raises DataError when the tokens give no sequence of `sequence_length` or the text contradicts
    the table.
    """
    byte_table = tokenizer.byte_table()
    scored = target_count(tokens, sequence_length, max_tokens) + 1
    beyond = np.flatnonzero(byte_table.boundary[tokens.ids[scored:]])
    end = scored + int(beyond[0]) if beyond.size else len(tokens.ids)
    tokenizer.check_decoding(tokens.ids[:end], tokens.source)
    return byte_table
