"""What needs no torch to be refused: inputs that are not what they were given for, told from their first bytes.

Strategy: torch takes seconds to load, and a mistake is answered before. Whoever works with torch asks here first, and
afterwards reads the files as if nothing had been looked at: every refusal stands in the reader, too, and its words come
from there.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError
from ..files.code_files import counted_files, script_closure
from ..files.output import check_output, refuse_own_inputs
from ..runtime.data_files import Content, inspect_data
from ..runtime.tokenizers import find_tokenizer, load_tokenizer
from ..runtime.tokens import needs_tokenizer
from .checkpoints.containers import refuse_other_kinds
from .checkpoints.folder import source_files, weight_files
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
    *,
    outputs: Sequence[Path] = (),
    read: Sequence[Path] = (),
) -> None:
    """outputs : that may be none of these files, nor of others that are `read`

    Raises OutputError for such an output, CheckpointError and DataError for files that are missing, empty, unreadable
    or of another kind, for text without a tokenizer, and for a tokenizer or architecture file that cannot be read.
    """
    given = [path for path in (checkpoint, tokenizer, architecture) if path is not None]
    refuse_own_inputs(outputs, files_read([*given, *data, *read]))
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


def files_read(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that are read where these are given: files, the shards and configurations beside them, those of folders
    of checkpoints and tokenizers, and what patterns match.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if glob.has_magic(str(path)) and not path.exists():
            found += map(Path, glob.glob(str(path)))
        elif path.exists():
            with suppress(CheckpointError, OSError):  # a folder of a tokenizer alone, or one that may not be read
                found += source_files(path)
            tokenizer = find_tokenizer(path) if path.is_dir() else path
            found += [] if tokenizer is None else [tokenizer]
    return found


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
