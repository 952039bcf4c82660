"""Layers that are lists: `layers.0.0.to_qkv` and `layers.0.1.net.0`, where numbers stand for attention and MLP.

Strategy: of two numbers that all names in a layer begin with, the first is the attention where one lies behind it, and
the second the MLP. So people write who keep pairs of modules, each alone or in one that normalizes before it. Pairs in
the other order, which compute something else, are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

ATTENTION, MLP = "attn", "mlp"  # words in the place of the numbers


def with_words(stems: Iterable[str], is_of_attention: Callable[[str], bool]) -> dict[str, str]:
    """By stem, it with a word in the place of the number before it, or itself where numbers do not stand for these."""
    stems = [*stems]
    split = [stem.partition(".") for stem in stems]
    numbers = {number for number, _, _ in split}
    attends = {number for number, _, rest in split if rest and is_of_attention(rest)}
    listed = len(numbers) == 2 and len(attends) == 1 and all(number.isdecimal() and dot for number, dot, _ in split)
    if not listed or min(numbers, key=int) not in attends:
        return {stem: stem for stem in stems}
    return {
        stem: f"{ATTENTION if number in attends else MLP}.{rest}"
        for stem, (number, _, rest) in zip(stems, split, strict=True)
    }
