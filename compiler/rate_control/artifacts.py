"""From quantized tensors to whole artifacts.

Strategy: every draft of the search is encoded in full, so sizes are exact, never estimated; what is chosen is
assembled and read back. Matrices come from the caller, control tensors are quantized here at the same byte
price. Large tensors are spread over a few streams, which decode in parallel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import numpy as np

from ...errors import ArtifactError, CompileError
from ...format.assembly import DEFAULT_CODEC, EncodedStreams, artifact_size, assemble_artifact, encode_grid_stream
from ...format.codecs import CodecFault, GuardedCodec, codec_of
from ...format.identity import UNKNOWN, Identity
from ...format.tensors.grid import matrix_shape
from ...format.tensors.sources import TensorSource
from ...format.tensors.stored import CodedValues
from ...format.tensors.terms import Part
from ..job import CompileJob
from ..model.model import Model
from ..profiles import profile_codecs
from ..quantize.grid_matrix import QuantizedMatrix, zero_matrices
from ..quantize.representation import Quantized
from ..quantize.vectors import quantize_control_tensors
from ..rewrites.head_bias import fit_head_bias
from ..statistics.swaps import predicted_swap_losses
from .landing import Draft, Trial

COARSEST_PRICE = 1e30  # every step at its bound
MAX_STREAMS = 8
WEIGHTS_PER_STREAM = 1 << 18
TOLD_ZEROS = 1 << 21  # beyond so many an adaptive coder has learned that all are zero, and spends the same on each
ADAPTIVE_PROFILES = "max", "default"


def complete_trial(job: CompileJob, byte_price: float, matrices: Mapping[int, Quantized]) -> Trial:
    """The artifact of these matrices, by tensor index, and of the control tensors at a byte price."""
    return make_trial(job, byte_price, with_control_tensors(job, byte_price, matrices))


def with_control_tensors(job: CompileJob, byte_price: float, matrices: Mapping[int, Quantized]) -> dict[int, Quantized]:
    """Every tensor of the model: these matrices, and the control tensors and the head's bias at a byte price."""
    vectors = quantize_control_tensors(job.model, job.statistics, job.recipe.vectors, byte_price)
    bias = fit_head_bias(job.model, job.statistics, job.recipe, byte_price, matrices)
    return {**vectors, **bias, **matrices}


def make_trial(job: CompileJob, byte_price: float, quantized: Mapping[int, Quantized]) -> Trial:
    """The artifact of a model whose tensors are all quantized."""
    data = assemble_model(job.model, quantized, job.provenance, job.codec, job.identity)
    return Trial(byte_price, data, quantized)


def make_draft(
    job: CompileJob, byte_price: float, quantized: Mapping[int, Quantized], encoded: EncodedStreams | None = None
) -> Draft:
    """`make_trial` without the artifact, but with its size; encoded : remembers streams that stay the same."""
    sources = _sources(job.model, quantized)
    with _read_back(job.codec):
        size = _size(job, sources, job.codec, encoded)
    return Draft(byte_price, size, quantized)


def finish_draft(job: CompileJob, draft: Draft) -> Trial:
    """The artifact of a draft, read back."""
    return replace(make_trial(job, draft.byte_price, draft.quantized), targets=draft.targets)


def smallest_draft(job: CompileJob, *, reckoned: bool = False) -> Draft:
    """With every code of every matrix zero and the control tensors as coarse as they may be.

    reckoned : long streams of zeros are not encoded to their end; the size is right to 1 %
    """
    vectors = quantize_control_tensors(job.model, job.statistics, job.recipe.vectors, COARSEST_PRICE)
    zeros = all_codes_zero(job, job.statistics.matrices)
    adapts = job.codec in {profile_codecs()[name] for name in ADAPTIVE_PROFILES}
    long = reckoned and adapts and job.weights > MAX_STREAMS * 2 * TOLD_ZEROS
    return make_draft(job, COARSEST_PRICE, {**vectors, **zeros}, _ZeroStreams(job.codec) if long else None)


class _ZeroStreams(EncodedStreams):
    """Streams of which all but little is zero, and whose length alone counts: zeros beyond the first ones take as many
    bytes each.
    """

    def __init__(self, codec: int) -> None:
        super().__init__()
        zeros = zero_matrices([(n * TOLD_ZEROS >> 10, 1 << 10) for n in (1, 2)])
        self._told = [len(encode_grid_stream([matrix.grid], codec)) for matrix in zeros]

    def payload(self, index: int, members: Sequence[CodedValues], codec: int) -> bytes:
        """As many bytes as the stream takes, and short ones as they are."""
        others = [values for values in members if values.codes.any()]
        count = sum(values.codes.size for values in members) - sum(values.codes.size for values in others)
        if count <= 2 * TOLD_ZEROS:
            return super().payload(index, members, codec)
        first, second = self._told
        zeros = second + (second - first) * (count - 2 * TOLD_ZEROS) // TOLD_ZEROS
        return bytes(zeros + (len(encode_grid_stream(others, codec)) if others else 0))


