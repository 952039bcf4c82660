"""What an export says of the artifact that it was made of: which one, and the hyperparameters of its program.

Strategy: an artifact holds a program and no hyperparameters. The configuration that it keeps, or else what the
constants of the program say, is given to the frontend of its tensors, and what comes out counts only if it is the very
same program again: an --architecture may have said otherwise than the configuration, and others read that alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import CheckpointError, OutputError
from ...format.artifact import Artifact
from ...format.program.operations import Softcap
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.configuration import Configuration
from ..frontends import build_model, restored_tensors
from ..frontends.decoders_of_a_program import llama_readings, mamba_readings, nanochat_readings
from ..frontends.gpt_of_a_program import readings
from ..frontends.llama_families import FAMILIES as LLAMA_FAMILIES
from ..frontends.llama_families import MULTIMODAL
from ..frontends.llama_names import OUTPUT_BIAS
from ..model.model import Model, ModelTensor
from ..model.structure import exact_tensors

KEPT = "the config.json that the artifact keeps"
TIED = "tie_word_embeddings"
TOLD_BY_SHAPES = (  # of what gated decoders call the same as transformers does
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", TIED),
)
OF_NO_CLASS = ("nanogpt", "mingpt", "first-mingpt", "classroom-gpt", "lecture-gpt")  # whose files may name a model type


def origin_metadata(data: bytes, content: Artifact) -> dict[str, str]:
    """Of which artifact an export is: SHA-256 of the file `data` and of its tensors, in hexadecimal digits, and the
    length of its program's sequences.
    """
    return {
        "bytecap.artifact_sha256": hashlib.sha256(data).hexdigest(),
        "bytecap.tensors_sha256": content.digest.hex(),
        "bytecap.sequence_length": str(content.program.sequence_length),
    }


def export_metadata(data: bytes, content: Artifact, decoded: Sequence[ModelTensor]) -> dict[str, str]:
    """What a .safetensors or .pt file says of itself: `format` as transformers wants it, its origin and, where they
    are known, hyperparameters that build the same program (`config`). `decoded` are the program's tensors.
    """
    found = {"format": "pt", **origin_metadata(data, content)}
    known = architecture_of(content, decoded)
    return found if known is None else found | {"config": json.dumps(known, sort_keys=True)}


def architecture_of(content: Artifact, decoded: Sequence[ModelTensor]) -> Mapping[str, object] | None:
    """Hyperparameters that build an artifact's program from its `decoded` tensors; None where none are known to."""
    kept = content.provenance.get("configuration")
    if isinstance(kept, Mapping) and kept:
        return None if disagreement(content, decoded, kept) else kept
    checkpoint = _checkpoint(content, decoded, None)
    program = content.program
    others = (*llama_readings(program), *nanochat_readings(program), *mamba_readings(program))
    for said in (_constants(program), *readings(program, decoded), *others):
        try:
            model = build_model(checkpoint, said)
        except CheckpointError:
            continue
        if model.program == program and _same(model, content, decoded):
            return dict(model.architecture)
    return None


def complete_configuration(
    content: Artifact, decoded: Sequence[ModelTensor], configuration: Mapping[str, object]
) -> dict[str, object]:
    """The `configuration` with the sizes that it leaves to the tensors, for which others' code takes its own.

    Raises OutputError where whoever reads it would compute something else than the artifact.
    """
    model, wrong = _described(content, decoded, configuration)
    if wrong:
        raise OutputError(
            f"{KEPT} is not the model in it: {wrong}; compile again without, or export a .safetensors or .pt file"
        )
    family = None if model is None else model.architecture.get("family")
    if family in OF_NO_CLASS:
        raise OutputError(
            f"this artifact is a {family}, which neither transformers nor llama.cpp knows; export a .safetensors or "
            ".pt file"
        )
    known = {} if model is None else model.architecture
    llama = LLAMA_FAMILIES.get(str(configuration.get("model_type")))
    theirs = {TIED: TIED} if llama is None else {n: llama.keys.get(n, n) for n in TOLD_BY_SHAPES}
    unsaid = {name: known[n] for n, name in theirs.items() if n in known and name and configuration.get(name) is None}
    return {**configuration, **({} if configuration.get("model_type") in MULTIMODAL else unsaid)}


def disagreement(content: Artifact, decoded: Sequence[ModelTensor], configuration: Mapping[str, object]) -> str:
    """Where the model that a configuration describes is not the artifact's, in words; empty where it is."""
    return _described(content, decoded, configuration)[1]


def _described(
    content: Artifact, decoded: Sequence[ModelTensor], configuration: Mapping[str, object]
) -> tuple[Model | None, str]:
    """The model that a configuration describes, None where there is none, and where it is not the artifact's."""
    if any(tensor.name == OUTPUT_BIAS for tensor in decoded):
        return None, "the head was given a bias (bias-head of the recipe), which no class of transformers has"
    checkpoint = _checkpoint(content, decoded, Configuration(configuration, KEPT))
    given = {"seq_len": content.program.sequence_length, "boundary_token": content.program.boundary_token}
    try:
        model = _built(checkpoint, given)
    except CheckpointError as error:
        return None, str(error)
    if _same(model, content, decoded):
        return model, ""
    return model, "it was compiled with an --architecture that says otherwise, which belongs into the config.json"


def _built(checkpoint: Checkpoint, given: Mapping[str, object]) -> Model:
    """The model of a checkpoint, with what is given where its frontend knows such hyperparameters."""
    try:
        return build_model(checkpoint, given)
    except CheckpointError:
        return build_model(checkpoint)


def _same(model: Model, content: Artifact, decoded: Sequence[ModelTensor]) -> bool:
    """Whether a model is the artifact's: its instructions, the tensors that they name, and what turns heads."""
    exact = exact_tensors(content.program)
    return (
        model.program.instructions == content.program.instructions
        and [tensor.name for tensor in model.tensors] == [tensor.name for tensor in decoded]
        and all(np.array_equal(model.tensors[index].values, decoded[index].values) for index in exact)
    )


def _checkpoint(content: Artifact, decoded: Sequence[ModelTensor], configuration: Configuration | None) -> Checkpoint:
    """What an export of the artifact would be read as."""
    tensors = restored_tensors(content.program, decoded)
    values, dtypes = ({t.name: getattr(t, part) for t in tensors} for part in ("values", "dtype"))
    return Checkpoint(values, dtypes, Path("the artifact"), configuration)


def _constants(program: Program) -> dict[str, object]:
    """Hyperparameters that no shape tells, as far as each has one value in the whole program."""
    bases = {each.base for each in program.instructions if hasattr(each, "base")}
    caps = {each.cap for each in program.instructions if isinstance(each, Softcap)}
    found: dict[str, object] = {"seq_len": program.sequence_length}
    found |= {"rope_base": bases.pop()} if len(bases) == 1 else {}
    return found | ({"logit_softcap": caps.pop()} if len(caps) == 1 else {"logit_softcap": 0.0})
