"""The merged records of the challenge's ten-minute track, as data: which parts their models have, and what shapes do
not tell of them.

Source: the scripts and the logs of training in the public repository's records/track_10min_16mb, folder by folder.
A record's test-time training is no part of its model. Values that are the baseline's are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ....errors import CheckpointError
from ....files.listing import listed
from ....files.nearest_name import known_names
from ....format.registry import keyed
from .hyperparameters import BOTH_LANES, IN_TURN, LEAKY_RELU_SQUARED, NO_LANE
from .traits import (
    BANKS,
    BIGRAM,
    BIGRAM_SUM,
    FACTORIZED,
    FACTORIZED_REVERSE,
    FUSED_QKV,
    GATE_PROJECTION,
    GATE_WEIGHT,
    LANE_LAMBDAS,
    LANE_MERGE,
    REPEAT_MLP,
    SKIP_GATES,
    SMEAR,
    SMEAR_FIRST,
    SMEAR_GATE,
    VALUE_EMBEDDING,
    VOCABULARY_BIAS,
)

BASELINE = "baseline"
Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    name : its folder;  traits : parts whose names its state_dict has;  values : by the names of the scripts;  depth :
    its number of layers
    """

    name: str
    traits: frozenset[str] = frozenset()
    values: Values = field(default_factory=dict)
    depth: int = 9


def _records(depth: int, traits: set[str], values: Values, *names: str) -> tuple[Record, ...]:
    """Records whose models compute alike."""
    return tuple(Record(name, frozenset(traits), values, depth) for name in names)


MARCH_20 = {SMEAR, BIGRAM}
LONG = {"seq_len": 2048}
RESCALED = LONG | {"rope_train_seq_len": 1024}
PARTIAL = {"rotary_dims": 16, "ln_scale": True}
LEAKY = PARTIAL | {"activation": LEAKY_RELU_SQUARED}
MARCH_23 = RESCALED | LEAKY
APRIL = LONG | LEAKY | {"rope_train_seq_len": 2048, "xsa_last_n": 11}
LOOP_45 = APRIL | {"num_loops": 2, "loop_start": 4, "loop_end": 5}
LOOP_345 = APRIL | {"num_loops": 2, "loop_start": 3, "loop_end": 5}
LANES = LOOP_345 | {"rope_train_seq_len": 0, "parallel_start_layer": 8, "document_attention": True}
BANKED_LANES = {BANKS, SKIP_GATES, LANE_LAMBDAS}

