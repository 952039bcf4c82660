"""Gated decoders: Llama and its kin under the names of Hugging Face, of which `llama_families` has the list; llama2.c
under those of Meta.

Strategy: what the families do is data (`llama_families`), what a config.json says becomes hyperparameters
(`llama_configuration`, `llama_resolution`), and one builder writes the program (`llama_program`). The tensors are
the checkpoint's own, but for what `restore` undoes: fused maps are read in parts, gains that are stored less 1 have it
added, a convolution's weights stand tap by tap, and scaled frequencies of rotations are a tensor of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...files.listing import listed
from ...format.program.operations import RopeLayout
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.configuration import Configuration
from ..model.model import Model, ModelTensor
from .biases import refuse_unread
from .layouts import column_taps, kinds_of_blocks, rows_of_taps, tensor_of_blocks
from .llama_attention import rotations
from .llama_configuration import family_told, family_values
from .llama_families import FAMILIES, MULTIMODAL
from .llama_hyperparameters import FRONTEND_NAME, Hyperparameters
from .llama_names import (
    ATTENTION_GATE,
    FREQUENCIES,
    GAIN_OF_ONE,
    MAPS,
    QUERIES_AND_GATES,
    TAPS,
    Naming,
    recognized,
    stored_name,
    with_rows,
)
from .llama_own_words import is_ones_own
from .llama_program import build_program
from .llama_resolution import parse_given, resolve
from .llama_shapes import bias_of, check_shapes, map_heights
from .llama_states import MIXER, module_of_a_mixer
from .parts import add_one, join_parts, split_rows, subtract_one
from .state_mixer import biases_of_mixers, mixer_values

OTHERWISE = 'say frontend = "gpt", family = "handwritten" and rope_interleaved = {} in an --architecture file'
TURNED_BY_NAMES = {
    RopeLayout.INTERLEAVED: "its names are those of Meta's code, whose rotations turn neighbouring elements of a head; "
    f"if yours turn those of its two halves, {OTHERWISE.format('false')}",
    RopeLayout.HALF_SPLIT: "its names are those of transformers, whose rotations turn the elements of a head's two "
    f"halves; if yours turn neighbouring ones, {OTHERWISE.format('true')}",
}
BESIDE_TEXT = tuple(
    f"{before}{part}." for before in ("", "model.") for part in ("vision_tower", "multi_modal_projector", "visual")
)
OF_LATER_TOKENS = "mtp."  # layers that predict the tokens behind the next


class Llama:
    """State_dicts of LlamaForCausalLM and its kin, and of llama2.c."""

    name = FRONTEND_NAME
    model_types = (*FAMILIES, *MULTIMODAL)

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are those of gated decoders, as a checkpoint or a program has them."""
        return recognized(names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        checkpoint, notes = _text_part(checkpoint)
        resolved = resolve(checkpoint, parse_given(architecture))
        h, naming = resolved.hyperparameters, resolved.naming
        if _may_be_anothers(checkpoint.configuration):
            notes = (*notes, TURNED_BY_NAMES[naming.layout])
        check_shapes(checkpoint, h, naming)
        _check_biases(checkpoint, h, naming)
        heights = [map_heights(h, layer) for layer in range(h.num_hidden_layers)]
        naming = with_rows(naming, heights, h.num_attention_heads)
        builder = build_program(h, naming, checkpoint.tensors)
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        values = _as_read(h, naming, checkpoint.tensors)
        dtypes = {name: checkpoint.dtypes.get(stored_name(name), "float32") for name in builder.names}
        tensors = builder.tensors(values, dtypes)
        return Model(program, tensors, h.document(), resolved.assumed, resolved.told, notes=notes)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them, from those that the program reads."""
        stored = [tensor for tensor in tensors if tensor.name not in (FREQUENCIES, GAIN_OF_ONE)]
        joined = join_parts([column_taps(tensor) for tensor in subtract_one(stored)])
        return [tensor_of_blocks(tensor) for tensor in joined]


def _may_be_anothers(configuration: Configuration | None) -> bool:
    """Whether nobody says whose code it is: Meta's arguments are those of its forks, too."""
    return configuration is None or is_ones_own(configuration) or bool(configuration.stated)


def _check_biases(checkpoint: Checkpoint, h: Hyperparameters, naming: Naming) -> None:
    """Raises CheckpointError for biases that the family which a configuration names does not have."""
    if checkpoint.configuration is None or family_told(checkpoint.configuration) != h.family:
        return
    places = {name: place for name in checkpoint.tensors if (place := naming.place(name)) and place[2] == "bias"}
    parts = {stored: part for part, stored in naming.parts.items()}
    biases = [(name, parts[stored]) for name, (_, stored, _) in places.items()]
    single = {bias_of(name): each for each, name in naming.singles().items()}
    biases += [(name, each) for name, each in single.items() if name in checkpoint.tensors]
    biases += biases_of_mixers(MIXER, checkpoint.tensors)
    values = family_values(checkpoint.configuration, h.family)
    refuse_unread(checkpoint, h.family, h.traits.biases, values, biases)


def _text_part(checkpoint: Checkpoint) -> tuple[Checkpoint, tuple[str, ...]]:
    """A checkpoint without what a larger model has beside its model of the next token, and what is said of that."""
    reasons = {BESIDE_TEXT: "only text is modelled", OF_LATER_TOKENS: "only the next token is predicted"}
    tensors, notes = dict(checkpoint.tensors), ()
    for beginning, reason in reasons.items():
        beside = [name for name in tensors if name.startswith(beginning)]
        notes = (*notes, f"left out, since {reason}: {listed(beside)}") if beside else notes
        for name in beside:
            del tensors[name]
    return replace(checkpoint, tensors=tensors) if notes else checkpoint, notes


def _as_read(h: Hyperparameters, naming: Naming, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by the names of a program: the inverse of `Llama.restore`."""
    values = dict(tensors)
    if naming.rows:
        for name in tensors:
            place = naming.place(name)
            here = [part for part in MAPS if place and naming.parts.get(part) == place[1]]
            rows = [naming.rows[place[0], part] for part in here if place and (place[0], part) in naming.rows]
            whole, of_whole = name, tensors[name]
            if ATTENTION_GATE in here:
                whole, of_whole = kinds_of_blocks(name, of_whole, naming.gated_heads, QUERIES_AND_GATES)
            values |= split_rows(whole, of_whole, [stop - start for start, stop in rows]) if rows else {}
    for name in tensors if TAPS in naming.parts else ():
        place = naming.place(name)
        values |= rows_of_taps(name, tensors[name]) if place and place[1:] == (naming.parts[TAPS], "weight") else {}
    for layer in h.mixer_layers:
        values |= mixer_values(naming.mixer(layer), h.mixer.parts, tensors)
    if h.traits.shifted_gains:
        for name in tensors:
            shifted = name.endswith("norm.weight") and not module_of_a_mixer(name)
            values |= add_one(name, tensors[name]) if shifted else {}
    if h.traits.layer_norms and h.traits.gainless:
        values[GAIN_OF_ONE] = np.ones(1, np.float32)
    scaled = rotations(h)[0].scaled
    return values if scaled is None else {**values, FREQUENCIES: scaled}
