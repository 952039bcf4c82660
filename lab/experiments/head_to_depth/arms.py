"""The models that head-to-depth compares: where each keeps its weights, at the same number of them.

Strategy: an arm says which vocabulary, how wide a factorized table, and whether the trunk's blocks are
shared; its architecture follows. Arms that move weights from the head to the trunk are as many weights as the
baseline: the width closest to the baseline's proportions is taken and the MLP takes up what is left. Controls
keep the baseline's trunk and simply hold fewer weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ....compiler.frontends.parameter_golf.given import parse_given
from ....compiler.frontends.parameter_golf.resolution import resolve
from ....compiler.frontends.parameter_golf.shapes import expected_shapes
from ....errors import DataError

LEAST_WIDTH = 16
Architecture = dict[str, object]


@dataclass(frozen=True, slots=True)
class DepthOptions:
    """What head-to-depth can be told beyond its inputs.

    vocabulary, width, layers, heads, mlp, length : of the baseline; small, large : the other vocabularies
    retune_share : operations that retuning a pruned vocabulary takes, of a training's; seeds : trainings of
        every arm
    bits : nominal bits a weight of the baseline, which make the cap
    cap : bytes of every artifact, instead; training_bytes, tokenizer_bytes : text trained on; flops : a
        training's budget, instead of minutes
    """

    vocabulary: int = 1024
    small: int = 512
    large: tuple[int, ...] = (4096, 8192)
    width: int = 48
    layers: int = 4
    heads: int = 4
    mlp: float = 2.0
    length: int = 128
    batch_sequences: int = 16
    retune_share: float = 0.1
    seeds: int = 3
    bits: float = 3.0
    cap: int | None = None
    training_bytes: int = 8_000_000
    calibration_bytes: int = 400_000
    tokenizer_bytes: int = 2_000_000
    flops: float | None = None
    distil: bool = False
    arms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to spend the bytes.

    embedding : columns of a factorized token table, None for a full one; shared : half the blocks, each used
        twice
    matched : as many weights as the baseline, else the baseline's width and blocks; public : with the
        tokenizer that was given
    pruned : the trained baseline over fewer of its pieces, its token tables retuned for a share of the
        training's operations
    """

    name: str
    vocabulary: int
    embedding: int | None = None
    shared: bool = False
    matched: bool = False
    public: bool = False
    pruned: bool = False


BASELINE, SMALL, FACTORIZED, SHARED = "baseline", "small vocabulary", "factorized head", "shared trunk"
SMALL_TO_TRUNK, FACTORIZED_TO_TRUNK = "small vocabulary to trunk", "factorized head to trunk"
FACTORIZED_TO_BLOCKS = "factorized head to own blocks"
PUBLIC, PRUNED = "public tokenizer", "pruned vocabulary, retuned"
EXCHANGES = {SMALL_TO_TRUNK: SMALL, FACTORIZED_TO_TRUNK: FACTORIZED}  # and the control with the same head


def all_arms(options: DepthOptions, public_vocabulary: int | None) -> list[Arm]:
    """Every arm of the options, or those that they name. DataError for a name that there is not."""
    base, quarter = options.vocabulary, max(2, options.width // 4)
    arms = [
        Arm(BASELINE, base),
        Arm(SMALL, options.small),
        Arm(FACTORIZED, base, embedding=quarter),
        Arm(SHARED, base, shared=True, matched=True),
        Arm(SMALL_TO_TRUNK, options.small, shared=True, matched=True),
        Arm(FACTORIZED_TO_TRUNK, base, embedding=quarter, shared=True, matched=True),
        Arm(FACTORIZED_TO_BLOCKS, base, embedding=quarter, matched=True),
        Arm(PRUNED, options.small, pruned=True),
    ]
    for vocabulary in options.large:
        columns = max(2, options.width * base // vocabulary)  # as many weights in the table as the baseline's
        arms.append(Arm(f"{vocabulary} factorized to trunk", vocabulary, embedding=columns, shared=True, matched=True))
    if public_vocabulary is not None:
        arms.append(Arm(PUBLIC, public_vocabulary, public=True))
    unknown = set(options.arms) - {arm.name for arm in arms}
    if unknown:
        raise DataError(f"there is no arm {sorted(unknown)[0]!r}; there are {', '.join(arm.name for arm in arms)}")
    return [arm for arm in arms if not options.arms or arm.name in options.arms or arm.name == BASELINE]


def architecture_of(arm: Arm, options: DepthOptions) -> Architecture:
    """The hyperparameters of an arm. DataError when no width gives it the baseline's number of weights."""
    known = _architecture(arm, options, options.width, options.mlp)
    if not arm.matched:
        return known
    wanted = weights_of(_architecture(Arm(BASELINE, options.vocabulary), options, options.width, options.mlp))
    multiple, found = 2 * options.heads, []
    for width in range(max(LEAST_WIDTH, multiple), 64 * options.width, multiple):
        bare = _architecture(arm, options, width, 1 / width)  # an MLP of one unit
        left = wanted - weights_of(bare)
        if left < 0:
            break
        units = 1 + round(left / (2 * width * bare["num_layers"]))
        found.append((abs(math.log(units / width / options.mlp)), width, units))
    if not found:
        raise DataError(
            f"the arm {arm.name!r} has more weights in its token tables than the whole baseline; take a smaller "
            "vocabulary or a wider baseline"
        )
    _, width, units = min(found)
    return _architecture(arm, options, width, units / width)


def _architecture(arm: Arm, options: DepthOptions, width: int, mlp: float) -> Architecture:
    """The hyperparameters of an arm at one width."""
    known: Architecture = {
        "frontend": "parameter-golf",
        "vocab_size": arm.vocabulary,
        "num_layers": options.layers,
        "model_dim": width,
        "num_heads": options.heads,
        "num_kv_heads": max(1, options.heads // 2),
        "mlp_mult": mlp,
        "seq_len": options.length,
    }
    if arm.embedding is not None:
        known["embedding_dim"] = arm.embedding
    if arm.shared:
        unique = list(range(max(1, options.layers // 2)))
        known |= {"num_layers": len(unique), "encoder_layers": unique, "decoder_layers": unique}
    return known


def weights_of(architecture: Mapping[str, object]) -> int:
    """Number of weights of an architecture."""
    hyperparameters = resolve(parse_given(architecture), {}).hyperparameters
    return sum(math.prod(shape) for shape in expected_shapes(hyperparameters).values())


def is_head(name: str) -> bool:
    """Whether a tensor is part of the vocabulary path: token tables and their factors."""
    return name.startswith(("tok_emb", "lm_head", "embed_proj", "head_proj"))
