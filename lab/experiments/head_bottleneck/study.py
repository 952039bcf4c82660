"""Trains models whose heads have different ranks, and measures on the way what of the gradient each head lets through.

Strategy: all arms share one trunk and one order of the text; only the head is replaced by two factors A B of a rank. After training
the trunk is frozen and a head of full rank is trained on it afresh, by the same steps for every arm: what then remains between two
arms is what their trunks learned, what vanishes is what a narrow head cannot express. The reverse, narrow heads on the trunk of
the full one, measures the second alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ....compiler.model.model import Model
from ....compiler.workers import available_threads, check_device
from ....errors import DataError
from ....files.digests import file_sha256
from ....progress import silent_stage
from ....runtime.tokenizer import Tokenizer
from ...measure.head_gradient import measure_head
from ...train.factorized_head import head_tensors, replace_head
from ...train.fresh_models import initial_model
from ...train.training import train_model
from ..corpus import CorpusFiles, deal_out, read_documents
from ..document_scores import DocumentScores, score_documents
from ..inputs import Inputs
from ..keeping import KeptParts
from ..training_budget import affordable_training_steps, measured_speed

GRADIENT_SEQUENCES = 16
HEAD_COST = 0.5  # of a step of the head alone, the trunk only run forwards, in steps of the whole model


@dataclass(frozen=True, slots=True)
class BottleneckOptions:
    """What head-bottleneck can be told beyond its inputs.

    vocabulary : where no tokenizer is given; width, layers, heads, mlp, length : of the trunk; ranks : below the width, which is always added
    seeds : trainings of every arm; checkpoints : measurements on the way, each at twice the steps of the one before
    refit_share : steps of a fresh head on a frozen trunk, of the training's; flops : a training's budget, instead of minutes
    """

    vocabulary: int = 1024
    width: int = 48
    layers: int = 2
    heads: int = 4
    mlp: float = 3.0
    length: int = 128
    batch_sequences: int = 16
    ranks: tuple[int, ...] = (4, 8, 16, 32)
    seeds: int = 3
    checkpoints: int = 5
    refit_share: float = 0.5
    training_bytes: int = 8_000_000
    tokenizer_bytes: int = 2_000_000
    flops: float | None = None


@dataclass(frozen=True, slots=True)
class HeadArm:
    """A model under test; rank : of a factorized head, None for one plain matrix; mlp : units of the MLP for each of width."""

    name: str
    rank: int | None
    mlp: float


@dataclass(frozen=True, slots=True, eq=False)
class HeadResult:
    """What one arm came to, one entry a seed.

    curves : [seeds][checkpoints] mappings: step, tokens, loss (nats a token) and the figures of `HeadGradient`, `Spectrum`
    scores : of the trained model; refitted : of a fresh head of full rank on its frozen trunk; narrow : by rank, of narrow heads
    on the full arm's trunk, for that arm only
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


def nats_of(scores: Sequence[DocumentScores]) -> np.ndarray:
    """float64 [seeds, documents]."""
    return np.stack([score.nats for score in scores])