def smallest_trial(job: CompileJob) -> Trial:
    """The artifact of `smallest_draft`."""
    return finish_draft(job, smallest_draft(job))


def predicting_zeros(job: CompileJob, smallest: Draft) -> Draft:
    """`smallest_draft` with the second-order loss of its zeros. The search needs none and does not wait for it, but
    whoever reads that draft's loss would take none for no loss.
    """
    matrices = job.statistics.matrices
    replacements = [
        np.broadcast_to(np.float32(0), tensor.values.shape) if index in matrices else tensor.values
        for index, tensor in enumerate(job.model.tensors)
    ]
    losses = predicted_swap_losses(job.model, replacements, job.statistics, threads=job.threads)
    zeros = {i: replace(cast(QuantizedMatrix, smallest.quantized[i]), predicted_loss=losses[i]) for i in matrices}
    return replace(smallest, quantized={**smallest.quantized, **zeros})


def all_codes_zero(job: CompileJob, indexes: Collection[int]) -> dict[int, Quantized]:
    """These matrices with all codes zero."""
    found = zero_matrices([matrix_shape(job.model.tensors[i].values.shape) for i in indexes])
    return dict(zip(indexes, found, strict=True))


def profile_bytes(job: CompileJob, trial: Trial) -> dict[str, int]:
    """Bytes of the whole artifact with a trial's integers coded under every profile; its own alone where the recipe
    saves time by samples.
    """
    sizes = {}
    for profile, codec in profile_codecs().items():
        if codec == job.codec:
            sizes[profile] = trial.size
        elif not job.recipe.row_sample.enabled:
            sources = _sources(job.model, trial.quantized)
            sizes[profile] = _size(job, sources, codec)
    return sizes


def _size(job: CompileJob, sources: Sequence[TensorSource], codec: int, encoded: EncodedStreams | None = None) -> int:
    return artifact_size(job.model.program, sources, job.provenance, codec, identity=job.identity, encoded=encoded)


def assemble_model(
    model: Model,
    quantized: Mapping[int, Quantized],
    provenance: Mapping[str, object],
    codec: int = DEFAULT_CODEC,
    identity: Identity = UNKNOWN,
) -> bytes:
    """The artifact of a model whose tensors are all quantized, by tensor index."""
    sources = _sources(model, quantized)
    with _read_back(codec):
        return assemble_artifact(model.program, sources, provenance, codec, identity=identity)


@contextmanager
def _read_back(codec: int) -> Iterator[None]:
    """Bytes that the format's own reader refuses become an error that says so: nothing of the user's is damaged."""
    try:
        yield
    except ArtifactError as error:
        used = codec_of(codec)
        if isinstance(error, CodecFault):
            raise CompileError(f"nothing was written: {error}; report it there", argument="profile") from error
        if isinstance(used, GuardedCodec):
            raise CompileError(
                f"nothing was written: {used.described} does not give back what it was given: {error}; report it there",
                argument="profile",
            ) from error
        raise CompileError(
            f"what was made is no artifact that can be read, and was not written: {error}; take another cap or recipe, "
            "and report this"
        ) from error


def _sources(model: Model, quantized: Mapping[int, Quantized]) -> list[TensorSource]:
    """Every tensor with its integers in one of a few streams."""
    coded = [i for i in range(len(model.tensors)) if any(_is_coded(part) for part in quantized[i].parts)]
    streams = dict(zip(coded, assign_streams([model.tensors[i].values.size for i in coded]), strict=True))
    sources = []
    for i, tensor in enumerate(model.tensors):
        parts = tuple(_in_stream(part, streams.get(i, 1)) for part in quantized[i].parts)
        sources.append(TensorSource(tensor.name, tensor.values.shape, tensor.dtype, parts))
    return sources


def assign_streams(sizes: Sequence[int]) -> list[int]:
    """Stream (1..) of each tensor: largest first into the least filled of a few streams, so that they
    decode in parallel.
    """
    count = min(MAX_STREAMS, max(1, sum(sizes) // WEIGHTS_PER_STREAM), len(sizes))
    filled = [0] * count
    streams = [1] * len(sizes)
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lightest = min(range(count), key=lambda s: filled[s])
        streams[index] = lightest + 1
        filled[lightest] += sizes[index]
    return streams


def _is_coded(part: Part) -> bool:
    """Whether a part holds integers, and so needs a stream."""
    return part.stream is not None


def _in_stream(part: Part, stream: int) -> Part:
    """The part with its integers in a stream (1..); parts without integers stay as they are."""
    return replace(part, stream=stream) if _is_coded(part) else part
