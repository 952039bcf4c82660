"""Checks of what other people score with: their tables of bytes by token, and their scorers. None of this needs torch.

A scorer is a Python object that the caller made; nothing is loaded from a folder here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .arguments import PathLike, optional_path, paths_of
from .file_errors import deliberate

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.byte_table_checks import TableLike
    from ..runtime.check import Checks


@deliberate
def check_byte_table(
    table: TableLike,
    tokenizer: PathLike | None = None,
    data: PathLike | Sequence[PathLike] | None = None,
    *,
    documents: int = 200,
    max_tokens: int | None = None,
) -> Checks:
    """Check a table of bytes by token, the denominator of bits per byte, against the tokenizer and the text of `data`.

    table       one number, bytes by token, (base bytes, leading space, boundary), a .npy, .json or .pt file, or a
                tokenizer's file, whose own table is taken
    tokenizer   by default `table` itself
    data        texts or token shards, as for `evaluate`; without any only the pieces are judged
    documents   tried there and back

    One record a known fault, passed, failed or skipped, with the factor by which it makes the denominator wrong: see
    docs/scoring.md. Raises DataError for what cannot be read.
    """
    from ..runtime.byte_table_checks import check_byte_table as check
    from ..runtime.check import Checks

    files = None if data is None else paths_of(data)
    return Checks(check(table, optional_path(tokenizer), files, documents=documents, max_tokens=max_tokens))


@deliberate
def check_scorer(
    scorer: Any,
    data: PathLike | Sequence[PathLike] | np.ndarray,
    *,
    tokenizer: PathLike | None = None,
    sequence_length: int,
    stride: int | None = None,
    max_tokens: int = 1 << 14,
    positions: int = 8,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Checks:
    """Check a scorer of your own: probabilities that sum to one, causality, batches, state, each target once, its sum.

    scorer                    an object with `vocabulary_size`, one of `logits`, `log_probabilities` and `token_losses`,
                              and where it has them `evaluate` and `reset`: see bytecap.runtime.scorer_protocol.Scorer
    data                      token ids [n], or token shards or texts as for `evaluate`; the first `max_tokens` targets
    sequence_length, stride   of the windows that its `evaluate` has
    positions                 places that are sampled; tolerance: nats that two answers to one question may differ by

    Raises DataError for data that cannot be read and a scorer without the methods or with results of other shapes.
    """
    import numpy as np

    from ..runtime.check import Checks
    from ..runtime.scorer_checks import check_scorer as check

    found = check(
        scorer,
        data if isinstance(data, np.ndarray) else paths_of(data),
        tokenizer=optional_path(tokenizer),
        sequence_length=sequence_length,
        stride=stride,
        max_tokens=max_tokens,
        positions=positions,
        tolerance=tolerance,
        seed=seed,
    )
    return Checks(found)
