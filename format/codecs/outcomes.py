"""How coding a matrix can end, and the errors that a codec raises for it: one vocabulary for all integer codecs.

Strategy: kernels answer with a number, since they cannot raise errors that carry an offset and a rule;
the codecs turn it into an error here, so that equal faults are refused in equal words.
"""

from __future__ import annotations

import numpy as np

from ...errors import ArtifactError, MalformedArtifact, TruncatedArtifact

MAX_MAGNITUDE = (1 << 24) - 1  # integers stay exact in float32
OK, ENDS_EARLY, MAGNITUDE_TOO_LARGE, OFF_TRELLIS = 0, 1, 2, 3


def check_magnitudes(codes: np.ndarray) -> None:
    """OverflowError for integers that no codec can hold."""
    largest = max(int(codes.max()), -int(codes.min())) if codes.size else 0  # the least int32 has no magnitude in int32
    if largest > MAX_MAGNITUDE:
        raise OverflowError(f"codes must stay below 2**24 in magnitude, found {largest}")


def stream_error(status: int, offset: int, where: str) -> ArtifactError:
    """The error [R-STR-4, R-STR-6] of a decoder that ended with this status at this offset."""
    if status == ENDS_EARLY:
        return TruncatedArtifact("the stream ends before its last integer", rule="R-STR-4", offset=offset, where=where)
    return MalformedArtifact("an integer of 2**24 or more in magnitude", rule="R-STR-6", offset=offset, where=where)
