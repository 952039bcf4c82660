"""What a peer is, and the two rules that the published pipelines share: control tensors and the passthrough border.

The published routing keeps tensors of at most 65,536 weights in float16, which is nothing at 17 million parameters and
most of the attention at 2 million. `passthrough_elements` moves that border; `passthrough_border` gives the value that
keeps the published meaning, every matrix quantized and nothing else, for a model of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

StateDict = Mapping[str, Tensor]
CONTROL_NAMES = ("attn_scale", "mlp_scale", "resid_mix", "q_gain", "skip_weight")
PUBLISHED_PASSTHROUGH_ELEMENTS = 65_536


class UnsuitableModel(ValueError):
    """A peer's format has no place for this model."""


@dataclass(frozen=True)
class Peer:
    """A published pipeline.

    name : str
    compress : function      (state_dict, hessians, **setting) -> (bytes, decoded state_dict), float32 tensors
    settings : tuple of dict keyword arguments, one a point of its curve; `published` is the index of
        the published one, if any
    needs_hessians : bool    whether `hessians`, a mapping from weight name to E[x xᵀ] [columns,
        columns], may not be None
    missing : function       () -> what has to be installed before it can run here, empty when nothing
    note : function          () -> what differs here from the published pipeline, part of the setting's
        name; empty when nothing
    """

    name: str
    compress: Callable[..., tuple[bytes, dict[str, Tensor]]]
    settings: tuple[dict[str, Any], ...]
    published: int | None
    needs_hessians: bool
    missing: Callable[[], str] = str
    note: Callable[[], str] = str


def is_control(name: str) -> bool:
    """Whether a tensor is one of the small ones that the published scripts keep in float32."""
    return any(part in name for part in CONTROL_NAMES)


def passthrough_border(state_dict: StateDict) -> int:
    """`passthrough_elements` that quantizes every matrix of a model and passes its control tensors through."""
    matrices = [tensor.numel() for name, tensor in state_dict.items() if tensor.ndim == 2 and not is_control(name)]
    return min(PUBLISHED_PASSTHROUGH_ELEMENTS, min(matrices) - 1)
