"""Any table of bytes by token, held against the tokenizer's pieces and the text: the denominator of bits per byte.

Strategy: a table is what a script divides by, in any of the forms that scripts have; the truth is the text's own bytes
where text is at hand, else the bytes of the pieces. Faults are recognised piece by piece, and what each does to the
denominator is counted on the data. Nothing of a script is run: its table comes as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .byte_table_faults import FAULTS, faults_of_pieces, operator_bytes, spelled_space, spelled_spaces
from .check import Check, judged, skipped
from .checked_pieces import has_case_operators
from .round_trips import check_round_trips
from .token_text import text_of_ids
from .tokenizers import ByteTable, Tokenizer, load_tokenizer
from .tokens import NO_TOKEN, Tokens, read_tokens

BYTE_COUNTS = "table of byte counts"
TableLike = str | Path | float | Sequence[Any] | np.ndarray | ByteTable | Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class GivenTable:
    """A table as scripts have it.

    counts : float64 [V]                  bytes by token; of a script that adds the space beside it, without
    leading_space, boundary : bool [V]    of the latter kind (base bytes, leading space, boundary), else None
    constant : float or None              bytes of every token, where a script has only one number
    """

    counts: np.ndarray
    leading_space: np.ndarray | None = None
    boundary: np.ndarray | None = None
    constant: float | None = None

    @property
    def whole(self) -> np.ndarray:
        """Bytes by token with the space, float64 [V]."""
        return self.counts if self.leading_space is None else self.counts + self.leading_space

    def bytes_of(self, ids: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """float64 [n]: what the script counts of each token; begins : bool [n]  at the beginning of a document."""
        if self.constant is not None:
            return np.full(len(ids), self.constant)
        found = self.counts[ids]
        if self.leading_space is None or self.boundary is None:
            return found
        previous = np.concatenate(([True], self.boundary[ids[:-1]]))
        return found + (self.leading_space[ids] & ~(previous | begins))


def read_table(table: TableLike, pieces: int) -> GivenTable:
    """A table from what is given; DataError for what is none, or has fewer rows than there are pieces.

    table : a number; int [V]; (base bytes [V], leading space [V], boundary [V]); a .npy, .json or .pt file of the
            first two; a tokenizer or its file, whose own table is taken
    """
    if isinstance(table, str | Path):
        table = load_tokenizer(table)
    if isinstance(table, Tokenizer):
        table = table.byte_table()
    if isinstance(table, ByteTable):
        table = (table.base_bytes, table.leading_space, table.boundary)
    if np.ndim(table) == 0:
        return GivenTable(np.zeros(pieces), constant=float(table))  # type: ignore[arg-type]
    given: Any = table
    columns = [np.asarray(column) for column in given] if _is_triple(given) else [np.asarray(given)]
    if any(column.ndim != 1 or column.dtype.kind not in "iufb" for column in columns):
        raise DataError("the table is no list of numbers by token, nor (base bytes, leading space, boundary)")
    short = min(len(column) for column in columns)
    if short < pieces:
        raise DataError(f"the table ends at token {short - 1:,} and the tokenizer has {pieces:,} pieces")
    counts = columns[0][:pieces].astype(np.float64)
    if len(columns) == 1:
        same = pieces > 1 and np.all(counts == counts[0])
        return GivenTable(counts, constant=float(counts[0]) if same else None)
    return GivenTable(counts, columns[1][:pieces].astype(bool), columns[2][:pieces].astype(bool))


def _is_triple(table: Any) -> bool:
    return isinstance(table, tuple | list) and len(table) == 3 and all(np.ndim(column) == 1 for column in table)


def check_byte_table(
    table: TableLike,
    tokenizer: str | Path | Tokenizer | None = None,
    data: str | Path | Sequence[str | Path] | None = None,
    *,
    documents: int = 200,
    max_tokens: int | None = None,
) -> list[Check]:
    """Check a table of bytes by token against the pieces of the tokenizer and the text of `data`.

    table       what a script divides by, as `read_table` takes it
    tokenizer   by default `table` itself, where that is a tokenizer
    data        texts or token shards, as for `evaluate`; without any only the pieces are judged
    documents   tried there and back, spread over the data

    One check a fault of `byte_table_faults.FAULTS`, and "one number for all", "standalone space", "first words",
    "denominator", "spelling" and "round trip". `values` of each: pieces and targets that it touches, bytes that it
    adds, and `factor`, by which it makes the denominator wrong on the data.

    Raises DataError for a table, tokenizer or data that cannot be read.
    """
    if tokenizer is None:
        tokenizer = table if isinstance(table, Tokenizer) else _tokenizer_of(table)
    loaded = tokenizer if isinstance(tokenizer, Tokenizer) else load_tokenizer(tokenizer)
    if loaded.kind == BYTE_COUNTS:
        raise DataError(f"{loaded.source} says how many bytes a token has, not which; give the tokenizer itself")
    given = read_table(table, loaded.vocabulary_size)
    read = None
    if data is not None:
        read = _read(loaded, data, max_tokens)
    checks = _checks_of_counting(loaded, given, read)
    return [*checks, *check_round_trips(loaded, data, documents, read.tokens if read else None)]


def _tokenizer_of(table: TableLike) -> Tokenizer:
    if not isinstance(table, str | Path):
        raise DataError("a table of numbers is checked against its tokenizer; give that, too", argument="tokenizer")
    return load_tokenizer(table)


@dataclass(frozen=True, slots=True, eq=False)
class ReadText:
    """Tokens of the data, and what is right of them.

    ids : int64 [n]; begins : bool [n]   a document begins here
    right : int                          bytes of the text
    is_text : bool                       `right` is of the text itself
    spelled : int64 [k]                  places of spaces that are spelled as three bytes
    doubtful : int                       spaces after unknown pieces, which the rule of the challenge does not count
    """

    tokens: Tokens
    ids: np.ndarray
    begins: np.ndarray
    right: int
    is_text: bool
    spelled: np.ndarray
    doubtful: int = 0


def _read(tokenizer: Tokenizer, data: str | Path | Sequence[str | Path], max_tokens: int | None) -> ReadText:
    tokens = read_tokens(data, tokenizer, tokenizer.vocabulary_size, NO_TOKEN, max_tokens=max_tokens)
    ids = np.asarray(tokens.ids).astype(np.int64)
    pieces = tokenizer.pieces
    begins = np.concatenate(([True], (pieces.boundary & ~pieces.unknown)[ids[:-1]]))
    spelled = spelled_spaces(tokenizer, ids)
    if tokens.text is not None:
        if tokens.documents is not None:
            begins[tokens.documents] = True
        return ReadText(tokens, ids, begins, int(tokens.text.bytes.sum()), True, spelled)
    own = text_of_ids(tokenizer, tokenizer.byte_table(), ids, words=False).bytes
    marks = operator_bytes(tokenizer.pieces.texts, has_case_operators(tokenizer))
    right = int(own.sum()) - 2 * len(spelled) - int(marks[ids].sum())
    doubtful = int(np.count_nonzero(pieces.unknown[ids[:-1]] & pieces.leading_space[ids[1:]]))
    return ReadText(tokens, ids, begins, right, False, spelled, doubtful)


def _checks_of_counting(tokenizer: Tokenizer, given: GivenTable, read: ReadText | None) -> list[Check]:
    pieces = tokenizer.pieces
    if given.constant is not None:
        return [_one_number(given.constant, read), _denominator(given, read)]
    marks = operator_bytes(pieces.texts, has_case_operators(tokenizer))
    right = np.array([len(text) for text in pieces.texts]) - marks
    faults = faults_of_pieces(tokenizer, given.whole, right, marks)
    checks = [judged("one number for all", True, "each token has bytes of its own")]
    for number, fault in enumerate(FAULTS):
        excess = np.where(faults == number, given.whole - right, 0.0)
        found = int(np.count_nonzero(faults == number))
        detail = fault.fine if not found else f"{fault.text}: {found:,} of {len(pieces.texts):,} pieces"
        targets = 0 if read is None else int(np.count_nonzero((faults == number)[read.ids]))
        added = None if read is None else float(excess[read.ids].sum())
        checks.append(_effect(fault.name, not found, detail, read, added, pieces=found, targets=targets))
    return [
        *checks,
        _standalone_space(tokenizer, read),
        _first_words(given, tokenizer, read),
        _denominator(given, read),
    ]


def _effect(name: str, kept: bool, detail: str, read: ReadText | None, added: float | None, **values: object) -> Check:
    """A check with what the fault does to the denominator on the data."""
    if read is None or added is None:
        return judged(name, kept, detail, values)
    factor = (read.right + added) / read.right if read.right else float("nan")
    if not kept:
        detail += f"; it adds {added:,.0f} to {read.right:,} bytes, which makes the denominator x{factor:.4f}"
    return judged(name, kept, detail, {**values, "added_bytes": added, "factor": factor})


def _one_number(constant: float, read: ReadText | None) -> Check:
    detail = f"every token is taken for {constant:g} bytes; bits per byte of such a number are no measurement"
    if read is None:
        return judged("one number for all", False, detail, {"bytes_per_token": constant})
    true = read.right / len(read.ids)
    factor = constant / true
    detail += f"; on the data a token has {true:.3f}, which makes the denominator x{factor:.4f}"
    return judged("one number for all", False, detail, {"bytes_per_token": constant, "right": true, "factor": factor})


def _standalone_space(tokenizer: Tokenizer, read: ReadText | None) -> Check:
    """Whether the bare space has a piece, or is spelled as the three bytes of its marker."""
    if spelled_space(tokenizer) is None:
        return judged("standalone space", True, "a bare space is one piece", {"spaces": 0})
    lacking = "there is no piece for a bare space"
    if read is None:
        return judged("standalone space", False, f"{lacking}: where a text has one it becomes 3 byte pieces", {})
    count = len(read.spelled)
    detail = lacking + (f", and {count:,} of them became 3 byte pieces each" if count else ", but the data need none")
    return _effect("standalone space", not count, detail, read, 2.0 * count, spaces=count)


def _first_words(given: GivenTable, tokenizer: Tokenizer, read: ReadText | None) -> Check:
    """Whether a space is counted before the first word of a document, which is no text."""
    if read is None:
        return skipped("first words", "no data are given")
    first = read.begins & tokenizer.pieces.leading_space[read.ids]
    counted = given.bytes_of(read.ids, read.begins) if given.leading_space is not None else given.counts[read.ids]
    right = np.array([len(text) for text in tokenizer.pieces.texts])
    added = float(np.count_nonzero(first & (counted >= right[read.ids])))
    detail = "no space is counted before the first word of a document"
    if added:
        detail = f"a space is counted before the first word of {added:,.0f} documents, where there is none"
    return _effect("first words", not added, detail, read, added, targets=int(added))


def _denominator(given: GivenTable, read: ReadText | None) -> Check:
    if read is None:
        return skipped("denominator", "no data are given")
    counted = float(given.bytes_of(read.ids, read.begins).sum())
    factor = counted / read.right if read.right else float("nan")
    whose = "the text itself" if read.is_text else "the text of the pieces"
    detail = f"the table counts {counted:,.0f} bytes on {len(read.ids):,} tokens, {whose} is {read.right:,}"
    kept = counted <= read.right + read.doubtful
    if not kept:
        detail += f": x{factor:.4f}, a score of 1 bit per byte is really {factor:.4f}"
    elif counted < read.right:
        detail += f": x{factor:.4f}, scores come out worse than they are"
    values = {"counted": counted, "right": read.right, "tokens": len(read.ids), "factor": factor}
    return judged("denominator", kept, detail, values)
