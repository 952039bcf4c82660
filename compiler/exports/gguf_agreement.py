"""Whether the metadata of a GGUF file describe the model that a configuration describes.

Strategy: the metadata are read as the reader of this package reads them, with llama.cpp's constants where they are
silent, and both configurations go through the frontend that builds the program. Where the two differ in a
hyperparameter that both have, the file would be another model, and is refused by that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import OutputError
from ...files.printable import shown_value
from ..checkpoints.configuration import Configuration
from ..checkpoints.gguf_configuration import gguf_configuration
from ..frontends import gpt_configuration, llama_configuration
from ..frontends.gpt_families import FAMILIES as GPT_FAMILIES
from ..frontends.gpt_resolution import UNLESS_TOLD
from ..frontends.rope_scaling import make_rotation, plain_frequencies

OF_THE_READING = ("seq_len", "boundary_token", "positions", "tie_word_embeddings", "rope_scaling")  # or told otherwise
SAME = 1e-6  # GGUF keeps float32


def refuse_another_model(
    configuration: Mapping[str, object],
    architecture: str,
    metadata: Mapping[str, object],
    factors: Mapping[str, np.ndarray],
) -> None:
    """Raises OutputError where `metadata` and `factors` of the frequencies, read again, are another model."""
    read = gguf_configuration({"general.architecture": architecture, **metadata}, (), factors, Path("the file"))
    layers, head_dim, longest = (
        int(str(metadata[f"{architecture}.{name}"]))
        for name in ("block_count", "attention.value_length", "context_length")
    )
    ours, theirs = (
        _hyperparameters(each, layers, head_dim, longest)
        for each in (Configuration(configuration, "the artifact's configuration"), read)
    )
    for name in [name for name in ours if name in theirs and not _same(ours[name], theirs[name])][:1]:
        raise OutputError(
            f"llama.cpp's {architecture} has {name} {shown_value(theirs[name])} and a GGUF file cannot say otherwise; "
            f"this model has {shown_value(ours[name])}; write a folder"
        )


def _hyperparameters(configuration: Configuration, layers: int, head_dim: int, longest: int) -> dict[str, Any]:
    """What a configuration tells and its model type assumes, the rotations as their frequencies."""
    family = llama_configuration.family_told(configuration)
    found: dict[str, Any]
    if family is None:
        name = str(gpt_configuration.family_told(configuration))
        found = {**UNLESS_TOLD, **GPT_FAMILIES[name].assumed}
        found |= gpt_configuration.read_configuration(configuration, name, layers)
    else:
        told, assumed = llama_configuration.read_configuration(configuration, family, layers)
        found = {**assumed, **told}
        found |= _rotations(found, head_dim)
    window = found.get("sliding_window", 1)
    windowless = window == 0 or window >= longest or found.get("sliding_layers") == []
    if windowless and "rope_local_base_freq" not in found:
        found |= {"sliding_window": 0, "sliding_layers": []}
    return {name: value for name, value in found.items() if name not in OF_THE_READING}


def _rotations(found: Mapping[str, Any], head_dim: int) -> dict[str, object]:
    """The frequencies with which a gated decoder's heads turn, and the factor of cosines and sines."""
    dims = int(head_dim * found.get("partial_rotary_factor", 1))
    turned = make_rotation(found["rope_theta"], dims, found["rope_scaling"], found["seq_len"])
    frequencies = plain_frequencies(turned.base, dims) if turned.scaled is None else turned.scaled
    return {"rotations of frequencies": frequencies.tolist(), "rotations with the factor": turned.factor}


def _same(ours: object, theirs: object) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return abs(ours - theirs) <= SAME * max(abs(ours), abs(theirs))
    return ours == theirs