RECORDS: Mapping[str, Record] = keyed(
    (
        *_records(
            9,
            set(),
            {},
            "2026-03-17_NaiveBaseline",
            "2026-03-17_LoRA_TTT",
            "2026-03-18_FP16Embed_WD3600",
            "2026-03-18_LowerLR",
            "2026-03-19_MixedQuant_Int6Int8_SlidingWindow",
            "2026-03-19_SlidingWindowEval",
        ),
        *_records(9, set(), LONG, "2026-03-18_LongContextSeq2048"),
        *_records(9, set(), {"seq_len": 4096}, "2026-03-19_TrainingOptSeq4096"),
        *_records(9, set(), {"seq_len": 1408, "rope_train_seq_len": 1024}, "2026-03-19_WarmdownQuantization"),
        *_records(10, set(), {}, "2026-03-19_10L_MixedPrecision"),
        *_records(10, set(), LONG, "2026-03-19_Seq2048_FP16Emb_TunedLR"),
        *_records(
            10,
            set(),
            {"rope_train_seq_len": 1024},
            "2026-03-19_SlidingWindow_FP16Emb_10L_MuonWD_OvertoneInit",
        ),
        *_records(11, set(), {}, "2026-03-19_MLP3x_QAT_Int6_SlidingWindow"),
        *_records(9, {SMEAR_FIRST, BIGRAM_SUM}, {}, "2026-03-19_smeargate_orthoinit_muonwd"),
        *_records(9, MARCH_20, LONG, "2026-03-20_Int6_MLP3x_SmearGate_BigramHash_MuonWD_SWA"),
        *_records(10, MARCH_20, LONG, "2026-03-20_10L_Int5MLP_MuonWD04_SWA50"),
        *_records(11, MARCH_20, RESCALED | {"xsa_last_n": 3}, "2026-03-20_11L_EfficientPartialXSA_FA3_SWA120"),
        *_records(11, MARCH_20, RESCALED | {"xsa_last_n": 4}, "2026-03-20_11L_XSA4_EMA_Int6_MLP3x_WD04_1.1271"),
        *_records(
            11,
            MARCH_20,
            RESCALED | PARTIAL | {"xsa_last_n": 4},
            "2026-03-21_11L_XSA4_EMA_PartialRoPE_LateQAT_1.1248",
        ),
        *_records(
            11,
            MARCH_20 | {VALUE_EMBEDDING},
            RESCALED | PARTIAL | {"xsa_last_n": 4},
            "2026-03-22_11L_EMA_GPTQ-lite_warmdown3500_QAT015_1.1233",
        ),
        *_records(
            11,
            MARCH_20 | {VALUE_EMBEDDING, BANKS},
            MARCH_23 | {"xsa_last_n": 4},
            "2026-03-23_LeakyReLU_LegalTTT_ParallelMuon",
        ),
        *_records(
            10,
            {FUSED_QKV, FACTORIZED, FACTORIZED_REVERSE, VOCABULARY_BIAS},
            {
                "tie_embeddings": True,
                "factorized_norm": "after_projection",
                "rope_base": 5000.0,
                "rope_type": "yarn",
                "rope_train_seq_len": 1024,
                "yarn_max_len": 2048,
                "logit_softcap": 10.0,
                "softcap_type": "poly",
                "bitnet_group_size": 128,
                "fp_storage": "fp8",
            },
            "2026-03-24_74M_Ternary_UNet_FP8_10L_8192BPE_YaRN_NeoMuon",
        ),
        *_records(
            11,
            MARCH_20 | {VALUE_EMBEDDING, BANKS},
            MARCH_23 | {"xsa_last_n": 11},
            "2026-03-25_ValCalib_GPTQ_XSA_BigramHash3072",
            "2026-03-29_Loader_FullGPTQ_XSA11_BigramHash2816",
        ),
        *_records(
            11,
            MARCH_20 | {VALUE_EMBEDDING, SKIP_GATES, REPEAT_MLP} | BANKED_LANES,
            MARCH_23
            | {
                "xsa_last_n": 11,
                "recur_layers": [4, 5],
                "disable_layer0_attn": True,
                "parallel_start_layer": 7,
                "lane_update": IN_TURN,
                "lane_skips": BOTH_LANES,
            },
            "2026-03-31_ParallelResiduals_MiniDepthRecurrence",
        ),
        *_records(
            11,
            {SKIP_GATES, VALUE_EMBEDDING},
            APRIL | {"skips_beyond": "last"},  # every skip has its own weights here
            "2026-04-01_Vocab4096_MLPMult4_WD085",
        ),
        *_records(
            11,
            {SKIP_GATES, VALUE_EMBEDDING},
            APRIL | {"recur_layers": [4, 5], "skips_beyond": "last"},
            "2026-04-03_MuonEqR_DepthRecurrence_WD090_AllInt6",
        ),
        *_records(
            11,
            {SKIP_GATES, VALUE_EMBEDDING, LANE_MERGE},
            APRIL | {"recur_layers": [4, 5], "parallel_start_layer": 7, "lane_skips": NO_LANE},
            "2026-04-04_SP4096_DepthRecurrence_ParallelResid_MuonEqR",
        ),
        *_records(
            11,
            {SKIP_GATES},
            LOOP_45,
            "2026-04-05_SP8192_GPTQ-Embeddings_SDClip_Loop45x2",
            "2026-04-06_SP8192_QK5_LegalTTT_1.0828",
        ),
        *_records(
            11,
            {SKIP_GATES},
            LOOP_45 | {"parallel_residual_start": 7},
            "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence",
        ),
        *_records(
            11,
            {SKIP_GATES, LANE_MERGE},
            LOOP_45 | {"parallel_start_layer": 7},
            "2026-04-08_SP8192_ParallelResid_ScoreFirstTTT",
        ),
        *_records(
            11,
            {SKIP_GATES},
            LOOP_345 | {"parallel_residual_start": 7},
            "2026-04-09_A2_Muon097_3Seed",
            "2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTT",
        ),
        *_records(
            11,
            BANKED_LANES,
            LANES,
            "2026-04-10_VarLenAttn",
            "2026-04-13_VarLenAttn_PhasingTTT2000",
            "2026-04-14_MultiPhaseGlobalSGD_PhasedTTT",
            "2026-04-18_PR1626_CaseOps_Taper",
        ),
        *_records(
            11,
            BANKED_LANES | {SMEAR_GATE, GATE_PROJECTION},
            LANES,
            "2026-04-16_SmearGate_AttentionOutputGate_ScoreFirstTTT",
        ),
        *_records(
            11,
            BANKED_LANES | {GATE_WEIGHT},
            LANES,
            "2026-04-19_SP8192_CaseOps_GatedAttn_QuantGate_Loop45_PhasedTTT",
            "2026-04-22_SP8192_CaseOps_GatedAttn_QuantGate_Loop45_PhasedTTT_MLPClip12",
            "2026-04-23_SP8192_CaseOps_SparseGate_QuantGate_Loop45_PhasedTTT_PolarNS_MinLR_FusedCE",
        ),
        *_records(
            11,
            BANKED_LANES | {SMEAR_GATE, GATE_WEIGHT},
            LANES | {"smear_document_reset": True, "sparse_attn_gate_scale": 0.5},
            "2026-04-27_SP8192_LQER_SparseGate_BOSSmearFix_9HpStack_1.0611",
        ),
        *_records(
            11,
            BANKED_LANES | {SMEAR_GATE, GATE_WEIGHT},
            LANES | {"smear_document_reset": True},
            "2026-04-27_SmearGateBOSFix_PR1787Base_LQERAsym_PhasedTTT",
            "2026-04-29_SmearGateBOSFix_3Seed_1.06141",
        ),
    ),
    "name",
)


