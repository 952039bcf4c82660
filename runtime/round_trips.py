"""Whether documents come back equal from a tokenizer, and what it does to those that do not.

Strategy: of a text each document is encoded and decoded; of token shards each stretch between boundary tokens is
decoded and encoded. A document that comes back changed is held against the normalizations that tokenizers have, the
fewest that explain it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, islice
from pathlib import Path

import numpy as np

from .check import Check, judged, skipped
from .data_files import documents_of, expand_data, inspect_data
from .document_parts import DocumentText
from .tokenizers import Tokenizer
from .tokenizers.byte_table import runs_between_boundaries
from .tokens import Tokens

WHITE_SPACE = re.compile(r"\s+")
MOST_CHARACTERS = 1 << 16  # of a document that is tried
LOST = "characters that have no piece"
NORMALIZATIONS: dict[str, Callable[[str], str]] = {
    "white space merged or cut": lambda text: WHITE_SPACE.sub(" ", text).strip(),
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "case folded": str.casefold,
}


def check_round_trips(
    tokenizer: Tokenizer, data: str | Path | Sequence[str | Path] | None, documents: int, tokens: Tokens | None
) -> list[Check]:
    """The checks "spelling" and "round trip" on up to `documents` documents, spread over the data."""
    if data is None or tokens is None:
        return [skipped(name, "no data are given") for name in ("spelling", "round trip")]
    if tokens.text is None:
        return _of_tokens(tokenizer, np.asarray(tokens.ids), documents)
    count = 0 if tokens.documents is None else len(tokens.documents)
    texts = _spread(data, count, documents)
    return _of_texts(tokenizer, texts)


def _spread(data: str | Path | Sequence[str | Path], count: int, wanted: int) -> list[str]:
    """Up to `wanted` of the first `count` documents, each cut to MOST_CHARACTERS."""
    step = max(1, count // wanted)
    every = (DocumentText(parts) for path in expand_data(data) for parts in documents_of(inspect_data(path)))
    with_text = (document for document in every if document.is_longer(0))
    return [document.peek(MOST_CHARACTERS) for document in islice(with_text, 0, count, step)][:wanted]


def _of_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Check]:
    changed: Counter[str] = Counter()
    spelled = own = 0
    for text in texts:
        back, length, lost = _there_and_back(tokenizer, text)
        spelled, own = spelled + length, own + len(text.encode())
        if back != text:
            changed[LOST if lost else explain_change(text, back)] += 1
    equal = len(texts) - changed.total()
    values = {"documents": len(texts), "equal": equal, "changes": dict(changed)}
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in changed.most_common())
    detail = f"{equal:,} of {len(texts):,} documents come back equal" + (f"; {reasons}" if reasons else "")
    trip = judged("round trip", not changed, detail, values)
    factor = spelled / own if own else float("nan")
    detail = f"the pieces spell {spelled:,} bytes of {own:,} of {len(texts):,} documents"
    if spelled > own:
        detail += f": the tokenizer rewrites text into longer text, a denominator of pieces is x{factor:.4f}"
    return [judged("spelling", spelled <= own, detail, {"spelled": spelled, "right": own, "factor": factor}), trip]


def _there_and_back(tokenizer: Tokenizer, text: str) -> tuple[str, int, bool]:
    """The text that comes back, how many bytes the pieces spell, without a space put before the first word, and whether
    characters were lost to the unknown piece.
    """
    ids = tokenizer.encode_document(text)
    pieces = tokenizer.pieces
    decoded = tokenizer.decode_runs([ids]) if ids else [""]
    back = tokenizer.decode(ids) if decoded is None else decoded[0]
    added = bool(ids) and bool(pieces.leading_space[ids[0]]) and not text.startswith(" ")
    if added and back.startswith(" "):
        back = back[1:]
    return back, sum(len(pieces.texts[token]) for token in ids) - added, bool(pieces.unknown[ids].any())


def explain_change(text: str, back: str) -> str:
    """The fewest normalizations under which two texts are equal, in words; "other changes" where none make them so."""
    for size in range(1, len(NORMALIZATIONS) + 1):
        for chosen in combinations(NORMALIZATIONS.items(), size):
            one, other = text, back
            for _, normalize in (*chosen, *chosen):  # twice: one may make work for another
                one, other = normalize(one), normalize(other)
            if one == other:
                return " and ".join(name for name, _ in chosen)
    return "other changes"


def _of_tokens(tokenizer: Tokenizer, ids: np.ndarray, documents: int) -> list[Check]:
    """Of token shards: whether the decoded text has the same tokens again."""
    starts, stops = runs_between_boundaries(tokenizer.pieces.boundary, ids)
    step = max(1, len(starts) // documents)
    chosen = list(zip(starts[::step].tolist(), stops[::step].tolist(), strict=True))[:documents]
    runs = [ids[start : min(stop, start + MOST_CHARACTERS)].tolist() for start, stop in chosen]
    decoded = tokenizer.decode_runs(runs)
    texts = [tokenizer.decode(run) for run in runs] if decoded is None else decoded
    equal = sum(tokenizer.encode_document(text) == run for text, run in zip(texts, runs, strict=True))
    detail = f"{equal:,} of {len(runs):,} documents have the same tokens when their text is encoded again"
    values = {"documents": len(runs), "equal": equal}
    return [
        skipped("spelling", "of token shards no text is at hand"),
        judged("round trip", equal == len(runs), detail, values),
    ]
