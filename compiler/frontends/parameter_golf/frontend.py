"""The frontend of the Parameter Golf challenge: its baseline and every merged record, without test-time training.

Strategy: names tell the parts and shapes the sizes; what they cannot tell comes from the caller, the trainer's
settings beside the checkpoint, or the records, where these agree, and is asked for where they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....errors import CheckpointError
from ....files.listing import listed
from ....format.program.program import Program
from ...checkpoints.checkpoint import Checkpoint
from ...model.model import Model, ModelTensor
from ..misfit import lacking
from ..parts import whole_name
from ..untold import UntoldError
from .given import Given, describes_model, parse_given, parse_settings
from .hyperparameters import FRONTEND_NAME, INITIAL_PARAMETERS, SHAPE_PARAMETERS, Hyperparameters
from .resolution import resolve
from .rewritten import restore, rewrite
from .shapes import check_shapes
from .sizes import sizes_of
from .traits import BIGRAM, recognized, traits_of
from .trunk import XOR_MULTIPLIERS, build_program


class ParameterGolf:
    """State_dicts of the challenge's scripts: tok_emb, skip_weights, blocks.N.*, and the parts of `traits`."""

    name = FRONTEND_NAME
    model_types = ()

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are the family's."""
        return recognized(whole_name(name) for name in names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        given, settings, source = parse_given(architecture), Given(), ""
        beside = checkpoint.configuration
        if beside is not None and describes_model(beside.values):
            settings, source = parse_settings(beside.values), beside.source
        sizes, traits = sizes_of(checkpoint.tensors), traits_of(checkpoint.tensors)
        _check_told(checkpoint, {**sizes, **settings.values, **given.values})
        try:
            resolved = resolve(given, sizes, traits, settings, source)
        except UntoldError as error:
            raise UntoldError(f"{checkpoint.path}: {error}", error.questions) from error
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from error
        h = resolved.hyperparameters
        unused = check_shapes(checkpoint, h)
        _check_bigrams(checkpoint, h)
        values = rewrite(checkpoint.tensors, h)
        builder = build_program(h, frozenset(values))
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        tensors = builder.tensors(values, {name: checkpoint.dtypes.get(whole_name(name), "float32") for name in values})
        document = h.document() | {name: given.values[name] for name in INITIAL_PARAMETERS if name in given.values}
        notes = _notes(unused, {source: settings.ignored, "the architecture file": given.ignored})
        return Model(program, tensors, document, resolved.assumed, resolved.told, notes=notes)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them; see `rewritten`."""
        return restore(tensors)


def _check_told(checkpoint: Checkpoint, known: Mapping[str, object]) -> None:
    """What the program cannot be written without."""
    untold = [name for name in SHAPE_PARAMETERS if name not in known and name != "tie_embeddings"]
    if untold:
        missing = [
            "tok_emb.weight",
            "blocks.N.attn.q_gain",
            "and blocks.N.attn.c_k.weight and blocks.N.mlp.fc.weight or kv_bank and mlp_up_bank",
        ]
        found = lacking(FRONTEND_NAME, untold, missing, checkpoint.tensors, lambda name: recognized([name]) > 0)
        raise CheckpointError(f"{checkpoint.path} {found}")


def _notes(unused: Sequence[str], ignored: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What of the checkpoint and of its trainer's settings, by where they stand, the model is without, in words."""
    notes = [f"not used by the model: {listed(unused)}"] if unused else []
    notes += [f"{source} also says {listed(names)}, nothing of the model" for source, names in ignored.items() if names]
    return tuple(notes)


def _check_bigrams(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    """The scripts hash in 32 bits with a sign; beyond, the program's hash would be another."""
    if h.has(BIGRAM) and h.vocab_size * max(XOR_MULTIPLIERS) >= 1 << 31:
        raise CheckpointError(f"{checkpoint.path}: bigram hashes of {h.vocab_size:,} tokens overflow in the scripts")