def records_of(traits: frozenset[str]) -> list[Record]:
    """The records whose state_dicts have these parts; a factorized table of the usual kind may come with any.

    A record's quantized file has the matrices of its banks one by one, so without banks it may be one with them. Of a
    ternary one the weights may also be as the model uses them, as this program exports them.
    """
    bare = traits if FACTORIZED_REVERSE in traits else traits - {FACTORIZED}
    banked = {bare} if BANKS in bare else {bare, bare | {BANKS}}
    found = [record for record in RECORDS.values() if record.traits in banked]
    as_used = {"bitnet_group_size": 0, "fp_storage": "none"}
    return found + [
        replace(record, name="weights that are ternary already", values={**record.values, **as_used})
        for record in found
        if FUSED_QKV in record.traits
    ]


def short_name(record: Record) -> str:
    """The shortest beginning of a record's name, in whole words, by which `preset_values` finds what it computes."""
    words = record.name.split("_")
    beginnings = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    alike = [each for each in RECORDS.values() if each.values == record.values]
    for beginning in beginnings:
        if {each.name for each in RECORDS.values() if each.name.startswith(beginning)} <= {each.name for each in alike}:
            return beginning
    return record.name


def preset_values(name: str) -> Values:
    """What a preset says: `baseline`, or a record by its folder's name or an unambiguous beginning of it.

    Raises CheckpointError when there is none, or several that compute differently.
    """
    if name == BASELINE:
        return {}
    found = [record for record in RECORDS.values() if record.name.startswith(name)] if name else []
    if not found:
        raise CheckpointError(f"architecture: no preset {name!r}; {known_names(name, (BASELINE, *RECORDS))}")
    if any(record.values != found[0].values for record in found):
        names = listed([record.name for record in found], len(found))
        raise CheckpointError(f"architecture: preset {name!r} is the beginning of several that differ: {names}")
    return found[0].values
