"""The hyperparameters of a Llama, a nanochat and a Mamba that their programs say, for exports without a configuration.

Strategy: as in `gpt_of_a_program`, the constants of the first layer are read off, and whoever asks builds the program
again and compares; so the families of Llamas are simply tried, those first whose names tell them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...format.program import operations as op
from ...format.program.program import Program
from .llama_families import FAMILIES as LLAMAS
from .llama_program import ACTIVATIONS
from .nanochat_shapes import TILE

Said = dict[str, object]


def llama_readings(program: Program) -> Iterator[Said]:
    """Hyperparameters that may build a gated decoder's program, most likely first; nothing where it has no attention,
    rotation, activation or norm.
    """
    found = _first(program, op.Attention, op.Rotate, op.RmsNorm, op.Activation)
    if found is None:
        return
    attention, turn, norm, activation = found
    acts = {kind: name for name, kind in ACTIVATIONS.items()}
    said: Said = {
        "num_attention_heads": attention.heads,
        "rope_theta": turn.base,
        "rope_scaling": {},
        "rms_norm_eps": norm.epsilon,
        "hidden_act": acts.get(activation.kind, ""),
        "seq_len": program.sequence_length,
        "boundary_token": program.boundary_token,
    }
    yield said
    yield from ({**said, "family": family} for family in sorted(LLAMAS, key=lambda name: name != "llama"))


def nanochat_readings(program: Program) -> Iterator[Said]:
    """Hyperparameters that may build the program of a nanochat, or of a fork of modded-nanogpt with its names."""
    found = _first(program, op.Attention, op.Rope | op.Rotate, op.RmsNorm, op.Linear)
    if found is None:
        return
    attention, turn, norm, _ = found
    last = program.instructions[-1]
    windows = [each.window for each in program.instructions if isinstance(each, op.Attention)]
    width = turn.rotary_dims
    said = {
        "vocab_size": program.vocabulary_size,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "sequence_len": 4 * (max(windows) - 1) if max(windows) > TILE else program.sequence_length,
        "window_pattern": "".join("S" if window else "L" for window in windows),
        "rope_theta": turn.base,
        "query_key_factor": round((attention.scale * width**0.5) ** 0.5, 6),
        "logit_softcap": last.cap if isinstance(last, op.Softcap) else 0.0,
        "rms_norm_eps": norm.epsilon,
        "seq_len": program.sequence_length,
        "boundary_token": program.boundary_token,
        "rope_backward": isinstance(turn, op.Rope),
    }
    yield from ({**said, "embedding_norm": normalized} for normalized in (True, False))


def mamba_readings(program: Program) -> Iterator[Said]:
    """Hyperparameters that may build the program of a Mamba."""
    found = _first(program, op.Scan, op.RmsNorm, op.Activation)
    if found is None:
        return
    scan, norm, activation = found
    acts = {kind: name for name, kind in ACTIVATIONS.items()}
    said = {
        "n_groups": scan.groups,
        "layer_norm_epsilon": norm.epsilon,
        "hidden_act": acts.get(activation.kind, ""),
        "seq_len": program.sequence_length,
        "boundary_token": program.boundary_token,
    }
    yield from ({**said, "norm_before_gate": before} for before in (False, True))


def _first(program: Program, *kinds: Any) -> list[Any] | None:
    """The first instruction of each kind; None where there is none of one."""
    found = [next((each for each in program.instructions if isinstance(each, kind)), None) for kind in kinds]
    return None if None in found else found
