"""A Hugging Face folder: config.json, the weights, and the tokenizer's files.

Strategy: the configuration is the one that the checkpoint had, which the artifact keeps; only what it
says of the weights' type and coding is new. The weights are one model.safetensors, or, coded, the
artifact itself beside a stand-in that transformers refuses unless bytecap's quantizer is registered
(bytecap.integrations.transformers). Everything is written into a hidden sibling first, so that a folder
is there whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import OutputError
from ..checkpoints.export import encode_safetensors

ARTIFACT_NAME = "model.bcap"
QUANTIZATION_METHOD = "bytecap"
WEIGHTS_NAME = "model.safetensors"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)


def configuration_of(provenance: Mapping[str, object]) -> dict[str, object]:
    """The configuration that an artifact keeps. Raises OutputError when its checkpoint had none."""
    configuration = provenance.get("configuration")
    if not isinstance(configuration, Mapping) or "model_type" not in configuration:
        raise OutputError(
            "this artifact keeps no config.json with a model_type, since its checkpoint had none; "
            "export a .safetensors or .pt file"
        )
    return dict(configuration)


def folder_files(
    configuration: Mapping[str, object],
    tensors: Mapping[str, np.ndarray],
    dtypes: Mapping[str, str],
    origin: Mapping[str, str],
) -> dict[str, bytes]:
    """config.json and model.safetensors of float32 `tensors` stored in their `dtypes`; its header has the `origin`."""
    names = list(tensors)
    types = [dtypes[name] for name in names]
    weights = encode_safetensors(names, [tensors[name] for name in names], types, {"format": "pt", **origin})
    return {"config.json": encode_configuration(configuration, types), WEIGHTS_NAME: weights}


def coded_folder_files(
    configuration: Mapping[str, object],
    tensors: Mapping[str, np.ndarray],
    dtypes: Mapping[str, str],
    origin: Mapping[str, str],
    artifact: bytes,
) -> dict[str, bytes]:
    """config.json, the artifact, and a stand-in for the weights, whose header has the `origin`.

    The stand-in has an empty tensor under the name of the largest one: read without bytecap's quantizer,
    transformers stops at the size mismatch and does not go on with random weights.
    """
    largest = max(tensors, key=lambda name: tensors[name].size)
    metadata = {"format": "pt", **origin}
    stand_in = encode_safetensors([largest], [np.zeros(0, np.float32)], ["float32"], metadata)
    quantization = {"quant_method": QUANTIZATION_METHOD, "artifact": ARTIFACT_NAME}
    types = list(dtypes.values())
    config = encode_configuration({**configuration, "quantization_config": quantization}, types)
    return {"config.json": config, ARTIFACT_NAME: artifact, WEIGHTS_NAME: stand_in}


def encode_configuration(configuration: Mapping[str, object], dtypes: Sequence[str]) -> bytes:
    """The bytes of a config.json that says in which type most tensors are."""
    dtype = max(sorted(set(dtypes)), key=list(dtypes).count)
    return (json.dumps({**configuration, "dtype": dtype}, indent=2, sort_keys=True) + "\n").encode()


def tokenizer_files(source: Path) -> dict[str, bytes]:
    """The files of a tokenizer: those of a folder that a tokenizer is known to have, or one file by its own name.

    Raises OutputError when there is none.
    """
    names = [source.name] if source.is_file() else [name for name in TOKENIZER_FILES if (source / name).is_file()]
    folder = source.parent if source.is_file() else source
    if not names:
        raise OutputError(f"{source} has no tokenizer ({', '.join(TOKENIZER_FILES[:5])}, ...)")
    return {name: (folder / name).read_bytes() for name in names}
