"""What the token tables of an artifact take, and what codebooks among them take for codewords, factors, map and rescue.

Strategy: every share is the difference of two trial encodes, so that the shares add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ....compiler.menu.composite import CompositeMatrix
from ....compiler.rate_control.landing import Trial
from ....format.assembly import part_bytes
from ....format.tensors.terms import CodebookValues, GridInStream
from ...measure.equal_bytes import Bench
from ..head_tables import quantized_tables


def head_bytes(bench: Bench, trial: Trial) -> Mapping[str, int]:
    """Bytes of the tables by a trial encode; of codebooks: codewords, row factors, the map, and rescued rows."""
    codec = bench.job.codec
    found = {f"{part}_bytes": 0 for part in ("head", "codeword", "factor", "map", "rescued")}
    for quantized in quantized_tables(bench, trial.quantized).values():
        shape = quantized.weights.shape
        whole = part_bytes(quantized.parts, shape, codec)
        found["head_bytes"] += whole
        if isinstance(quantized, CompositeMatrix) and isinstance(quantized.parts[0], CodebookValues):
            for name, value in _book_bytes(quantized.parts[0], shape, codec).items():
                found[name] += value
            found["rescued_bytes"] += whole - part_bytes(quantized.parts[:1], shape, codec)
    return found


def _book_bytes(book: CodebookValues, shape: tuple[int, int], codec: int) -> dict[str, int]:
    """What a codebook alone takes, by what it is for."""
    words = part_bytes([GridInStream(book.codewords, 1)], book.codewords.codes.shape, codec)
    whole = part_bytes([book], shape, codec)
    plain = whole
    if book.row_exponents is not None:
        plain = part_bytes([replace(book, row_exponents=None, resolution=0)], shape, codec)
    return {"codeword_bytes": words, "factor_bytes": whole - plain, "map_bytes": plain - words}
