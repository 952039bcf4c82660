"""Hard limits of the reader, each a named constant with its reason.

Strategy: every number taken from a file is compared with one of these before anything is allocated. A caller who
trusts a larger artifact passes its own `Limits`; the table in spec/limits.md is checked against this file by a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts; all sizes in bytes or counts."""

    sections: int = 32  # five are required; room for ancillary ones
    section_bytes: int = 1 << 30  # one section, stored or decoded
    metadata_bytes: int = 1 << 22  # decoded program, directory or provenance: kilobytes in practice
    instructions: int = 65_536  # a 9-layer model needs about 150
    tensors: int = 65_536
    dimensions: int = 8
    elements: int = 1 << 30  # all decoded weights together: 4 GiB as float32
    sides: int = 1 << 25  # rows and columns of all matrices in streams: decoding takes up to 48 bytes for each
    products: int = 1 << 35  # multiplications of all low-rank terms together: half a minute
    streams: int = 1024
    width: int = 1 << 20  # one register's width
    activation_floats_per_token: int = 1 << 24  # peak live registers of one token
    vector_floats: int = 1 << 26  # vectors of all instructions at their instructions' widths: 256 MiB
    multiply_adds_per_token: int = 1 << 33  # about a second of one core; a model of 2^30 weights needs a quarter


DEFAULT_LIMITS = Limits()
