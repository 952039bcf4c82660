"""What the names of a state_dict tell about a model of the challenge: which parts it has.

Strategy: a trait is a part that some records have and others do not; names mark it. Records and checkpoints are
compared by their sets of traits, so a checkpoint meets the records that it could be of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ....format.registry import keyed

BANKS = "banks"
FUSED_QKV = "fused-qkv"
SKIP_GATES = "skip-gates"
SMEAR_FIRST, SMEAR, SMEAR_GATE = "smear-before-norm", "smear", "smear-gate"
BIGRAM_SUM, BIGRAM = "bigram-sum", "bigram"
VALUE_EMBEDDING = "value-embedding"
LANE_MERGE, LANE_LAMBDAS = "lane-merge", "lane-lambdas"
GATE_PROJECTION, GATE_WEIGHT, MLP_GATE = "gate-projection", "gate-weight", "mlp-gate"
REPEAT_MLP, PASS_MLP = "repeat-mlp", "pass-mlp"
FACTORIZED, FACTORIZED_REVERSE = "factorized", "factorized-reverse"
VOCABULARY_BIAS = "vocabulary-bias"

BANK_NAMES = ("qo_bank", "kv_bank", "mlp_up_bank", "mlp_down_bank")
ANY_BLOCK = r"blocks\.\d{1,4}\."


@dataclass(frozen=True, slots=True)
class Trait:
    """A part and the names that mark it: a pattern of whole names."""

    name: str
    pattern: str

    def marks(self, tensor: str) -> bool:
        """Whether a tensor belongs to the part."""
        return re.fullmatch(self.pattern, tensor) is not None


TRAITS = keyed(
    (
        Trait(BANKS, "|".join(BANK_NAMES)),
        Trait(FUSED_QKV, ANY_BLOCK + r"attn\.c_qkv\.weight"),
        Trait(SKIP_GATES, "skip_gates"),
        Trait(SMEAR_FIRST, r"smeargate\.gate"),
        Trait(SMEAR, r"smear\.gate"),
        Trait(SMEAR_GATE, r"smear_gate\.weight|smear_lambda"),
        Trait(BIGRAM_SUM, r"bigram_hash\.(table|proj)\.weight"),
        Trait(BIGRAM, r"bigram\.(embed\.weight|proj\.weight|scale)"),
        Trait(VALUE_EMBEDDING, r"ve_shared\.(embed\.weight|proj\.weight|scale)|ve_layer_scales\.\d{1,4}"),
        Trait(LANE_MERGE, "lane_merge"),
        Trait(LANE_LAMBDAS, "parallel_(post|resid)_lambdas"),
        Trait(GATE_PROJECTION, ANY_BLOCK + r"attn\.attn_gate_proj\.weight"),
        Trait(GATE_WEIGHT, ANY_BLOCK + r"attn\.attn_gate_w"),
        Trait(MLP_GATE, ANY_BLOCK + r"mlp\.mlp_gate_proj\.weight"),
        Trait(REPEAT_MLP, r"repeat_mlp\.\d{1,4}\.(fc|proj)\.weight"),
        Trait(PASS_MLP, r"override_mlps\.\d{1,4}_p\d{1,4}\.(fc|proj)\.weight"),
        Trait(FACTORIZED, r"(embed_proj|head_proj)\.weight"),
        Trait(FACTORIZED_REVERSE, r"embed_proj_rev\.weight"),
        Trait(VOCABULARY_BIAS, "vocab_bias"),
    ),
    "name",
)
COMMON = re.compile(
    r"tok_emb\.weight|lm_head\.weight|skip_weights|"
    + ANY_BLOCK
    + r"(attn_scale|mlp_scale|resid_mix|attn\.(q_gain|c_q\.weight|c_k\.weight|c_v\.weight|proj\.weight)"
    r"|mlp\.(fc|proj)\.weight)"
)


def traits_of(names: Iterable[str]) -> frozenset[str]:
    """The parts that a state_dict of these tensors has."""
    names = list(names)
    return frozenset(trait.name for trait in TRAITS.values() if any(trait.marks(name) for name in names))


def recognized(names: Iterable[str]) -> int:
    """How many names are the challenge's."""
    return sum(
        COMMON.fullmatch(name) is not None or any(trait.marks(name) for trait in TRAITS.values()) for name in names
    )
