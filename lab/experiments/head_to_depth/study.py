"""Trains, compiles and scores every arm of head-to-depth, each once for every seed.

Strategy: one training is one kept part, one compile with its scores another. Every arm may take the same number of
floating-point operations and every artifact the same number of bytes; the evaluation documents are the same for all.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ....compiler.checkpoints.checkpoint import read_checkpoint
from ....compiler.frontends import build_model
from ....compiler.inputs import read_model
from ....compiler.model.model import Model
from ....compiler.pipeline import compile_checkpoint
from ....compiler.workers import check_device
from ....files.digests import file_sha256
from ....files.output import write_output
from ....format.artifact import decode_tensors, read_artifact
from ....format.inspection import inspect_artifact
from ....format.parallel import usable_cores
from ....runtime.shards import read_shard
from ....runtime.tokenizers import SentencepieceTokenizer
from ...train.fresh_models import initial_model
from ...train.training import Schedule, train_model
from ...train.vocabulary import kept_pieces, prune_vocabulary, retuned_tensors, write_pruned_tokenizer
from ...train.written_model import write_checkpoint
from ..corpus import CorpusFiles, deal_out, read_documents
from ..document_scores import DocumentScores, score_documents
from ..inputs import Inputs
from ..keeping import KeptParts
from ..training_budget import affordable_updates, measured_speed
from .arms import Architecture, Arm, DepthOptions, all_arms, architecture_of, is_head, weights_of

# Distillation takes most of a compile and gives every arm the same few percent; the other options bound the
# calibration.
RECIPE = "[calibrate]\ntokens = 32768\n[correct-drift]\ntokens = 16384\n[distil]\nenabled = {distil}\n"


@dataclass(frozen=True, slots=True, eq=False)
class ArmResult:
    """What one arm came to.

    scores, float_scores : one a seed, of the artifacts and of the float models; facts : of training and
        compiling, one mapping a seed
    """

    arm: Arm
    architecture: Architecture
    scores: tuple[DocumentScores, ...]
    float_scores: tuple[DocumentScores, ...]
    facts: tuple[dict[str, Any], ...]

    @property
    def bits_per_byte(self) -> float:
        """Of the artifacts, mean over seeds."""
        return float(np.mean([score.bits_per_byte for score in self.scores]))

    def mean(self, fact: str) -> float:
        """A figure of `facts`, mean over seeds."""
        return float(np.mean([facts[fact] for facts in self.facts]))


class DepthStudy:
    """The arms of one set of inputs; `cap` in bytes, the same for all."""

    def __init__(self, inputs: Inputs, options: DepthOptions) -> None:
        check_device(inputs.device)
        self.inputs, self.options = inputs, options
        self.threads = inputs.threads or usable_cores()
        public = None if inputs.tokenizer is None else SentencepieceTokenizer.load(inputs.tokenizer).vocabulary_size
        self.arms = all_arms(options, public)
        self.architectures = {arm.name: architecture_of(arm, options) for arm in self.arms}
        evaluation = read_documents(inputs.evaluation, inputs.tokenizer)
        corpus = deal_out(
            read_documents(inputs.training, inputs.tokenizer),
            evaluation,
            training_bytes=options.training_bytes,
            calibration_bytes=options.calibration_bytes,
        )
        self.files = CorpusFiles(corpus, inputs.folder)
        self.kept = KeptParts(
            inputs.folder,
            {"experiment": "head-to-depth", "training": inputs.training, "batch": options.batch_sequences},
        )

    @cached_property
    def cap(self) -> int:
        """Bytes of every artifact."""
        return self.options.cap or math.ceil(self.options.bits * weights_of(self.architectures["baseline"]) / 8)

    @cached_property
    def flops(self) -> float:
        """Floating-point operations that each training may take."""
        if self.options.flops is not None:
            return self.options.flops
        baseline = self.arms[0]
        speed = measured_speed(
            self.kept,
            self._fresh(baseline, 0),
            self._training_tokens(baseline),
            batch_sequences=self.options.batch_sequences,
            device=self.inputs.device,
            threads=self.threads,
        )
        return speed * 60 * self.inputs.minutes / (len(self.arms) * self.options.seeds)

    def measure(self) -> list[ArmResult]:
        """Every arm; what an earlier run kept is not made again."""
        found: dict[str, list[dict]] = {arm.name: [] for arm in self.arms}
        total = len(self.arms) * self.options.seeds
        for done, (number, arm) in enumerate((n, a) for n in range(self.options.seeds) for a in self.arms):
            self.inputs.progress(f"{arm.name}, seed {number}", done, total)
            found[arm.name].append(self._measure_arm(arm, self.inputs.seed + number))
        self.inputs.progress("arms", total, total)
        return [self._result(arm, found[arm.name]) for arm in self.arms]

    def tokenizer(self, arm: Arm) -> Path:
        """The .model file of an arm.

        The one that was given, the baseline's without its least used pieces, or one trained on the training text.
        """
        if arm.public:
            return self.inputs.tokenizer
        if not arm.pruned:
            return self.files.tokenizer(arm.vocabulary, self.options.tokenizer_bytes)
        source = self.tokenizer(self.arms[0])
        path = source.with_name(f"{source.stem}-pruned-{arm.vocabulary}.model")
        return path if path.is_file() else write_pruned_tokenizer(source, self._kept_pieces(arm), path)

    def _kept_pieces(self, arm: Arm) -> np.ndarray:
        """Ids of the baseline's pieces that a pruned arm keeps."""
        source = self.tokenizer(self.arms[0])
        key = {
            "tokenizer": file_sha256(source),
            "size": arm.vocabulary,
            "bytes": [self.options.training_bytes, self.options.calibration_bytes],
        }
        documents = self.files.corpus.training
        return np.array(
            self.kept.part(
                "pieces",
                key,
                lambda: kept_pieces(SentencepieceTokenizer.load(source), documents, arm.vocabulary).tolist(),
            ),
            np.int64,
        )

    @cached_property
    def evaluated(self) -> tuple[str, ...]:
        """The evaluation documents that the baseline's tokenizer makes about `Inputs.tokens` tokens of."""
        tokenizer, chosen, tokens = SentencepieceTokenizer.load(self.tokenizer(self.arms[0])), [], 0
        for document in self.files.corpus.evaluation:
            if tokens >= self.inputs.tokens:
                break
            chosen.append(document)
            tokens += len(tokenizer.encode_document(document))
        return tuple(chosen)

    def _fresh(self, arm: Arm, seed: int) -> Model:
        return initial_model(self.architectures[arm.name], seed)

    def _training_tokens(self, arm: Arm) -> np.ndarray:
        return self.files.token_ids("training", self.tokenizer(arm))

    def _measure_arm(self, arm: Arm, seed: int) -> dict[str, Any]:
        key, checkpoint = self._key(arm, seed), self._checkpoint(arm, seed)
        trained = self.kept.part("training", key, partial(self._train, arm, seed, checkpoint))
        scored = {
            "cap": self.cap,
            "distil": self.options.distil,
            "documents": file_sha256(self._evaluation_tokens(arm)),
        }
        return trained | self.kept.part("compile", key | scored, partial(self._compile, arm, seed, checkpoint))

    def _key(self, arm: Arm, seed: int) -> dict[str, Any]:
        """What a training depends on, beside the training text."""
        known = {
            "architecture": self.architectures[arm.name],
            "seed": seed,
            "flops": self.flops,
            "device": self.inputs.device,
            "tokenizer": file_sha256(self.tokenizer(arm)),
            "text": [self.options.training_bytes, self.options.calibration_bytes],
        }
        return known | ({"retune": self.options.retune_share} if arm.pruned else {})

    def _checkpoint(self, arm: Arm, seed: int) -> Path:
        name = hashlib.sha256(json.dumps(self._key(arm, seed), sort_keys=True).encode()).hexdigest()[:8]
        return self.inputs.folder / f"{arm.name.replace(' ', '-').replace(',', '')}-{seed}-{name}.safetensors"

    def _start(self, arm: Arm, seed: int) -> tuple[Model, float, Sequence[int] | None]:
        """What a training starts from: the model, the operations it may take, and the tensors trained (None: all)."""
        if not arm.pruned:
            return self._fresh(arm, seed), self.flops, None
        baseline = self.arms[0]
        checkpoint = self._checkpoint(baseline, seed)
        if not checkpoint.is_file():
            self._train(baseline, seed, checkpoint)
        known = build_model(read_checkpoint(checkpoint), self.architectures[baseline.name])
        model = prune_vocabulary(known, self._kept_pieces(arm))
        return model, self.flops * self.options.retune_share, retuned_tensors(model)

    def _train(self, arm: Arm, seed: int, checkpoint: Path) -> dict[str, Any]:
        """Train one arm into a checkpoint."""
        (model, flops, leaves), tokens = self._start(arm, seed), self._training_tokens(arm)
        updates = affordable_updates(model, flops, self.options.batch_sequences)
        trained = train_model(
            model,
            tokens,
            Schedule(updates, self.options.batch_sequences, seed),
            device=self.inputs.device,
            threads=self.threads,
            progress=partial(self.inputs.progress, f"train {arm.name}, seed {seed}"),
            trained=leaves,
        )
        write_checkpoint(trained, checkpoint, force=True)
        seen = updates * self.options.batch_sequences * model.program.sequence_length
        training_bytes = sum(len(document.encode()) for document in self.files.corpus.training)
        return {
            "updates": updates,
            "training_tokens": seen,
            "training_bytes": seen * training_bytes / len(tokens),
            "tokens_a_byte": len(tokens) / training_bytes,
            "weights": model.parameters,
        }

    def _evaluation_tokens(self, arm: Arm) -> Path:
        return self.files.tokens("evaluation", self.tokenizer(arm), self.evaluated)

    def _compile(self, arm: Arm, seed: int, checkpoint: Path) -> dict[str, Any]:
        """Compile a trained arm to the cap and score both.

        An arm whose checkpoint was removed is trained again, to the same weights.
        """
        if not checkpoint.is_file():
            self._train(arm, seed, checkpoint)
        recipe, known = self.inputs.folder / "recipe.toml", checkpoint.with_suffix(".json")
        write_output(recipe, RECIPE.format(distil=str(self.options.distil).lower()).encode(), force=True)
        write_output(known, json.dumps(self.architectures[arm.name]).encode(), force=True)
        compiled = compile_checkpoint(
            checkpoint,
            cap=self.cap,
            calibration=self.files.tokens("calibration", self.tokenizer(arm)),
            output=checkpoint.with_suffix(".bcap"),
            architecture=known,
            recipe=recipe,
            profile="max",
            seed=seed,
            threads=self.threads,
            force=True,
            progress=lambda stage, done, total: self.inputs.progress(f"compile {arm.name}: {stage}", done, total),
        )
        artifact, model = read_artifact(compiled.artifact), read_model(checkpoint, known)
        rows = inspect_artifact(compiled.artifact).tensors
        return {
            "artifact_bytes": len(compiled.artifact),
            "tensor_bytes": sum(row.bytes for row in rows),
            "head_bytes": sum(row.bytes for row in rows if is_head(row.name)),
            "head_weights": sum(row.elements for row in rows if is_head(row.name)),
            "stored_weights": sum(row.elements for row in rows),
            "tokenizer_bytes": self.tokenizer(arm).stat().st_size,
            "artifact": self._score(arm, artifact.program, decode_tensors(artifact)),
            "float": self._score(arm, model.program, [tensor.values for tensor in model.tensors]),
        }

    def _score(self, arm: Arm, program: Any, tensors: Sequence[np.ndarray]) -> dict[str, list]:
        tokenizer, ids = SentencepieceTokenizer.load(self.tokenizer(arm)), read_shard(self._evaluation_tokens(arm))
        score = score_documents(
            program,
            tensors,
            ids,
            tokenizer,
            threads=self.threads,
            finished=partial(self.inputs.progress, f"score {arm.name}"),
        )
        return score.lists

    def _result(self, arm: Arm, parts: Sequence[dict[str, Any]]) -> ArmResult:
        def scores(which: str) -> tuple[DocumentScores, ...]:
            return tuple(DocumentScores.of(part[which]) for part in parts)

        facts = tuple(
            {name: value for name, value in part.items() if name not in ("artifact", "float")} for part in parts
        )
        return ArmResult(arm, self.architectures[arm.name], scores("artifact"), scores("float"), facts)
