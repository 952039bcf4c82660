"""Where a model is scored: on this process's threads, by torch on a device, or on the workers of a Dask cluster.

Strategy: each place is a `WindowRunner` of its own, so that tokens, windows and counting are the same everywhere. What
computed the losses, and how far it is from the runtime on this machine, is told with the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import CompileError

if TYPE_CHECKING:
    from ..compiler.model.torch_scorer import TorchScorer
    from ..lab.measure.cluster_scoring import OnCluster
    from ..runtime.evaluation import ScoringOptions
    from ..runtime.interpreter import Interpreter
    from .loading import ModelFile

NOTED_DIFFERENCE = 1e-4  # nats a token


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """What computed the losses.

    name : str                          "runtime", or torch with its version and device
    device : str or None                of torch; None for the runtime
    backend : str or None               "dask"; None for this process
    workers : int or None               of a cluster that answered
    processors : tuple of str           theirs; empty without a cluster
    difference : mapping or None        torch's losses minus the runtime's on the first window: `tokens`, `mean_nats`
                                        a token, `largest_nats` of one token; None where nothing was scored by torch
    notes : tuple of str                what of it must be known, in sentences
    """

    name: str = "runtime"
    device: str | None = None
    backend: str | None = None
    workers: int | None = None
    processors: tuple[str, ...] = ()
    difference: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()


RUNTIME = ScoredBy()


@dataclass(slots=True)
class ScoringPlace:
    """A context in which models are scored; the arguments are those of `evaluate`.

    Raises CompileError for a combination that there is not, a device that torch does not see, or a cluster that cannot
    be reached.
    """

    device: str | None = None
    backend: str | None = None
    scheduler: str | None = None
    _client: Any = None  # of distributed
    _stack: ExitStack = field(default_factory=ExitStack)
    _runners: list[TorchScorer | OnCluster] = field(default_factory=list)

    def __enter__(self) -> ScoringPlace:
        if self.backend not in (None, "dask"):
            raise CompileError(f"there is no backend {self.backend!r} for scoring; use dask, or none for this machine")
        if self.device is not None and self.backend is not None:
            raise CompileError("torch on a device and a cluster are two places; give device or backend")
        if self.scheduler is not None and self.backend is None:
            raise CompileError("a scheduler belongs to backend dask")
        if self.backend is not None:
            from ..lab.measure.backends import dask_client

            self._client = self._stack.enter_context(dask_client(self.scheduler))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def placed(self, path: Path, file: ModelFile, model: Interpreter, options: ScoringOptions) -> ScoringOptions:
        """The options with which a model is scored here."""
        if self.device is not None:
            from ..compiler.model.torch_scorer import TorchScorer

            torch_scorer = TorchScorer(model, self.device)
            self._runners.append(torch_scorer)
            return replace(options, run=torch_scorer, scorer=torch_scorer.name)
        if self._client is not None:
            from ..files.artifact_file import read_artifact_file
            from ..lab.measure.cluster_scoring import OnCluster

            payload = read_artifact_file(path) if file.kind == "artifact" else (file.program, list(file.tensors))
            cluster = OnCluster(self._client, payload, options.budget)
            self._runners.append(cluster)
            return replace(options, run=cluster)
        return options

    def told(self) -> ScoredBy:
        """What computed the losses so far."""
        if self.device is not None:
            return self._told_of_torch()
        return RUNTIME if self.backend is None else self._told_of_cluster()

    def _told_of_torch(self) -> ScoredBy:
        from ..compiler.model.torch_scorer import TorchScorer

        runners = [runner for runner in self._runners if isinstance(runner, TorchScorer)]
        apart = [runner.difference for runner in runners if runner.difference is not None]
        if not apart:
            note = f"scored by {runners[0].name}, not by bytecap's runtime; all losses were known from before"
            return ScoredBy(runners[0].name, self.device, notes=(note,))
        worst = max(apart, key=lambda difference: abs(difference.mean_nats))
        difference = {
            "tokens": worst.tokens,
            "mean_nats": worst.mean_nats,
            "largest_nats": max(difference.largest_nats for difference in apart),
        }
        notes = [
            f"scored by {runners[0].name}, not by bytecap's runtime: on the first {worst.tokens:,} tokens it says "
            f"{worst.mean_nats:+.1e} nats a token, and {difference['largest_nats']:.1e} more or less at most for one; "
            "verify counts by the runtime"
        ]
        if not abs(worst.mean_nats) < NOTED_DIFFERENCE:
            notes.append(f"that is more than {NOTED_DIFFERENCE:g} nats a token, too much for sums in another order")
        return ScoredBy(runners[0].name, self.device, difference=difference, notes=tuple(notes))

    def _told_of_cluster(self) -> ScoredBy:
        from ..lab.measure.cluster_scoring import OnCluster, processor_name

        runners = [runner for runner in self._runners if isinstance(runner, OnCluster)]
        workers = set().union(*(runner.workers for runner in runners))
        processors = sorted(set().union(*(runner.processors for runner in runners)))
        notes: tuple[str, ...] = ()
        if set(processors) - {processor_name()}:
            notes = (
                f"workers have other processors ({', '.join(processors)}) than this machine ({processor_name()}); on "
                "another processor products may round otherwise, and the last digits of a loss with them",
            )
        return ScoredBy(backend=self.backend, workers=len(workers), processors=tuple(processors), notes=notes)
