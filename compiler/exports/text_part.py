"""The model of text within a larger one, as Hugging Face stores it by itself.

Strategy: an artifact holds the text's weights alone. A folder that named the whole would come up with what it sees by
drawn at random; its text_config and the names of its own class make a whole model of what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..checkpoints.configuration import Configuration
from ..frontends.llama_configuration import text_values
from ..frontends.llama_families import FAMILIES, MULTIMODAL
from ..frontends.llama_names import hugging_face_naming
from ..model.model import ModelTensor

CLASSES = {"gemma3": "Gemma3ForCausalLM", "qwen3_5": "Qwen3_5ForCausalLM"}  # by model type of the whole


def as_text_model(
    configuration: Mapping[str, object], tensors: Sequence[ModelTensor]
) -> tuple[dict[str, object], list[ModelTensor]]:
    """Configuration and tensors of the text alone; both unchanged when they are that already."""
    whole = str(configuration.get("model_type"))
    if whole not in MULTIMODAL:
        return dict(configuration), list(tensors)
    text = text_values(Configuration(configuration, "the artifact's configuration"))
    family = FAMILIES[MULTIMODAL[whole]]
    theirs, alone = (hugging_face_naming(family, names) for names in ([tensor.name for tensor in tensors], ()))
    within, without = (naming.table.removesuffix("embed_tokens.weight") for naming in (theirs, alone))
    renamed = {tensor.name: without + tensor.name.removeprefix(within) for tensor in tensors}
    renamed[theirs.head] = alone.head
    named = [replace(tensor, name=renamed[tensor.name]) for tensor in tensors]
    return {**text, "architectures": [CLASSES[whole]]}, named
