"""The models that head-bottleneck compares: one trunk under heads of several ranks.

Strategy: an arm says which rank its factorized head has. Beside the ranks stand one plain head, and the least rank
with a wider MLP that holds as many weights as the full rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....errors import DataError


@dataclass(frozen=True, slots=True)
class BottleneckOptions:
    """What head-bottleneck can be told beyond its inputs.

    vocabulary : where no tokenizer is given
    width, layers, heads, mlp, length : of the trunk
    ranks : below the width, which is always added
    seeds : trainings of every arm
    checkpoints : measurements on the way, each after twice the updates of the one before
    refit_share : updates of a fresh head on a frozen trunk, of the training's
    flops : a training's budget, instead of minutes
    adamw : trainings by AdamW, not by Muon and Adam
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
    adamw: bool = False


@dataclass(frozen=True, slots=True)
class HeadArm:
    """A model under test.

    rank : of a factorized head, None for one plain matrix; mlp : units of the MLP for each of width
    """

    name: str
    rank: int | None
    mlp: float


def ranks_of(options: BottleneckOptions) -> list[int]:
    """The ranks below the width, ascending. DataError when there is none."""
    ranks = sorted({rank for rank in options.ranks if 0 < rank < options.width})
    if not ranks:
        raise DataError(
            f"no rank of {list(options.ranks)} lies between 0 and the width, {options.width}; name at least one"
        )
    return ranks


def all_arms(options: BottleneckOptions, ranks: Sequence[int], vocabulary_size: int) -> list[HeadArm]:
    """Every rank and the width, one plain head, and the least rank with a wider MLP."""
    width, mlp, least = options.width, options.mlp, ranks[0]
    freed = (vocabulary_size + width) * (width - least)
    wider = (round(mlp * width) + freed // (2 * width * options.layers)) / width
    ranked = [HeadArm(f"rank {rank}", rank, mlp) for rank in (*ranks, width)]
    return [*ranked, HeadArm("plain head", None, mlp), HeadArm(f"rank {least}, wider MLP", least, wider)]


def architecture_of(arm: HeadArm, options: BottleneckOptions, vocabulary_size: int) -> dict[str, object]:
    """The hyperparameters of an arm, whose head is replaced by factors afterwards."""
    return {
        "frontend": "parameter-golf",
        "vocab_size": vocabulary_size,
        "num_layers": options.layers,
        "model_dim": options.width,
        "num_heads": options.heads,
        "num_kv_heads": max(1, options.heads // 2),
        "mlp_mult": arm.mlp,
        "seq_len": options.length,
        "tie_embeddings": False,
    }
