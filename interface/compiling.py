"""Compiling a checkpoint, the one function that writes an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.common_baseline import pin_instructions
from .arguments import PathLike, optional_path, paths_of, selection_of, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..compiler.pipeline import CompileResult


@deliberate
def compile(
    checkpoint: PathLike,
    *,
    cap: int | str,
    calibration: PathLike,
    output: PathLike | None = None,
    tokenizer: PathLike | None = None,
    code: Sequence[PathLike] = (),
    evaluation: PathLike | Sequence[PathLike] = (),
    evaluation_tokens: int | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    recipe: PathLike = "default",
    effort: int = 5,
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    reproducible: bool = False,
    work: PathLike | None = None,
    keep_work: bool = False,
    report: PathLike | None = None,
    force: bool = False,
    progress: ProgressOption = None,
) -> CompileResult:
    """Compile a checkpoint to an artifact that fits, with the code files, under `cap` bytes.

    checkpoint     a Hugging Face folder, .safetensors, .pt, .gguf, llama2.c .bin or .int8.ptz
    cap            an integer or a text such as "16MB"
    calibration    token shard, or text with its `tokenizer`; refused when it holds text of `evaluation`
    evaluation     `report["score"]` has the scores of artifact and checkpoint on its first `evaluation_tokens`
    output         where to write; without it the artifact is only in the result
    code           scripts that count against the cap with the local modules they import
    architecture   TOML or JSON with what the shapes of the checkpoint cannot tell
    weights, ignore, rename   which tensors of the checkpoint are read, and by which names: see `describe`
    recipe, effort     name or file of a recipe; 1 (quick) to 9 (everything), for what the recipe does not name
    profile, device    "max" (smallest), "default" or "fast" (to decode); where models run, "cpu" or "cuda"
    work           folder in which a killed run goes on; with `keep_work` it stays, for other caps
    report         an HTML page to write from `report["explanation"]` of the result, measured only then
    reproducible   the same bytes on every x86-64 processor with AVX2; before numpy or torch is imported
    The bytes do not depend on `threads`. Raises CheckpointError, DataError, CompileError, CapError or OutputError.
    """
    plain = {"effort": effort, "profile": profile, "device": device, "seed": seed, "threads": threads, "force": force}
    plain |= {"evaluation_tokens": evaluation_tokens, "keep_work": keep_work, "reproducible": reproducible}
    texts = {"calibration": Path(calibration), "evaluation": [Path(path) for path in paths_of(evaluation)]}
    options: dict[str, Any] = {
        **(plain | texts),
        **{"output": optional_path(output), "work": optional_path(work)},
        **{"tokenizer": optional_path(tokenizer), "architecture": optional_path(architecture)},
        "selection": selection_of(weights, ignore, rename),
        **{"cap": size_in_bytes(cap), "code": [Path(path) for path in code]},
        "recipe": recipe if isinstance(recipe, str) else Path(recipe),
    }
    _refuse(Path(checkpoint), optional_path(report), options)
    with heard(progress) as listener:
        return _compiled(Path(checkpoint), optional_path(report), options | {"progress": listener})


def _refuse(checkpoint: Path, page: Path | None, options: dict[str, Any]) -> None:
    """What needs no torch to be refused, before it is loaded; and what it is to use is settled."""
    if options["reproducible"]:
        pin_instructions()
    from ..compiler.refusals import refuse_compile, refuse_inputs

    how = {name: options[name] for name in ("recipe", "effort", "profile")}
    written = [path for path in (options["output"], page) if path is not None]
    known_later = options["work"] is not None  # a killed run may have written them
    free = [] if known_later else written
    refuse_compile([options["cap"]], options["code"], free, options["force"], **how)
    data = [options["calibration"], *options["evaluation"]]
    others = {"outputs": written, "read": [*options["code"], Path(options["recipe"])]}
    refuse_inputs(checkpoint, data, options["tokenizer"], options["architecture"], **others)


def _compiled(checkpoint: Path, page: Path | None, options: dict[str, Any]) -> CompileResult:
    if page is not None:
        from ..report.compile_page import compile_with_page

        return compile_with_page(checkpoint, page, **options)
    from ..compiler.pipeline import compile_checkpoint

    return compile_checkpoint(checkpoint, **options)
