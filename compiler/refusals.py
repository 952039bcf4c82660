"""What needs no torch to be refused: inputs that are not what they were given for, told from their first bytes.

Strategy: torch takes seconds to load, and a mistake is answered before. Whoever works with torch asks here first, and
afterwards reads the files as if nothing had been looked at: every refusal stands in the reader, too, and its words come
from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files.code_files import counted_files, script_closure
from ..files.output import check_output
from ..runtime.data_files import Content, inspect_data
from ..runtime.tokenizers import load_tokenizer
from ..runtime.tokens import needs_tokenizer
from .checkpoints.containers import refuse_other_kinds
from .checkpoints.folder import weight_files
from .effort import DEFAULT_EFFORT
from .frontends.architecture_file import read_architecture
from .inputs import artifact_budget, own_tokenizer
from .profiles import profile_codec
from .recipe import read_recipe


def refuse_inputs(
    checkpoint: Path | None,
    data: Sequence[Path],
    tokenizer: Path | None = None,
    architecture: Path | None = None,
) -> None:
    """Raises CheckpointError and DataError for files that are missing, empty, unreadable or of another kind, for text
    without a tokenizer, and for a tokenizer or architecture file that cannot be read.
    """
    if architecture is not None:
        read_architecture(architecture)
    if checkpoint is not None:
        refuse_other_kinds(weight_files(checkpoint))
    if tokenizer is not None:
        load_tokenizer(tokenizer)
    for path in data:
        if inspect_data(str(path)).content is not Content.SHARD:
            known = tokenizer if checkpoint is None else own_tokenizer(checkpoint, path, tokenizer)
            if known is None:
                raise needs_tokenizer(path)


def refuse_compile(
    caps: Sequence[int],
    code: Sequence[Path],
    outputs: Sequence[Path],
    force: bool,
    *,
    recipe: str | Path = "default",
    effort: int = DEFAULT_EFFORT,
    profile: str = "default",
) -> None:
    """Raises OutputError for outputs that cannot be written, CompileError for a recipe or profile that does not exist,
    DataError for code that cannot be read, and CapError for a cap that leaves nothing for the artifact.
    """
    for output in outputs:
        check_output(output, force)
    read_recipe(recipe, effort)
    profile_codec(profile)
    counted = counted_files(script_closure(list(code)))
    for cap in caps:
        artifact_budget(cap, counted)