class BottleneckStudy:
    """The arms of one set of inputs: every rank, the width among them, one plain head, and the narrowest with a wider MLP."""

    def __init__(self, inputs: Inputs, options: BottleneckOptions) -> None:
        check_device(inputs.device)
        self.inputs, self.options, self.threads = inputs, options, inputs.threads or available_threads()
        corpus = deal_out(
            read_documents(inputs.training, inputs.tokenizer), read_documents(inputs.evaluation, inputs.tokenizer),
            training_bytes=options.training_bytes, calibration_bytes=0,
        )  # fmt: skip
        self.files = CorpusFiles(corpus, inputs.folder)
        self.tokenizer_path: Path = inputs.tokenizer or self.files.tokenizer(
            options.vocabulary, options.tokenizer_bytes
        )
        self.tokenizer = Tokenizer.load(self.tokenizer_path)
        self.ranks = sorted({rank for rank in options.ranks if 0 < rank < options.width})
        if not self.ranks:
            raise DataError(
                f"no rank of {list(options.ranks)} lies between 0 and the width, {options.width}; name at least one"
            )
        self.arms = self._arms()
        self.kept = KeptParts(inputs.folder, {
            "experiment": "head-bottleneck", "training": inputs.training, "tokenizer": file_sha256(self.tokenizer_path),
            "text": [options.training_bytes, inputs.tokens], "evaluation": inputs.evaluation,
        })  # fmt: skip

    def _arms(self) -> list[HeadArm]:
        width, mlp = self.options.width, self.options.mlp
        freed = (self.tokenizer.vocabulary_size + width) * (width - self.ranks[0])
        wider = (round(mlp * width) + freed // (2 * width * self.options.layers)) / width
        ranked = [HeadArm(f"rank {rank}", rank, mlp) for rank in (*self.ranks, width)]
        return [
            *ranked,
            HeadArm("plain head", None, mlp),
            HeadArm(f"rank {self.ranks[0]}, wider MLP", self.ranks[0], wider),
        ]

    @property
    def full(self) -> HeadArm:
        """The arm that the others are held against: factors like theirs, of the trunk's whole width."""
        return next(arm for arm in self.arms if arm.rank == self.options.width)

    @cached_property
    def steps(self) -> int:
        """Steps of every training: what the full arm can afford, so that all see the same tokens."""
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
        return affordable_training_steps(model, flops, self.options.batch_sequences)

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
            key = {
                "arm": [arm.rank, arm.mlp],
                "seed": seed,
                "steps": self.steps,
                "device": self.inputs.device,
                "refit": self.options.refit_share,
            }
            key |= {
                name: getattr(self.options, name)
                for name in ("width", "layers", "heads", "length", "batch_sequences", "checkpoints")
            }
            key |= {"narrow": self.ranks if arm == self.full else []}
            found[arm.name].append(self.kept.part("head", key, partial(self._measure_arm, arm, seed)))
        self.inputs.progress("arms", total, total)
        return [self._result(arm, found[arm.name]) for arm in self.arms]

    def _fresh(self, arm: HeadArm, seed: int) -> Model:
        o = self.options
        architecture = {
            "frontend": "parameter-golf", "vocab_size": self.tokenizer.vocabulary_size, "num_layers": o.layers, "model_dim": o.width,
            "num_heads": o.heads, "num_kv_heads": max(1, o.heads // 2), "mlp_mult": arm.mlp, "seq_len": o.length, "tie_embeddings": False,
        }  # fmt: skip
        model = initial_model(architecture, seed)
        return model if arm.rank is None else replace_head(model, arm.rank, seed)

    def _measure_arm(self, arm: HeadArm, seed: int) -> dict[str, Any]:
        """Train one arm, measuring on the way, and then heads on its frozen trunk."""
        model, curve = self._fresh(arm, seed), []
        observed = sorted({max(1, self.steps >> k) for k in range(self.options.checkpoints)})
        trained = self._train(
            model, seed, self.steps, f"train {arm.name}, seed {seed}", observed=observed,
            observe=lambda step, now: curve.append(self._observed(step, now)),
        )  # fmt: skip
        return {
            "weights": model.parameters, "curve": curve, "score": _as_lists(self._score(trained)),
            "refitted": _as_lists(self._score(self._with_head(trained, None, seed))),
            "narrow": {
                str(rank): _as_lists(self._score(self._with_head(trained, rank, seed))) for rank in (self.ranks if arm == self.full else ())
            },
        }  # fmt: skip

    def _with_head(self, model: Model, rank: int | None, seed: int) -> Model:
        """The model with a fresh head of a rank trained on its frozen trunk."""
        fresh = replace_head(model, rank, seed)
        steps = max(1, round(self.steps * self.options.refit_share))
        return self._train(
            fresh, seed, steps, f"refit a head of rank {rank or self.options.width}", trained=head_tensors(fresh)
        )

    def _train(self, model: Model, seed: int, steps: int, stage: str, **more: Any) -> Model:
        return train_model(
            model, self.training, steps=steps, batch_sequences=self.options.batch_sequences, seed=seed, device=self.inputs.device, threads=self.threads,
            progress=partial(self.inputs.progress, stage), **more,
        )  # fmt: skip

    def _observed(self, step: int, model: Model) -> dict[str, float]:
        """Loss and the diagnostic of the head at one step."""
        length = model.program.sequence_length
        count = max(1, min(GRADIENT_SEQUENCES, len(self.evaluation) // length))
        sequences = self.evaluation[: count * length].reshape(count, -1).astype(np.int64)
        head, hidden, gradient = measure_head(model, sequences, threads=self.threads, finished=silent_stage)
        return {
            "step": step, "tokens": step * self.options.batch_sequences * length, "loss": self._score(model).nats_per_token,
            "projected": gradient.projected, "random": gradient.random_projected, "weighted": gradient.weighted,
            "head_rank": head.rank, "head_effective_rank": head.effective_rank, "head_condition": head.condition,
            "hidden_effective_rank": hidden.effective_rank, "gradient_effective_rank": gradient.hidden_directions,
        }  # fmt: skip

    def _score(self, model: Model) -> DocumentScores:
        return score_documents(
            model.program, [t.values for t in model.tensors], self.evaluation, self.tokenizer, threads=self.threads
        )

    def _result(self, arm: HeadArm, parts: Sequence[dict[str, Any]]) -> HeadResult:
        scores = lambda name: tuple(_as_scores(part[name]) for part in parts)  # noqa: E731
        narrow = {
            rank: tuple(_as_scores(part["narrow"][str(rank)]) for part in parts)
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


def _as_lists(scores: DocumentScores) -> dict[str, list]:
    return {"nats": scores.nats.tolist(), "bytes": scores.bytes.tolist(), "tokens": scores.tokens.tolist()}


def _as_scores(lists: Mapping[str, list]) -> DocumentScores:
    return DocumentScores(**{name: np.array(values) for name, values in lists.items()})
