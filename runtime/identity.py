"""Whether a tokenizer is the one that a model was made with.

Strategy: an artifact stores the digest of its vocabulary (spec/tensors.md, chapter 9), which a tokenizer's file of any
kind gives again. Where a digest is unknown the sizes are compared, and where the artifact names no tokenizer at all,
its size with the model's rows: what then agrees is not proved, which is said. One function judges; `verify` prints its
check, and whoever scores, generates or exports refuses a tokenizer that fails it.
"""

from __future__ import annotations

from ..errors import DataError
from ..format.identity import Identity, short_digest
from .check import Check, Outcome, judged
from .tokenizers import Tokenizer
from .tokens import size_mismatch

NAME = "identity"


def compare_tokenizer(stored: Identity, rows: int, tokenizer: Tokenizer) -> Check:
    """Whether a tokenizer is the one that a model of `rows` tokens was made with.

    Passed: both digests are known and equal. Failed: they differ, or sizes do that must agree. Skipped: nothing speaks
    against it, but only sizes could be compared. The detail names both; `values` has `stored` and `given`.
    """
    given = tokenizer.identity
    named = f"{tokenizer.source} ({described(given)})"
    values = {"stored": stored.values, "given": {"path": tokenizer.source, **given.values}}
    if stored.pieces is None:
        reason = size_mismatch(tokenizer, rows)
        if reason is not None:
            return Check(NAME, Outcome.FAILED, reason, values)
        sizes = f"only sizes were compared: the model has {rows:,} tokens, and {named}"
        return Check(NAME, Outcome.SKIPPED, f"no tokenizer is named in the model's file; {sizes}", values)
    made_with = f"the artifact was made with a tokenizer of {described(stored)}"
    if stored.tokenizer is not None and given.tokenizer is not None:
        same = stored.tokenizer == given.tokenizer
        detail = f"{named} is the tokenizer it was made with" if same else f"{made_with}; {named} is another one"
        return judged(NAME, same, detail, values)
    if stored.pieces != given.pieces:
        return Check(NAME, Outcome.FAILED, f"{made_with}; {named} is another one", values)
    return Check(NAME, Outcome.SKIPPED, f"{made_with}; of {named} only the size can be compared, which is its", values)


def described(identity: Identity) -> str:
    """`1,024 pieces, 3fa4b2c1d5e6`."""
    return f"{identity.pieces or 0:,} pieces, digest {short_digest(identity.tokenizer)}"


def admit_tokenizer(stored: Identity, rows: int, tokenizer: Tokenizer, *, other: bool = False) -> tuple[str, ...]:
    """What has to be noted of a tokenizer for a model of `rows` tokens, in sentences.

    other : whether another tokenizer than the model's own is wanted; it is then noted and not refused

    Raises DataError for a tokenizer that is not the model's own.
    """
    check = compare_tokenizer(stored, rows, tokenizer)
    if check.outcome is Outcome.FAILED and not other:
        raise DataError(check.detail, argument="other_tokenizer")
    if check.outcome is Outcome.FAILED:
        return (f"another tokenizer than the model's own was wanted: {check.detail}",)
    return (check.detail,) if check.outcome is Outcome.SKIPPED and stored.pieces is not None else ()
