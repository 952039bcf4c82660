"""tiktoken's vocabularies: files of ranks, and the pickled encodings that nanochat writes.

Strategy: the library encodes with `encode_ordinary`, to which no text is a control piece. A file of ranks does not say
how it cuts words; the number of its ranks tells the public ones apart, and another one is taken for a cl100k, which is
told. A pickle is read without executing it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import DataError
from .pickled_values import Made, read_pickle
from .tables import MOST_IDS
from .tokenizer import Pieces, Tokenizer
from .word_patterns import CL100K, GPT2, O200K, QWEN2

END = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Family:
    """What a public file of ranks does not say: its pattern and its control pieces, by id."""

    pattern: str
    special: Mapping[str, int]
    beginning: int | None = None


def _reserved(first: int, count: int, names: tuple[str, ...]) -> dict[str, int]:
    return {names[k] if k < len(names) else f"<|reserved_special_token_{k}|>": first + k for k in range(count)}


FAMILIES = {
    50256: Family(GPT2, {END: 50256}),
    50280: Family(GPT2, {END: 50256}),
    100256: Family(CL100K, {END: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}),
    128000: Family(CL100K, _reserved(128000, 256, ("<|begin_of_text|>", "<|end_of_text|>")), beginning=128000),
    151643: Family(QWEN2, {END: 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}, beginning=-1),
    199998: Family(O200K, {END: 199999, "<|endofprompt|>": 200018}),
}


class RankTokenizer(Tokenizer):
    """A vocabulary of byte strings by rank, its pattern, and its control pieces."""

    kind = "tiktoken"

    def __init__(self, ranks: Mapping[bytes, int], family: Family, source: str, digest: str) -> None:
        import tiktoken

        super().__init__(source, digest)
        self._ranks, self._special, self.beginning = ranks, family.special, family.beginning
        _check_ids(ranks, family.special, source)
        missing = [value for value in range(256) if bytes([value]) not in ranks]
        if missing:
            raise DataError(
                f"{source} lacks {len(missing)} of the 256 single bytes, which merging begins with; copy it again"
            )
        try:
            self._library = tiktoken.Encoding(
                source, pat_str=family.pattern, mergeable_ranks=dict(ranks), special_tokens=dict(family.special)
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(f"{source}: tiktoken cannot use its ranks: {error}") from error

    @cached_property
    def pieces(self) -> Pieces:
        size = 1 + max([*self._ranks.values(), *self._special.values()])
        texts, boundary = [b""] * size, set(range(size))
        for text, token in self._ranks.items():
            texts[token] = text
            boundary.discard(token)
        return Pieces.of(texts, sorted(boundary | set(self._special.values())))

    def encode_document(self, text: str) -> list[int]:
        return self._library.encode_ordinary(text)

    def decode_runs(self, runs: list[list[int]]) -> list[str]:
        return [self._library.decode_bytes(run).decode("utf-8", "replace") for run in runs]

    def piece(self, token: int) -> str:
        name = next((name for name, special in self._special.items() if special == token), None)
        return super().piece(token) if name is None else name


def _check_ids(ranks: Mapping[bytes, int], special: Mapping[str, int], source: str) -> None:
    """DataError for what tiktoken would stop the process at, or ids so large that a table of them fills the memory."""
    ids = [*ranks.values(), *special.values()]
    if (
        not all(isinstance(text, bytes) for text in ranks)
        or not all(isinstance(text, str) for text in special)
        or not all(type(token) is int and 0 <= token < MOST_IDS for token in ids)
    ):
        raise DataError(
            f"{source} is no vocabulary of byte strings and control pieces with an id below {MOST_IDS:,} each; copy it "
            "again"
        )
    if len(set(ids)) != len(ids):
        raise DataError(f"{source} gives two of its pieces the same id; copy it again")


def read_ranks(data: bytes, source: str) -> RankTokenizer:
    """A file of lines of base64 text and rank; DataError with the line that is something else."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            text, rank = line.split()
            ranks[base64.b64decode(text, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise DataError(f"{source} is no file of ranks: line {number} is not base64 and a number") from error
    if not ranks:
        raise DataError(f"{source} holds no ranks; copy it again")
    family = FAMILIES.get(len(ranks), Family(CL100K, {}))
    tokenizer = RankTokenizer(ranks, family, source, hashlib.sha256(data).hexdigest())
    if len(ranks) not in FAMILIES:
        tokenizer.assumed = (
            f"{source} does not say how it cuts words; with {len(ranks):,} ranks it is none of the public "
            "vocabularies, and the pattern of cl100k was taken",
        )
    return tokenizer


def read_pickled_encoding(data: bytes, source: str) -> RankTokenizer:
    """A pickled tiktoken.Encoding (nanochat's tokenizer.pkl), nothing of it executed; DataError when it is none."""
    value = read_pickle(data, source)
    state: Any = value.state if isinstance(value, Made) else value
    if isinstance(state, str):
        raise DataError(
            f"{source} holds only the name {state!r} of one of tiktoken's encodings; give its .tiktoken file of ranks"
        )
    if not isinstance(state, Mapping) or not {"pat_str", "mergeable_ranks"} <= state.keys():
        raise DataError(f"{source} is no pickled tiktoken encoding; give the tokenizer's own file")
    special, ranks = state.get("special_tokens") or {}, state["mergeable_ranks"]
    if not isinstance(special, Mapping) or not isinstance(ranks, Mapping) or not isinstance(state["pat_str"], str):
        raise DataError(f"{source} is no pickled tiktoken encoding: its fields are of other types; copy it again")
    beginning = next((special[name] for name in ("<|bos|>", "<|begin_of_text|>") if name in special), None)
    family = Family(state["pat_str"], special, beginning)
    return RankTokenizer(ranks, family, source, hashlib.sha256(data).hexdigest())
