"""Two artifacts side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display import ShownByFacts
from ..errors import ArtifactError
from .arguments import PathLike, paths_of
from .evaluating import EvaluatedText, evaluate
from .file_errors import deliberate
from .progress_bars import ProgressOption

if TYPE_CHECKING:
    from ..format.comparison import Comparison, Side
    from ..runtime.scoring import Gap, Score


@dataclass(frozen=True, slots=True, repr=False)
class Difference(ShownByFacts):
    """How two artifacts differ.

    comparison : Comparison           bytes, tensors, program and provenance
    recipe : tuple of str             what changed in the recipe, in words; empty when it is the same
    scores : pair of Score or None    of the first and the second on the same text, when it was given
    gap : Gap or None                 the second less the first in mBPB, with the standard error over sequences
    text : EvaluatedText or None      the text and how it was read
    """

    comparison: Comparison
    scores: tuple[Score, Score] | None = None
    gap: Gap | None = None
    recipe: tuple[str, ...] = ()
    text: EvaluatedText | None = None

    def shown_facts(self) -> Mapping[str, str]:
        """Whether they differ, in bytes, tensors, program and score."""
        facts = self.comparison.shown_facts()
        return facts if self.gap is None else {**facts, "gap": self.gap.shown_facts()[""]}


@deliberate
def diff(
    first: PathLike,
    second: PathLike,
    *,
    data: PathLike | Sequence[PathLike] = (),
    tokenizer: PathLike | None = None,
    other_tokenizer: bool = False,
    max_tokens: int | None = None,
    progress: ProgressOption = None,
) -> Difference:
    """Compare two artifacts; with `data` (as of `evaluate`) score both on it, in windows that both were made for.

    Raises ArtifactError, and with data what `evaluate` raises.
    """
    from ..format.comparison import compare_sides

    sides = [_read_side(path) for path in (first, second)]
    comparison = compare_sides(*sides)
    recipe = _recipe_changes(comparison.provenance.get("recipe"))
    if not paths_of(data):
        return Difference(comparison, recipe=recipe)
    scored = evaluate(
        second,
        data=paths_of(data),
        tokenizer=tokenizer,
        other_tokenizer=other_tokenizer,
        sequence_length=min(side.artifact.program.sequence_length for side in sides),  # in either order the same
        max_tokens=max_tokens,
        against=first,
        progress=progress,
    )
    if scored.reference is None:
        return Difference(comparison, recipe=recipe)
    return Difference(comparison, (scored.reference, scored.score), scored.gap, recipe, scored.text)


def _read_side(path: PathLike) -> Side:
    """A decoded artifact; an ArtifactError names the file."""
    from ..files.artifact_file import read_artifact_file
    from ..format.comparison import read_side

    try:
        return read_side(read_artifact_file(path))
    except ArtifactError as error:
        error.file = str(path)
        raise


def _recipe_changes(digests: tuple[object, object] | None) -> tuple[str, ...]:
    """What changed between the recipes of two digests: options, where both are named recipes of this version."""
    from ..compiler.recipe import changed_options, find_recipe

    if digests is None:
        return ()
    found = [find_recipe(digest) if isinstance(digest, str) else None for digest in digests]
    words = [
        f"a recipe of the user's own or of another version ({digest or 'not told'})"
        if known is None
        else f"{known[0].name} at effort {known[1]}"
        for digest, known in zip(digests, found, strict=True)
    ]
    first, second = found
    changes = changed_options(first[0], second[0]) if first and second else []
    return (f"{words[0]} then {words[1]}", *changes)
