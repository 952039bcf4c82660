"""One small model of every family of Parameter Golf records: its sizes and parts, what must be said of it, its model.

The state_dicts are those of `record_states`, and what they compute is in `naive_record`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from record_states import Record, random_state

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model

LOOP = {"encoder": [0, 1, 2], "decoder": [1, 2, 3]}
LOOP_KEYS = {"num_loops": 1, "loop_start": 1, "loop_end": 2}
RECUR = {"encoder": [0, 1, 2], "decoder": [1, 2, 3]}
SCALED = {"layer_scale": True, "slope": 0.5, "rotary": 4, "exclusive": 4}
SCALED_KEYS = {
    "ln_scale": True,
    "activation": "leaky_relu_squared",
    "rope_dims": 4,
    "xsa_last_n": 11,
    "seq_len": 64,
}
BANKED = {"banks", "skip_gates", "lane lambdas"}
LANES = SCALED | LOOP | {"lanes": "at once", "lanes_from": 3, "documents": True}
LANE_KEYS = SCALED_KEYS | LOOP_KEYS | {"parallel_start_layer": 3}
SLOWED = torch.tensor([1, 5000**-0.25, 5000**-0.5 / (4 / 3), 5000**-0.75 / (5 / 3)])  # at twice the length of training

FAMILIES = {
    "smear before the norm, sum of bigrams": (Record(parts={"bigram sum"}), {}, None),
    "smear, bigrams, exclusive layers": (
        Record(parts={"bigram"}, exclusive=2),
        {"xsa_last_n": 2, "rope_dims": 0, "ln_scale": False, "seq_len": 64},
        None,
    ),
    "base of longer sequences": (
        Record(parts={"bigram"}, base=10_000 * 2 ** (8 / 6), exclusive=2),
        {"xsa_last_n": 2, "rope_dims": 0, "ln_scale": False, "seq_len": 64, "rope_train_seq_len": 32},
        None,
    ),
    "value embeddings": (
        Record(parts={"bigram", "values"}, layer_scale=True, rotary=4, exclusive=2),
        {"xsa_last_n": 2, "rope_dims": 4, "train_seq_len": 64, "activation": "relu_squared"},
        None,
    ),
    "banks": (Record(parts={"bigram", "values", "banks"}, **SCALED), SCALED_KEYS, None),
    "ternary": (
        Record(parts={"ternary"}, group=16, bounded="poly", cap=10.0, table_width=24, base=5000.0),
        {"bitnet_group_size": 16, "fp_storage": "none", "rope_type": "rope"},
        None,
    ),
    "ternary, low frequencies slowed down": (
        Record(parts={"ternary"}, group=16, bounded="poly", cap=10.0, table_width=24, frequencies=SLOWED),
        {"bitnet_group_size": 16, "fp_storage": "none", "rope_train_seq_len": 512, "yarn_max_len": 1024},
        None,
    ),
    "blocks of their own, lanes in turn": (
        Record(
            parts={"bigram", "values", "repeat mlp", "first"} | BANKED,
            **SCALED | RECUR,
            own_blocks=True,
            lanes="in turn",
            lanes_from=3,
            lane_skips="both",
            first_attention=False,
        ),
        SCALED_KEYS | {"recur_layers": [1, 2], "parallel_start_layer": 3, "xsa_last_n": 4},
        None,
    ),
    "repeated layers, late skips": (
        Record(parts={"skip_gates", "values"}, **SCALED | RECUR, late_skips=True),
        SCALED_KEYS | {"recur_layers": "1,2", "skips_beyond": "last"},
        2,
    ),
    "merged lanes without skips": (
        Record(parts={"skip_gates", "values", "lane merge"}, **SCALED | RECUR, lanes_from=2, lane_skips="none"),
        SCALED_KEYS | {"recur_layers": [1, 2], "parallel_start_layer": 2},
        2,
    ),
    "loops": (
        Record(parts={"skip_gates"}, **SCALED | LOOP),
        SCALED_KEYS | LOOP_KEYS | {"parallel_residual_start": -1},
        None,
    ),
    "loops side by side": (
        Record(parts={"skip_gates"}, **SCALED | LOOP, side_by_side=2),
        SCALED_KEYS | LOOP_KEYS | {"parallel_residual_start": 2},
        None,
    ),
    "merged lanes": (
        Record(parts={"skip_gates", "lane merge"}, **SCALED | LOOP, lanes_from=2),
        SCALED_KEYS | LOOP_KEYS | {"parallel_start_layer": 2},
        None,
    ),
    "banked lanes": (Record(parts=BANKED, **LANES), LANE_KEYS, None),
    "the lane of the MLP": (
        Record(parts=BANKED, **LANES, final="mlp"),
        LANE_KEYS | {"parallel_final_lane": "mlp"},
        None,
    ),
    "the lane of attention": (
        Record(parts=BANKED, **LANES, final="attn"),
        LANE_KEYS | {"parallel_final_lane": "attn"},
        None,
    ),
    "gates of two sigmoids": (
        Record(parts=BANKED | {"smear gate", "gate projection"}, **LANES),
        LANE_KEYS | {"smear_document_reset": False},
        None,
    ),
    "gates of the queries": (
        Record(parts=BANKED | {"smear gate", "gate projection"}, **LANES, gate_of_queries=True),
        LANE_KEYS | {"gate_attn_src": "q"},
        None,
    ),
    "dense gates": (Record(parts=BANKED | {"dense gate"}, **LANES), LANE_KEYS, None),
    "sparse gates, smear of a document": (
        Record(parts=BANKED | {"smear gate", "gate"}, **LANES, gate_scale=0.5, smear_documents=True),
        LANE_KEYS | {"sparse_attn_gate_scale": 0.5},
        None,
    ),
    "a factorized table": (Record(table_width=24), {"rope_dims": 0}, None),
    "powers of relu": (Record(power=3), {"activation": "relu_power", "activation_power": 3}, None),
    "another power": (Record(power=4), {"MLP_POWER": "4"}, None),
    "the first power": (Record(power=1), {"activation": "relu_power", "activation_power": 1}, None),
    "MLP gates": (
        Record(parts={"skip_gates", "mlp gate"}, **LOOP),
        {"preset": "baseline"} | LOOP_KEYS,
        None,
    ),
    "MLPs of later passes": (
        Record(parts={"skip_gates", "pass mlp"}, **LOOP),
        {"preset": "baseline"} | LOOP_KEYS,
        None,
    ),
}


def checkpoint_of(state: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint({n: t.numpy() for n, t in state.items()}, dict.fromkeys(state, "float32"), Path("model.pt"))


def family(name: str):
    record, said, skip_rows = FAMILIES[name]
    state = random_state(record, 1, skip_rows)
    return record, state, build_model(checkpoint_of(state), said)


def some_tokens(vocabulary: int, length: int = 29) -> torch.Tensor:
    tokens = torch.randint(2, vocabulary, (2, length), generator=torch.Generator().manual_seed(5))
    tokens[:, 0] = tokens[0, 11] = tokens[1, 12] = tokens[1, 20] = 1
    return tokens
