"""A Granite 4.0 without a state and experts as the plain Granite that it is: what llama.cpp's converter makes of it.

Strategy: gate and up of its MLP, which stand in one tensor, are two under Granite's names; all other numbers have the
same names in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...errors import OutputError
from ..model.model import ModelTensor

HYBRID, PLAIN = "granitemoehybrid", "granite"
JOINED, LAST = ".shared_mlp.input_linear.weight", ".shared_mlp.output_linear.weight"
PARTS = (".mlp.gate_proj.weight", ".mlp.up_proj.weight")
DOWN = ".mlp.down_proj.weight"


def as_granite(
    configuration: Mapping[str, object], tensors: Sequence[ModelTensor]
) -> tuple[dict[str, object], list[ModelTensor]]:
    """Configuration and tensors of a plain Granite; both unchanged for any other model. OutputError where it does not
    rotate, which its model type cannot say.
    """
    if configuration.get("model_type") != HYBRID:
        return dict(configuration), list(tensors)
    if any(".mamba." in tensor.name for tensor in tensors):
        raise OutputError("a GGUF file of a Granite 4.0 that carries a state cannot be written; write a folder")
    if configuration.get("position_embedding_type") != "rope":
        raise OutputError("a GGUF file of a Granite 4.0 without rotations cannot be written; write a folder")
    named = [each for tensor in tensors for each in _renamed(tensor)]
    width = next(tensor.values.shape[1] for tensor in named if tensor.name.endswith(DOWN))
    own = {"model_type": PLAIN, "architectures": ["GraniteForCausalLM"], "intermediate_size": width}
    kept = {name: value for name, value in configuration.items() if name not in ("layer_types", "layers_block_type")}
    return {**kept, **own}, named


def _renamed(tensor: ModelTensor) -> list[ModelTensor]:
    """One tensor under Granite's names."""
    name, values = tensor.name, tensor.values
    if name.endswith(JOINED):
        halves = (values[: len(values) // 2], values[len(values) // 2 :])
        stem = name.removesuffix(JOINED)
        return [replace(tensor, name=stem + part, values=half) for part, half in zip(PARTS, halves, strict=True)]
    return [replace(tensor, name=name.removesuffix(LAST) + DOWN) if name.endswith(LAST) else tensor]
