"""Bad programs, one or more for every rule R-PRG-n, as bytes assembled by hand.

Strategy: a byte-level assembler of its own (no writer, no dataclasses), so that values can be written which the encoder
refuses. Each vector is refused by `decode_program` or, against the shapes in `SHAPES`, by `validate_program`; the first
tensor of each operation is named by zigzag step 0 (the next one) unless the vector says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from vector_files import real, varint, zigzag

from bytecap.errors import ArtifactError, InvalidArtifact, LimitExceeded, MalformedArtifact, UnsupportedArtifact

# a table / weight of 4 rows, a matrix of 2 rows, a vector, a table of 1 row, a tensor of three dimensions
SHAPES: tuple[tuple[int, ...], ...] = ((4, 8), (2, 8), (3,), (1, 8), (1, 2, 4))
TABLE, MATRIX, VECTOR_OF_3, ONE_ROW, CUBE = range(5)


@dataclass(frozen=True)
class ProgramVector:
    """One bad program: its bytes, the error class and rule it must raise, and why in one sentence.

    minor_version : of the file that it stands in
    """

    name: str
    data: bytes
    error: type[ArtifactError]
    rule: str
    sentence: str
    minor_version: int = 0


def step(tensor: int, last: int = -1) -> bytes:
    """The zigzag step to a tensor from the tensor named last."""
    return zigzag(tensor - last - 1)


def assemble(
    *instructions: bytes, vocabulary_size: int = 4, sequence_length: int = 16, boundary_token: int = 1
) -> bytes:
    header = (vocabulary_size, sequence_length, boundary_token, len(instructions))
    return b"".join((*(varint(value) for value in header), *instructions))


EMBED = b"\x01" + step(TABLE)
HEAD = b"\x03\x01" + step(TABLE, TABLE) + b"\x00"  # linear over the register before, tied to the table
ADD_TO_ITSELF = b"\x08\x01\x01"
GOOD = assemble(EMBED, HEAD)


def scale_by(tensor: int, row: int) -> bytes:
    return b"\x06\x01" + step(tensor, TABLE) + varint(row)


def doubled(times: int) -> list[bytes]:
    """Concatenations that each double the width."""
    return [b"\x10\x02\x01\x01"] * times


def many_live(count: int) -> bytes:
    """2**20 wide registers, `count` of them live at once, summed and cut back to the vocabulary."""
    copies = [b"\x08" + varint(k + 1) * 2 for k in range(count)]
    sums = [b"\x08\x01" + varint(2 * k + 2) for k in range(count - 1)]
    return assemble(EMBED, *doubled(17), *copies, *sums, b"\x0f\x01\x00\x04")


def wide_norms(count: int) -> list[bytes]:
    """Norms without a gain, one after the other."""
    return [b"\x04\x01\x01" + real(1e-6) + b"\x00"] * count


def wide_attentions(count: int) -> list[bytes]:
    """Attentions of one head, one after the other."""
    return [attention(1, 1)] * count


def attention(heads: int, kv_heads: int, q: int = 1, k: int = 1, v: int = 1, scale: float = 1.0) -> bytes:
    return bytes([12, q, k, v, heads, kv_heads]) + real(scale) + b"\x00\x00"


def rotate(
    heads: int = 2, dims: int = 4, base: float = 1e4, frequencies: bytes = b"", factor: float = 1.0, direction: int = 1
) -> bytes:
    """A rotate over the register before; `frequencies` are tensor step and row."""
    data = b"\x01" + frequencies if frequencies else b"\x00"
    return bytes([19, 1, heads, dims]) + real(base) + data + real(factor) + bytes([0, direction])


def position_embed(tensor: int, last: int, offset: int = 0) -> bytes:
    return b"\x12" + step(tensor, last) + varint(offset)


def capped_attention(cap: float, heads: int = 2, sinks: bytes | None = None) -> bytes:
    fields = bytes([23, 1, 1, 1, heads, 2]) + real(1.0) + b"\x00\x00" + real(cap)
    return fields + (b"\x00" if sinks is None else b"\x01" + sinks)


def scan(heads: int = 3, groups: int = 1, rates: int = VECTOR_OF_3, x: int = 1, write: int = 1, read: int = 1) -> bytes:
    """A scan over the register before."""
    return bytes([24, x, 1, write, read, heads, groups]) + step(rates, TABLE)


def delta_scan(heads: int = 3, rates: int = VECTOR_OF_3, strength: int = 1, write: int = 2, read: int = 2) -> bytes:
    """A scan by the delta rule over the register before, in one group."""
    return bytes([25, 1, 1, strength, write, read, heads, 1]) + step(rates, TABLE)


SLICE_4 = b"\x0f\x01\x00\x04"  # elements 0 to 3 of the register before
BAD, OVER = InvalidArtifact, LimitExceeded

ENCODING_VECTORS = (
    ProgramVector("no-instructions", assemble(), MalformedArtifact, "R-PRG-1", "The instruction count is 0."),
    ProgramVector(
        "too-many-instructions", assemble()[:-1] + varint(65_537), OVER, "R-PRG-2",
        "The instruction count is one above the default limit.",
    ),
    ProgramVector(
        "operation-zero", assemble(b"\x00"), UnsupportedArtifact, "R-PRG-3", "Operation 0 is not defined."
    ),
    ProgramVector(
        "operation-of-the-future", assemble(EMBED, b"\x18\x01"), UnsupportedArtifact, "R-PRG-3",
        "Operation 24 is not defined in this version.",
    ),
    ProgramVector(
        "operation-of-the-far-future", assemble(EMBED, b"\x7f\x01"), UnsupportedArtifact, "R-PRG-3",
        "Operation 127 is not defined in version 1.1.", 1,
    ),
    ProgramVector(
        "register-itself", assemble(EMBED, b"\x08\x01\x00", HEAD), BAD, "R-PRG-4",
        "An add reads its own output (distance 0).",
    ),
    ProgramVector(
        "register-before-the-first", assemble(EMBED, b"\x08\x01\x02", HEAD), BAD, "R-PRG-4",
        "An add reaches back beyond instruction 0.",
    ),
    ProgramVector(
        "concat-register-itself", assemble(EMBED, b"\x10\x02\x01\x00", HEAD), BAD, "R-PRG-4",
        "A concat joins its own output.",
    ),
    ProgramVector(
        "presence-flag-two", assemble(EMBED, HEAD[:-1] + b"\x02"), MalformedArtifact, "R-PRG-5",
        "The byte that announces a linear's bias is 2.",
    ),
    ProgramVector(
        "document-reset-flag", assemble(EMBED, b"\x0e\x01\x01\xff", HEAD), MalformedArtifact, "R-PRG-5",
        "A shift's reset flag is 255.",
    ),
    ProgramVector(
        "unknown-activation", assemble(EMBED, b"\x0a\x01\x06" + real(0), HEAD), MalformedArtifact, "R-PRG-6",
        "Activation kind 6 is not listed.",
    ),
    ProgramVector(
        "unknown-activation-later", assemble(EMBED, b"\x0a\x01\x08" + real(0), HEAD), MalformedArtifact, "R-PRG-6",
        "Activation kind 8 is not listed in version 1.1.", 1,
    ),
    ProgramVector(
        "unknown-direction", assemble(EMBED, rotate(direction=2), HEAD), MalformedArtifact, "R-PRG-6",
        "Direction 2 of a rotate is not listed.", 1,
    ),
    ProgramVector(
        "unknown-hash", assemble(b"\x02\x00\x02\x01\x01", HEAD), MalformedArtifact, "R-PRG-6",
        "Hash kind 2 is not listed.",
    ),
    ProgramVector(
        "epsilon-nan", assemble(EMBED, b"\x04\x01\x01" + real(float("nan")) + b"\x00", HEAD), BAD, "R-PRG-7",
        "An rms-norm's epsilon is not a number.",
    ),
    ProgramVector(
        "slope-infinite", assemble(EMBED, b"\x0a\x01\x01" + real(float("inf")), HEAD), BAD, "R-PRG-7",
        "A leaky activation's slope is infinite.",
    ),
    ProgramVector(
        "trailing-byte", GOOD + b"\x00", MalformedArtifact, "R-PRG-8", "A zero byte follows the last instruction."
    ),
)  # fmt: skip

DOMAIN_VECTORS = (
    ProgramVector(
        "zero-groups", assemble(EMBED, b"\x04\x01\x00" + real(1e-6) + b"\x00", HEAD), BAD, "R-PRG-9",
        "An rms-norm has 0 groups.",
    ),
    ProgramVector(
        "shift-by-zero", assemble(EMBED, b"\x0e\x01\x00\x00", HEAD), BAD, "R-PRG-9", "A shift moves by 0 positions."
    ),
    ProgramVector(
        "zero-kv-heads", assemble(EMBED, attention(2, 0), HEAD), BAD, "R-PRG-9", "An attention has 0 key-value heads."
    ),
    ProgramVector(
        "zero-rotary-dims", assemble(EMBED, b"\x0b\x01\x01" + real(1e4) + b"\x00\x00", HEAD), BAD, "R-PRG-9",
        "A rope rotates 0 dimensions.",
    ),
    ProgramVector(
        "epsilon-zero", assemble(EMBED, b"\x04\x01\x01" + real(0) + b"\x00", HEAD), BAD, "R-PRG-10",
        "An rms-norm's epsilon is 0.",
    ),
    ProgramVector(
        "cap-negative", assemble(EMBED, HEAD, b"\x11\x01" + real(-30) + b"\x00"), BAD, "R-PRG-10",
        "A softcap's cap is negative.",
    ),
    ProgramVector(
        "scale-negative", assemble(EMBED, attention(2, 2, scale=-1), HEAD), BAD, "R-PRG-10",
        "An attention's scale is negative.",
    ),
    ProgramVector(
        "base-below-one", assemble(EMBED, b"\x0b\x01\x01" + real(0.5) + b"\x04\x00", HEAD), BAD, "R-PRG-10",
        "A rope's base is one half.",
    ),
    ProgramVector(
        "factor-zero", assemble(EMBED, rotate(factor=0), HEAD), BAD, "R-PRG-10", "A rotate multiplies by 0.", 1
    ),
    ProgramVector(
        "slope-unused", assemble(EMBED, b"\x0a\x01\x02" + real(0.5), HEAD), BAD, "R-PRG-11", "A gelu carries a slope."
    ),
    ProgramVector(
        "slope-minus-zero", assemble(EMBED, b"\x0a\x01\x00" + real(-0.0), HEAD), BAD, "R-PRG-11",
        "A relu-squared carries a slope of -0, a second encoding of the same program.",
    ),
    ProgramVector(
        "empty-vocabulary", assemble(EMBED, HEAD, vocabulary_size=0, boundary_token=0), BAD, "R-PRG-12",
        "The vocabulary size is 0.",
    ),
    ProgramVector(
        "sequence-length-zero", assemble(EMBED, HEAD, sequence_length=0), BAD, "R-PRG-13", "The sequence length is 0."
    ),
    ProgramVector(
        "sequence-length-huge", assemble(EMBED, HEAD, sequence_length=(1 << 20) + 1), BAD, "R-PRG-13",
        "The sequence length is one above 2^20.",
    ),
    ProgramVector(
        "boundary-outside-vocabulary", assemble(EMBED, HEAD, boundary_token=4), BAD, "R-PRG-14",
        "The boundary token equals the vocabulary size.",
    ),
)  # fmt: skip

TENSOR_VECTORS = (
    ProgramVector(
        "tensor-before-the-first", assemble(b"\x01\x01", HEAD), BAD, "R-PRG-15", "The first tensor step is -1."
    ),
    ProgramVector(
        "tensor-after-the-last", assemble(b"\x01" + step(5), HEAD), BAD, "R-PRG-15",
        "An embed names tensor 5 of a directory of 5.",
    ),
    ProgramVector(
        "table-a-vector", assemble(b"\x01" + step(VECTOR_OF_3), HEAD), BAD, "R-PRG-16",
        "An embed's table has one dimension.",
    ),
    ProgramVector(
        "weight-a-cube", assemble(EMBED, b"\x03\x01" + step(CUBE, TABLE) + b"\x00"), BAD, "R-PRG-16",
        "A linear's weight has three dimensions.",
    ),
    ProgramVector(
        "row-after-the-last", assemble(EMBED, scale_by(MATRIX, 2), HEAD), BAD, "R-PRG-17",
        "A scale takes row 2 of a matrix of 2 rows.",
    ),
    ProgramVector(
        "row-of-a-vector", assemble(EMBED, scale_by(VECTOR_OF_3, 1), HEAD), BAD, "R-PRG-17",
        "A scale takes row 1 of a one-dimensional tensor.",
    ),
    ProgramVector(
        "row-of-a-cube", assemble(EMBED, scale_by(CUBE, 0), HEAD), BAD, "R-PRG-17",
        "A scale takes a row of a three-dimensional tensor.",
    ),
    ProgramVector(
        "vector-does-not-divide", assemble(EMBED, scale_by(VECTOR_OF_3, 0), HEAD), BAD, "R-PRG-18",
        "A vector of length 3 scales a register of width 8.",
    ),
    ProgramVector(
        "vector-too-long", assemble(EMBED, SLICE_4, scale_by(MATRIX, 0)), BAD, "R-PRG-18",
        "A vector of length 8 scales a register of width 4.",
    ),
    ProgramVector(
        "table-too-short", assemble(b"\x01" + step(MATRIX), HEAD), BAD, "R-PRG-19",
        "An embed's table has 2 rows for a vocabulary of 4.",
    ),
    ProgramVector(
        "xor-table-of-one-row", assemble(b"\x02" + step(ONE_ROW) + b"\x00\x01\x01", HEAD), BAD, "R-PRG-20",
        "An xor hash-embed's table has 1 row.",
    ),
    ProgramVector(
        "weight-too-wide", assemble(EMBED, SLICE_4, HEAD), BAD, "R-PRG-21",
        "A linear of 8 columns meets a register of width 4.",
    ),
)  # fmt: skip

SHAPE_VECTORS = (
    ProgramVector(
        "add-of-two-widths", assemble(EMBED, SLICE_4, b"\x08\x01\x02"), BAD, "R-PRG-22",
        "An add joins widths 4 and 8.",
    ),
    ProgramVector(
        "query-and-key-heads-differ", assemble(EMBED, SLICE_4, attention(2, 2, q=2), HEAD), BAD, "R-PRG-22",
        "An attention's query heads are 4 wide, its key heads 2.",
    ),
    ProgramVector(
        "exclude-heads-differ", assemble(EMBED, SLICE_4, b"\x0d\x02\x01\x02\x02"), BAD, "R-PRG-22",
        "An exclude's heads are 4 wide, its value heads 2.",
    ),
    ProgramVector(
        "groups-do-not-divide", assemble(EMBED, b"\x04\x01\x03" + real(1e-6) + b"\x00", HEAD), BAD, "R-PRG-23",
        "An rms-norm cuts width 8 into 3 groups.",
    ),
    ProgramVector(
        "heads-do-not-divide", assemble(EMBED, attention(3, 1), HEAD), BAD, "R-PRG-23",
        "An attention cuts width 8 into 3 heads.",
    ),
    ProgramVector(
        "kv-heads-do-not-divide-heads", assemble(EMBED, attention(4, 3), HEAD), BAD, "R-PRG-24",
        "3 key-value heads serve 4 heads.",
    ),
    ProgramVector(
        "rotary-dims-odd", assemble(EMBED, b"\x0b\x01\x01" + real(1e4) + b"\x03\x00", HEAD), BAD, "R-PRG-25",
        "A rope rotates 3 dimensions.",
    ),
    ProgramVector(
        "rotary-dims-above-head", assemble(EMBED, b"\x0b\x01\x02" + real(1e4) + b"\x06\x00", HEAD), BAD, "R-PRG-25",
        "A rope rotates 6 dimensions of heads of width 4.",
    ),
    ProgramVector(
        "slice-empty", assemble(EMBED, b"\x0f\x01\x04\x04", HEAD), BAD, "R-PRG-26", "A slice runs from 4 to 4."
    ),
    ProgramVector(
        "slice-outside", assemble(EMBED, b"\x0f\x01\x05\x09", HEAD), BAD, "R-PRG-26",
        "A slice of a register of width 8 stops at 9.",
    ),
    ProgramVector(
        "concat-of-one", assemble(EMBED, b"\x10\x01\x01", HEAD), BAD, "R-PRG-27", "A concat joins one register.",
    ),
    ProgramVector(
        "width-over-limit", assemble(EMBED, *doubled(18), SLICE_4), OVER, "R-PRG-28",
        "Doubling a register of width 8 18 times makes it 2^21 wide.",
    ),
    ProgramVector(
        "activations-over-limit", many_live(17), OVER, "R-PRG-29", "17 registers of width 2^20 are live at once."
    ),
    ProgramVector(
        "vectors-over-limit", assemble(EMBED, *doubled(17), *wide_norms(65), SLICE_4), OVER, "R-PRG-37",
        "65 norms of width 2^20 stand for 65 gains of that width.",
    ),
    ProgramVector(
        "work-over-limit",
        assemble(EMBED, *doubled(15), *wide_attentions(17), SLICE_4, sequence_length=1024),
        OVER, "R-PRG-38", "17 attentions of width 2^18 over 1,024 tokens take 2^29 multiply-adds each.",
    ),
    ProgramVector(
        "register-unread", assemble(EMBED, ADD_TO_ITSELF, b"\x03\x02" + step(TABLE, TABLE) + b"\x00"), BAD, "R-PRG-30",
        "Nothing reads the output of an add.",
    ),
    ProgramVector(
        "last-width-not-vocabulary", assemble(EMBED), BAD, "R-PRG-31",
        "The last output is 8 wide, the vocabulary has 4 tokens.",
    ),
)  # fmt: skip

POSITION_VECTORS = (
    ProgramVector(
        "position-table-too-short",
        assemble(EMBED, position_embed(TABLE, TABLE), b"\x08\x01\x02", HEAD, sequence_length=5), BAD, "R-PRG-32",
        "A table of 4 positions for sequences of 5.", 1,
    ),
    ProgramVector(
        "position-offset-too-large",
        assemble(EMBED, position_embed(TABLE, TABLE, 3), b"\x08\x01\x02", HEAD, sequence_length=2), BAD, "R-PRG-32",
        "A table of 4 rows from row 3 on for sequences of 2.", 1,
    ),
    ProgramVector(
        "position-offset-behind-the-table",
        assemble(EMBED, position_embed(TABLE, TABLE, 2**32 - 1), b"\x08\x01\x02", HEAD, sequence_length=1), BAD,
        "R-PRG-32", "An offset that wraps around in 32 bits.", 1,
    ),
    ProgramVector(
        "frequencies-too-many", assemble(EMBED, rotate(base=1, frequencies=step(VECTOR_OF_3, TABLE) + b"\x00"), HEAD),
        BAD, "R-PRG-33", "3 frequencies for 4 rotary dimensions.", 1,
    ),
    ProgramVector(
        "frequencies-and-a-base",
        assemble(EMBED, rotate(1, 6, base=1e4, frequencies=step(VECTOR_OF_3, TABLE) + b"\x00"), HEAD), BAD, "R-PRG-34",
        "A base of 10,000 beside frequencies.", 1,
    ),
    ProgramVector(
        "rotate-above-head", assemble(EMBED, rotate(dims=6), HEAD), BAD, "R-PRG-25",
        "A rotate turns 6 dimensions of heads of width 4.", 1,
    ),
)  # fmt: skip

ADDITION_VECTORS = (
    ProgramVector(
        "broadcast-not-a-multiple", assemble(EMBED, b"\x14\x01\x0c\x00", SLICE_4), BAD, "R-PRG-35",
        "A broadcast makes width 12 of width 8.", 1,
    ),
    ProgramVector(
        "broadcast-to-nothing", assemble(EMBED, b"\x14\x01\x00\x00", SLICE_4), BAD, "R-PRG-9",
        "A broadcast makes width 0.", 1,
    ),
    ProgramVector(
        "unknown-broadcast", assemble(EMBED, b"\x14\x01\x10\x02", SLICE_4), MalformedArtifact, "R-PRG-6",
        "Broadcast kind 2 is not listed.", 1,
    ),
    ProgramVector(
        "tiled-vector-does-not-divide", assemble(EMBED, b"\x15\x01" + step(VECTOR_OF_3, TABLE) + b"\x00", HEAD), BAD,
        "R-PRG-18", "A vector of length 3 is tiled over a register of width 8.", 1,
    ),
    ProgramVector(
        "affine-factor-infinite", assemble(EMBED, b"\x16\x01" + real(float("inf")) + real(0), HEAD), BAD, "R-PRG-7",
        "The factor of an affine is infinite.", 1,
    ),
    ProgramVector(
        "affine-offset-nan", assemble(EMBED, b"\x16\x01" + real(1) + real(float("nan")), HEAD), BAD, "R-PRG-7",
        "The offset of an affine is not a number.", 1,
    ),
    ProgramVector(
        "capped-attention-cap-negative", assemble(EMBED, capped_attention(-1.0), HEAD), BAD, "R-PRG-36",
        "The cap of a capped attention is -1.", 1,
    ),
    ProgramVector(
        "capped-attention-cap-minus-zero", assemble(EMBED, capped_attention(-0.0), HEAD), BAD, "R-PRG-36",
        "The cap of a capped attention is -0, a second encoding of none.", 1,
    ),
    ProgramVector(
        "capped-attention-heads-do-not-divide", assemble(EMBED, capped_attention(30.0, heads=3), HEAD), BAD, "R-PRG-24",
        "A capped attention of 3 heads has 2 key-value heads.", 1,
    ),
    ProgramVector(
        "sinks-do-not-divide-heads",
        assemble(EMBED, capped_attention(30.0, sinks=step(VECTOR_OF_3, TABLE) + b"\x00"), HEAD), BAD, "R-PRG-18",
        "A vector of 3 sinks serves 2 heads.", 1,
    ),
)  # fmt: skip

SLICE_3 = b"\x0f\x01\x00\x03"
OF_A_STATE = assemble(EMBED, SLICE_3, scan(write=2, read=2))
STATE_VECTORS = (
    ProgramVector(
        "scan-in-version-1.1", OF_A_STATE, UnsupportedArtifact, "R-PRG-3", "Operation 24 is not defined in 1.1.", 1
    ),
    ProgramVector(
        "softplus-in-version-1.0", assemble(EMBED, b"\x0a\x01\x08" + real(0), HEAD), MalformedArtifact, "R-PRG-6",
        "Activation kind 8 is not listed in version 1.0.",
    ),
    ProgramVector(
        "unknown-activation-latest", assemble(EMBED, b"\x0a\x01\x09" + real(0), HEAD), MalformedArtifact, "R-PRG-6",
        "Activation kind 9 is not listed in version 1.2.", 2,
    ),
    ProgramVector(
        "operation-of-a-later-version", assemble(EMBED, b"\x19\x01"), UnsupportedArtifact, "R-PRG-3",
        "Operation 25 is not defined in version 1.2.", 2,
    ),
    ProgramVector(
        "operation-of-a-still-later-version", assemble(EMBED, b"\x1a\x01"), UnsupportedArtifact, "R-PRG-3",
        "Operation 26 is not defined in version 1.3.", 3,
    ),
    ProgramVector(
        "scan-steps-not-one-a-head", assemble(EMBED, scan(heads=4, rates=TABLE), HEAD), BAD, "R-PRG-22",
        "A scan of 4 heads has steps of width 8.", 2,
    ),
    ProgramVector(
        "scan-write-and-read-differ", assemble(EMBED, SLICE_3, scan(write=2), SLICE_4), BAD, "R-PRG-22",
        "What a scan writes by is 8 wide, what it reads by 3.", 2,
    ),
    ProgramVector(
        "scan-heads-do-not-divide", assemble(EMBED, SLICE_3, scan(x=2, write=2, read=2), HEAD), BAD, "R-PRG-23",
        "A scan cuts width 8 into 3 heads.", 2,
    ),
    ProgramVector(
        "scan-groups-do-not-divide", assemble(EMBED, SLICE_3, scan(groups=3, write=2, read=2), SLICE_4), BAD,
        "R-PRG-23", "A scan cuts width 8 into 3 groups.", 2,
    ),
    ProgramVector(
        "scan-groups-do-not-divide-heads", assemble(EMBED, SLICE_3, scan(groups=2, write=2, read=2), SLICE_4), BAD,
        "R-PRG-24", "A scan of 3 heads has 2 groups.", 2,
    ),
    ProgramVector(
        "scan-rates-of-other-heads", assemble(EMBED, scan(heads=8, rates=VECTOR_OF_3), HEAD), BAD, "R-PRG-39",
        "A scan of 8 heads has 3 log-rates.", 2,
    ),
    ProgramVector(
        "scan-rates-of-other-states", assemble(EMBED, SLICE_4, scan(heads=4, rates=TABLE), ADD_TO_ITSELF), BAD,
        "R-PRG-39", "A state of 4 elements a head has 8 log-rates a head.", 2,
    ),
    ProgramVector(
        "scan-rates-a-cube", assemble(EMBED, b"\x0f\x01\x00\x01", scan(heads=1, rates=CUBE), HEAD), BAD, "R-PRG-39",
        "The log-rates of a scan have three dimensions.", 2,
    ),
    ProgramVector(
        "delta-scan-strengths-not-one-a-head", assemble(EMBED, SLICE_3, delta_scan(strength=2), SLICE_4), BAD,
        "R-PRG-22", "A delta-scan of 3 heads has strengths of width 8.", 3,
    ),
    ProgramVector(
        "delta-scan-write-and-read-differ", assemble(EMBED, SLICE_3, delta_scan(read=1), SLICE_4), BAD, "R-PRG-22",
        "What a delta-scan writes by is 8 wide, what it reads by 3.", 3,
    ),
    ProgramVector(
        "delta-scan-rates-of-elements", assemble(EMBED, delta_scan(8, TABLE, 1, 1, 1), HEAD), BAD, "R-PRG-39",
        "A delta-scan has a rate for each element of its states.", 3,
    ),
)  # fmt: skip

PROGRAM_VECTORS = (
    ENCODING_VECTORS
    + DOMAIN_VECTORS
    + TENSOR_VECTORS
    + SHAPE_VECTORS
    + POSITION_VECTORS
    + ADDITION_VECTORS
    + STATE_VECTORS
)
