"""Trains models whose heads have different ranks, and measures on the way what of the gradient each head lets through.

Strategy: all arms share one trunk and one order of the text; only the head is replaced by two factors A B of
a rank. After training the trunk is frozen and a head of full rank is trained on it afresh, by the same updates
for every arm: what then remains between two arms is what their trunks learned, what vanishes is what a narrow
head cannot express. The reverse, narrow heads on the trunk of the full one, measures the second alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ....compiler.model.model import Model
from ....compiler.workers import check_device
from ....files.digests import file_sha256
from ....format.parallel import usable_cores
from ....progress import silent_stage
from ....runtime.tokenizers import SentencepieceTokenizer
from ...measure.head_gradient import measure_head
from ...train.factorized_head import head_tensors, replace_head
from ...train.fresh_models import initial_model
from ...train.training import Schedule, train_model
from ..corpus import CorpusFiles, deal_out, read_documents
from ..document_scores import DocumentScores, score_documents
from ..inputs import Inputs
from ..keeping import KeptParts
from ..training_budget import affordable_updates, measured_speed
from .arms import BottleneckOptions, HeadArm, all_arms, architecture_of, ranks_of

GRADIENT_SEQUENCES = 16
HEAD_COST = 0.5  # of an update of the head alone, the trunk only run forwards, in updates of the whole model
ARCHITECTURAL = (
    "width",
    "layers",
    "heads",
    "length",
    "batch_sequences",
    "checkpoints",
)  # options that an arm depends on


@dataclass(frozen=True, slots=True, eq=False)
class HeadResult:
    """What one arm came to, one entry a seed.

    curves : [seeds][checkpoints] mappings: updates, tokens, loss (nats a token), and the figures of `HeadGradient`
        and `Spectrum`
    scores : of the trained model
    refitted : of a fresh head of full rank on its frozen trunk
    narrow : by rank, of narrow heads on the full arm's trunk, for that arm only
    """

    arm: HeadArm
    weights: int
    curves: tuple[tuple[dict[str, float], ...], ...]
    scores: tuple[DocumentScores, ...]
    refitted: tuple[DocumentScores, ...]
    narrow: Mapping[int, tuple[DocumentScores, ...]]

    def final(self, figure: str) -> np.ndarray:
        """A figure of the last checkpoint, float64 [seeds]."""
        return np.array([curve[-1][figure] for curve in self.curves], np.float64)


class BottleneckStudy:
    """The arms of one set of inputs, each trained once for every seed."""

    def __init__(self, inputs: Inputs, options: BottleneckOptions) -> None:
        check_device(inputs.device)
        self.inputs, self.options, self.threads = inputs, options, inputs.threads or usable_cores()
        corpus = deal_out(
            read_documents(inputs.training, inputs.tokenizer),
            read_documents(inputs.evaluation, inputs.tokenizer),
            training_bytes=options.training_bytes,
            calibration_bytes=0,
        )
        self.files = CorpusFiles(corpus, inputs.folder)
        self.tokenizer_path: Path = inputs.tokenizer or self.files.tokenizer(
            options.vocabulary, options.tokenizer_bytes
        )
        self.tokenizer = SentencepieceTokenizer.load(self.tokenizer_path)
        self.ranks = ranks_of(options)
        self.arms = all_arms(options, self.ranks, self.tokenizer.vocabulary_size)
        self.kept = KeptParts(
            inputs.folder,
            {
                "experiment": "head-bottleneck",
                "training": inputs.training,
                "tokenizer": file_sha256(self.tokenizer_path),
                "text": [options.training_bytes, inputs.tokens],
                "evaluation": inputs.evaluation,
            },
        )

    @property
    def full(self) -> HeadArm:
        """The arm that the others are held against: factors like theirs, of the trunk's whole width."""
        return next(arm for arm in self.arms if arm.rank == self.options.width)

    @cached_property
    def updates(self) -> int:
        """Updates of every training: what the full arm can afford, so that all see the same tokens."""
        model, flops = self._fresh(self.full, 0), self.options.flops
        if flops is None:
            speed = measured_speed(
                self.kept,
                model,
                self.training,
                batch_sequences=self.options.batch_sequences,
                device=self.inputs.device,
                threads=self.threads,
            )
            refits = self.options.refit_share * HEAD_COST * (len(self.arms) + len(self.ranks))
            flops = speed * 60 * self.inputs.minutes / (self.options.seeds * (len(self.arms) + refits))
        return affordable_updates(model, flops, self.options.batch_sequences)

    @cached_property
    def training(self) -> np.ndarray:
        """Tokens trained on."""
        return self.files.token_ids("training", self.tokenizer_path)

    @cached_property
    def evaluation(self) -> np.ndarray:
        """Tokens of whole evaluation documents, about `Inputs.tokens` of them."""
        ids = self.files.token_ids("evaluation", self.tokenizer_path)
        starts = np.flatnonzero(ids == 1)
        end = starts[np.searchsorted(starts, self.inputs.tokens)] if starts[-1] >= self.inputs.tokens else len(ids)
        return ids[:end]

    def measure(self) -> list[HeadResult]:
        """Every arm; what an earlier run kept is not made again."""
        found: dict[str, list[dict]] = {arm.name: [] for arm in self.arms}
        total = len(self.arms) * self.options.seeds
        for done, (number, arm) in enumerate((n, a) for n in range(self.options.seeds) for a in self.arms):
            self.inputs.progress(f"{arm.name}, seed {number}", done, total)
            seed = self.inputs.seed + number
            measure = partial(self._measure_arm, arm, seed)
            found[arm.name].append(self.kept.part("head", self._key(arm, seed), measure))
        self.inputs.progress("arms", total, total)
        return [self._result(arm, found[arm.name]) for arm in self.arms]

    def _key(self, arm: HeadArm, seed: int) -> dict[str, Any]:
        """What the measurement of an arm depends on, beside the texts."""
        return {
            "arm": [arm.rank, arm.mlp],
            "narrow": self.ranks if arm == self.full else [],
            "seed": seed,
            "updates": self.updates,
            "device": self.inputs.device,
            "refit": self.options.refit_share,
            **{name: getattr(self.options, name) for name in ARCHITECTURAL},
            **({"adamw": True} if self.options.adamw else {}),  # else the key that parts have had so far
        }

    def _fresh(self, arm: HeadArm, seed: int) -> Model:
        architecture = architecture_of(arm, self.options, self.tokenizer.vocabulary_size)
        model = initial_model(architecture, seed)
        return model if arm.rank is None else replace_head(model, arm.rank, seed)

    def _measure_arm(self, arm: HeadArm, seed: int) -> dict[str, Any]:
        """Train one arm, measuring on the way, and then heads on its frozen trunk."""
        model, curve = self._fresh(arm, seed), []
        observed = sorted({max(1, self.updates >> k) for k in range(self.options.checkpoints)})
        trained = self._train(
            model,
            seed,
            self.updates,
            f"train {arm.name}, seed {seed}",
            observed=observed,
            observe=lambda updates, now: curve.append(self._observed(updates, now)),
        )
        return {
            "weights": model.parameters,
            "curve": curve,
            "score": self._score(trained).lists,
            "refitted": self._score(self._with_head(trained, None, seed)).lists,
            "narrow": {
                str(rank): self._score(self._with_head(trained, rank, seed)).lists
                for rank in (self.ranks if arm == self.full else ())
            },
        }

    def _with_head(self, model: Model, rank: int | None, seed: int) -> Model:
        """The model with a fresh head of a rank trained on its frozen trunk."""
        fresh = replace_head(model, rank, seed)
        updates = max(1, round(self.updates * self.options.refit_share))
        stage = f"refit a head of rank {rank or self.options.width}"
        return self._train(fresh, seed, updates, stage, trained=head_tensors(fresh))

    def _train(self, model: Model, seed: int, updates: int, stage: str, **more: Any) -> Model:
        return train_model(
            model,
            self.training,
            Schedule(updates, self.options.batch_sequences, seed, adamw=self.options.adamw),
            device=self.inputs.device,
            threads=self.threads,
            progress=partial(self.inputs.progress, stage),
            **more,
        )

    def _observed(self, updates: int, model: Model) -> dict[str, float]:
        """Loss and the diagnostic of the head after so many updates."""
        length = model.program.sequence_length
        count = max(1, min(GRADIENT_SEQUENCES, len(self.evaluation) // length))
        sequences = self.evaluation[: count * length].reshape(count, -1).astype(np.int64)
        how = {"threads": self.threads, "device": self.inputs.device}
        head, hidden, gradient = measure_head(model, sequences, finished=silent_stage, **how)
        return {
            "updates": updates,
            "tokens": updates * self.options.batch_sequences * length,
            "loss": self._score(model).nats_per_token,
            "projected": gradient.projected,
            "random": gradient.random_projected,
            "weighted": gradient.weighted,
            "head_rank": head.rank,
            "head_effective_rank": head.effective_rank,
            "head_condition": head.condition,
            "hidden_effective_rank": hidden.effective_rank,
            "gradient_effective_rank": gradient.hidden_directions,
        }

    def _score(self, model: Model) -> DocumentScores:
        return score_documents(
            model.program, [t.values for t in model.tensors], self.evaluation, self.tokenizer, threads=self.threads
        )

    def _result(self, arm: HeadArm, parts: Sequence[dict[str, Any]]) -> HeadResult:
        def scores(name: str) -> tuple[DocumentScores, ...]:
            return tuple(DocumentScores.of(part[name]) for part in parts)

        narrow = {
            rank: tuple(DocumentScores.of(part["narrow"][str(rank)]) for part in parts)
            for rank in self.ranks
            if parts[0]["narrow"]
        }
        return HeadResult(
            arm,
            parts[0]["weights"],
            tuple(tuple(part["curve"]) for part in parts),
            scores("score"),
            scores("refitted"),
            narrow,
        )
