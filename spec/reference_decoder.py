"""A decoder of bytecap artifacts in plain Python, written from the pages of this folder and in their order.

    python spec/reference_decoder.py model.bcap

It favours being obvious over being fast, needs nothing but the standard library, zstandard and brotli, and shares no
code with the package, so that each checks the other. A file that breaks a rule is `Refused` with the word of README.md,
the rule's id and an offset; nothing else is raised, whatever the bytes.
"""

import bisect
import hashlib
import struct
import sys
import zlib

import brotli
import zstandard

LIMITS = {
    "sections": 32,
    "section_bytes": 1 << 30,
    "metadata_bytes": 1 << 22,
    "tensors": 65_536,
    "dimensions": 8,
    "elements": 1 << 30,
    "sides": 1 << 25,
    "products": 1 << 35,
    "streams": 1024,
}


class Refused(Exception):
    """`word` is one of README.md's; `offset` counts from the start of the file or, from chapter 5 on,
    of the section.
    """

    def __init__(self, word, rule, offset=None):
        super().__init__(f"{word} [{rule}]" + ("" if offset is None else f" at {offset}"))
        self.word, self.rule, self.offset = word, rule, offset


def check(holds, word, rule, offset=None):
    if not holds:
        raise Refused(word, rule, offset)


# ---- container.md, 1. Header -----------------------------------------------------------------------------------------

MAGIC = bytes.fromhex("89 42 43 41 50 0D 0A 1A")
HEADER_BYTES, ENTRY_BYTES, CHECKSUM_BYTES = 12, 14, 4


def read_header(data):
    """The number of sections."""
    check(data[:8] == MAGIC[: len(data)], "not an artifact", "R-HDR-1", 0)
    check(len(data) >= HEADER_BYTES, "truncated", "R-HDR-2", len(data))
    major, minor, count, reserved = data[8:12]
    check(major == 1 and minor in (0, 1, 2, 3), "unsupported", "R-HDR-3", 8)
    end = HEADER_BYTES + count * ENTRY_BYTES
    check(len(data) >= end + CHECKSUM_BYTES, "truncated", "R-HDR-2", len(data))
    check(zlib.crc32(data[:end]) == struct.unpack_from("<I", data, end)[0], "checksum mismatch", "R-HDR-4", end)
    check(reserved == 0, "malformed", "R-HDR-5", 11)
    check(count <= LIMITS["sections"], "over limit", "R-HDR-6", 10)
    return count


# ---- container.md, 2. Section table ----------------------------------------------------------------------------------

PROGRAM, DIRECTORY, RAW, CODES, DIGEST = CRITICAL = (1, 2, 3, 4, 5)
PROVENANCE = FIRST_ANCILLARY = 128
IDENTITY = 129
STORED, ZSTD, BROTLI = 0, 1, 2


def read_table(data, count):
    """A list of (id, codec, stored length, decoded length, checksum)."""
    entries = []
    for index in range(count):
        at = HEADER_BYTES + index * ENTRY_BYTES
        entry = struct.unpack_from("<BBIII", data, at)
        section, codec, stored, decoded, _ = entry
        check(not entries or section > entries[-1][0], "malformed", "R-SEC-1", at)
        check(section in CRITICAL or section >= FIRST_ANCILLARY, "unsupported", "R-SEC-2", at)
        check(codec in (STORED, ZSTD, BROTLI), "unsupported", "R-SEC-3", at + 1)
        check(codec == STORED or section not in (CODES, DIGEST), "malformed", "R-SEC-4", at + 1)
        check(stored == decoded if codec == STORED else stored < decoded, "malformed", "R-SEC-5", at + 6)
        limit = LIMITS["section_bytes" if section in (RAW, CODES) else "metadata_bytes"]
        check(decoded <= limit, "over limit", "R-SEC-6", at + 6)
        check(section != DIGEST or decoded == 32, "malformed", "R-DIG-2", at + 6)
        entries.append(entry)
    present = [entry[0] for entry in entries]
    check(all(section in present for section in CRITICAL), "malformed", "R-SEC-7", HEADER_BYTES + count * ENTRY_BYTES)
    return entries


# ---- container.md, 3. Sections ---------------------------------------------------------------------------------------


def read_sections(data):
    """A dictionary from section id to decoded bytes."""
    entries = read_table(data, read_header(data))
    start = HEADER_BYTES + len(entries) * ENTRY_BYTES + CHECKSUM_BYTES
    end = start + sum(entry[2] for entry in entries)
    check(len(data) >= end, "truncated", "R-SEC-8", len(data))
    check(len(data) == end, "malformed", "R-SEC-9", end)
    places = []
    for _, _, stored, _, checksum in entries:
        check(zlib.crc32(data[start : start + stored]) == checksum, "checksum mismatch", "R-SEC-10", start)
        places.append(start)
        start += stored
    return {
        section: decompress(codec, data[start : start + stored], decoded, start)
        for start, (section, codec, stored, decoded, _) in zip(places, entries, strict=True)
    }


# ---- container.md, 4. Compressed bytes -------------------------------------------------------------------------------


def decompress(codec, stored, length, offset):
    """Exactly `length` bytes; `offset` is where the stored bytes start in the file."""
    try:
        decoded = {STORED: decode_stored, ZSTD: decode_zstd, BROTLI: decode_brotli}[codec](stored, length, offset)
    except (zstandard.ZstdError, brotli.error):
        raise Refused("malformed", "R-BYT-2", offset) from None
    except MemoryError:
        raise Refused("over limit", "R-SEC-6", offset) from None
    check(len(decoded) == length, "malformed", "R-BYT-2", offset)
    return decoded


def decode_stored(stored, length, offset):
    return stored


def decode_zstd(stored, length, offset):
    """Block by block through a streaming decoder, a few bytes of input at a time: slow, and bounded
    another way than the package.
    """
    check(stored[:4] == bytes.fromhex("28 B5 2F FD"), "malformed", "R-BYT-2", offset)
    frame = zstandard.get_frame_parameters(stored)
    check(frame.content_size == length, "malformed", "R-BYT-1", offset)
    check(frame.dict_id == 0 and not frame.has_checksum, "malformed", "R-BYT-1", offset)
    check(frame.window_size <= max(length, 1024), "malformed", "R-BYT-1", offset)
    decoder = zstandard.ZstdDecompressor(max_window_size=max(length, 1024)).decompressobj()
    decoded = bytearray()
    for at in range(0, len(stored), 64):
        check(not decoder.eof, "malformed", "R-BYT-2", offset)
        decoded += decoder.decompress(stored[at : at + 64])
        check(len(decoded) <= length, "malformed", "R-BYT-2", offset)
    check(decoder.eof and not decoder.unused_data, "malformed", "R-BYT-2", offset)
    return bytes(decoded)


def decode_brotli(stored, length, offset):
    decoder = brotli.Decompressor()
    decoded = bytearray(decoder.process(stored, output_buffer_limit=4096))
    while not decoder.is_finished():
        check(len(decoded) <= length, "malformed", "R-BYT-2", offset)
        piece = decoder.process(b"", output_buffer_limit=4096)
        check(piece or decoder.is_finished() or not decoder.can_accept_more_data(), "malformed", "R-BYT-2", offset)
        decoded += piece
    return bytes(decoded)


# ---- container.md, 5. Fields of decoded sections ---------------------------------------------------------------------

UNPRINTABLE = [(0, 0x1F), (0x7F, 0x9F), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069), (0xFEFF, 0xFEFF)]


class Fields:
    """The fields of a decoded section, one after the other; `at` is the offset of the next."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        check(count <= len(self.data) - self.at, "truncated", "R-END-1", self.at)
        self.at += count
        return self.data[self.at - count : self.at]

    def end(self):
        check(self.at == len(self.data), "malformed", "R-END-2", self.at)

    def u8(self):
        return self.take(1)[0]

    def f32(self):
        return struct.unpack("<f", self.take(4))[0]

    def varint(self):
        start, digits = self.at, []
        while not digits or digits[-1] >= 128:
            check(len(digits) < 5, "malformed", "R-VAR-1", start)
            digits.append(self.u8())
        value = sum((digit % 128) << (7 * place) for place, digit in enumerate(digits))
        check(value < 2**32, "malformed", "R-VAR-1", start)
        check(len(digits) == 1 or digits[-1] != 0, "malformed", "R-VAR-2", start)
        return value

    def signed_varint(self):
        value = self.varint()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def text(self):
        start = self.at
        length = self.varint()
        check(1 <= length <= 255, "malformed", "R-TXT-1", start)
        try:
            text = bytes(self.take(length)).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("malformed", "R-TXT-2", start) from None
        for low, high in UNPRINTABLE:
            check(not any(low <= ord(character) <= high for character in text), "malformed", "R-TXT-3", start)
        return text


# ---- tensors.md, 1. Directory, and 2. Terms --------------------------------------------------------------------------

DTYPES = "float32", "float16", "bfloat16"


def read_directory(data):
    """List of entries {name, shape, dtype, terms}; a term is a dict with its kind."""
    fields = Fields(data)
    count = fields.varint()
    check(count <= LIMITS["tensors"] and 4 * count <= len(data) - fields.at, "over limit", "R-DIR-1", 0)
    entries, elements, sides, products = [], 0, 0, 0
    for index in range(count):
        start = fields.at
        entry = {"name": fields.text(), "start": start}
        dtype_at, dtype = fields.at, fields.u8()
        check(dtype < 3, "malformed", "R-DIR-3", dtype_at)
        entry["dtype"], entry["shape"] = DTYPES[dtype], read_shape(fields)
        terms_at, terms = fields.at, fields.u8()
        check(1 <= terms <= 8, "malformed", "R-REC-2", terms_at)
        entry["terms"] = [read_term(fields, entry["shape"]) for _ in range(terms)]
        for number, term in enumerate(entry["terms"]):
            good = term["kind"] != "alias" or (
                term["source"] < index and entries[term["source"]]["shape"] == entry["shape"]
            )
            check(good, "invalid", "R-REC-3", terms_at)
            check_set(term, number, entry, entries, terms_at)
            if term["kind"] == "codebook" and "named" in term:
                other = earlier_term(term["named"], number, entry, entries)
                own = other is not None and other["kind"] == "codebook" and "named" not in other
                check(own and other["size"] == term["size"], "invalid", "R-CBK-3", terms_at)
        check(entry["name"] not in [other["name"] for other in entries], "malformed", "R-DIR-2", start)
        elements += sum(numbers_of(term, entry["shape"]) for term in entry["terms"])
        check(elements <= LIMITS["elements"], "over limit", "R-DIR-4", start)
        sides += sum(
            rows + columns
            for term in entry["terms"]
            for record, rows, columns in term["matrices"]
            if record["kind"] != "raw"
        )
        check(sides <= LIMITS["sides"], "over limit", "R-DIR-7", start)
        products += sum(product(entry["shape"]) * term["rank"] for term in entry["terms"] if term["kind"] == "low-rank")
        check(products <= LIMITS["products"], "over limit", "R-REC-6", start)
        entries.append(entry)
    fields.end()
    return entries


def earlier_term(named, number, entry, entries):
    """The term named, before term `number` of `entry`, which follows `entries`; None when there is none."""
    tensor, place = named
    if tensor > len(entries):
        return None
    terms = entries[tensor]["terms"] if tensor < len(entries) else entry["terms"][:number]
    return terms[place] if place < len(terms) else None


def numbers_of(term, shape):
    """The weights of a term, and the numbers that it makes them from when they are others."""
    made_from = 0 if term["kind"] in ("raw", "grid") else sum(rows * columns for _, rows, columns in term["matrices"])
    return product(shape) + made_from


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


def read_shape(fields):
    start, dimensions = fields.at, fields.u8()
    check(dimensions <= LIMITS["dimensions"], "over limit", "R-DIR-4", start)
    shape = []
    for _ in range(dimensions):
        shape.append(fields.varint())
        check(shape[-1] > 0, "invalid", "R-DIR-5", start)
        check(product(shape) <= LIMITS["elements"], "over limit", "R-DIR-4", start)
    return shape


def read_term(fields, shape):
    """A term; its "matrices" are (record, rows, columns) in the order in which the sections hold them."""
    start, kind = fields.at, fields.u8()
    check(kind < 7, "unsupported", "R-REC-1", start)
    rows, columns = matrix_shape(shape)
    if kind == 2:
        return {"kind": "alias", "source": fields.varint(), "matrices": []}
    if kind == 3:
        return read_low_rank(fields, rows, columns)
    if kind == 4:
        return read_subset(fields, rows, columns)
    if kind == 6:
        return read_codebook(fields, rows, columns)
    if kind == 5:
        told = read_set(fields, rows * columns)
        return {"kind": "sparse", "set": told, "matrices": [(read_matrix(fields), 1, told["count"])]}
    record = read_raw(fields) if kind == 0 else read_grid(fields)
    return {"kind": record["kind"], "matrices": [(record, rows, columns)]}


def read_low_rank(fields, rows, columns):
    start, rank = fields.at, fields.varint()
    check(1 <= rank <= min(rows, columns), "invalid", "R-REC-5", start)
    return {
        "kind": "low-rank",
        "rank": rank,
        "matrices": [(read_grid(fields), rows, rank), (read_grid(fields), rank, columns)],
    }


def read_subset(fields, rows, columns):
    start, axis = fields.at, fields.u8()
    check(axis < 2, "malformed", "R-REC-8", start)
    told = read_set(fields, (rows, columns)[axis])
    shape = (told["count"], columns) if axis == 0 else (rows, told["count"])
    return {"kind": "subset", "axis": axis, "set": told, "matrices": [(read_matrix(fields), *shape)]}


def read_codebook(fields, rows, columns):
    start, codewords = fields.at, fields.varint()
    check(2 <= codewords <= 65536, "invalid", "R-CBK-1", start)
    start, dimension = fields.at, fields.varint()
    check(1 <= dimension <= 65536 and columns % dimension == 0, "invalid", "R-CBK-2", start)
    term = {"kind": "codebook", "size": (codewords, dimension), "matrices": []}
    start, kind = fields.at, fields.u8()
    check(kind < 3, "malformed", "R-REC-7", start)
    if kind == 2:
        term["named"] = fields.varint(), fields.u8()
    else:
        term["matrices"].append((read_raw(fields) if kind == 0 else read_grid(fields), codewords, dimension))
    indices = {"kind": "indices", "resolution": read_resolution(fields), "trellis": 0}
    indices["offsets"] = [read_step_offset(fields, indices["resolution"]), None]
    indices["initial_scale"], indices["stream"] = read_initial_scale(fields), fields.varint()
    term["matrices"].append((indices, rows, columns // dimension))
    return term


def read_resolution(fields):
    start, resolution = fields.at, fields.u8()
    check(resolution <= 3, "invalid", "R-GRD-1", start)
    return resolution


def read_initial_scale(fields):
    start, initial_scale = fields.at, fields.signed_varint()
    check(abs(initial_scale) <= 256, "invalid", "R-GRD-3", start)
    return initial_scale


def read_matrix(fields):
    start, kind = fields.at, fields.u8()
    check(kind < 2, "malformed", "R-REC-7", start)
    return read_raw(fields) if kind == 0 else read_grid(fields)


def read_raw(fields):
    start, storage = fields.at, fields.u8()
    check(storage < 3, "malformed", "R-RAW-1", start)
    return {"kind": "raw", "storage": DTYPES[storage]}


def read_grid(fields):
    start = fields.at
    term = {"kind": "grid", "base": fields.f32()}
    check(2**-40 <= term["base"] <= 2**40, "invalid", "R-GRD-1", start)
    term["resolution"] = read_resolution(fields)
    term["trellis"] = fields.u8()
    check(term["trellis"] in (0, 8, 64), "unsupported", "R-GRD-4", start + 5)
    term["offsets"] = [read_step_offset(fields, term["resolution"]) for _ in range(2)]
    term["initial_scale"], term["stream"] = read_initial_scale(fields), fields.varint()
    return term


def read_step_offset(fields, resolution):
    start, mode = fields.at, fields.u8()
    check(mode < 2, "malformed", "R-GRD-2", start)
    if mode == 0:
        return None
    offset = fields.signed_varint()
    check(abs(offset) <= 20 << resolution, "invalid", "R-GRD-2", start)
    return offset


def matrix_shape(shape):
    return (shape[0], product(shape[1:])) if len(shape) > 1 else (1, product(shape))


# ---- tensors.md, 3. Raw planes ---------------------------------------------------------------------------------------


def matrices_of_kind(entries, *kinds):
    """(place, record, rows, columns) of the matrices of these kinds, in the order in which the sections hold them."""
    return [
        ((e, t, m), *matrix)
        for e, entry in enumerate(entries)
        for t, term in enumerate(entry["terms"])
        for m, matrix in enumerate(term["matrices"])
        if matrix[0]["kind"] in kinds
    ]


def read_planes(data, entries):
    """The values of each raw matrix, by place."""
    wanted = [
        (place, record["storage"], rows * columns) for place, record, rows, columns in matrices_of_kind(entries, "raw")
    ]
    sizes = {"float32": 4, "float16": 2, "bfloat16": 2}
    check(len(data) == sum(count * sizes[storage] for _, storage, count in wanted), "malformed", "R-RAW-2", 0)
    values, at = {}, 0
    for storage in DTYPES:
        members = [(place, count) for place, kind, count in wanted if kind == storage]
        total = sum(count for _, count in members)
        planes = [data[at + k * total : at + (k + 1) * total] for k in range(sizes[storage])]
        at += total * sizes[storage]
        numbers = [raw_number(bytes(word), storage) for word in zip(*planes, strict=True)]
        for place, count in members:
            values[place], numbers = numbers[:count], numbers[count:]
    return values


def raw_number(word, storage):
    """A float from its bytes, most significant first."""
    value = struct.unpack(">e" if storage == "float16" else ">f", word if storage != "bfloat16" else word + b"\0\0")[0]
    check(abs(value) < float("inf"), "invalid", "R-RAW-3")
    return value


# ---- tensors.md, 4. Grids --------------------------------------------------------------------------------------------

FRACTIONS = [float.fromhex(h) for h in (
    "0x1.000000p+0", "0x1.172b84p+0", "0x1.306fe0p+0", "0x1.4bfdaep+0",
    "0x1.6a09e6p+0", "0x1.8ace54p+0", "0x1.ae89fap+0", "0x1.d5818ep+0",
)]  # fmt: skip


def to_float32(value):
    """Nearest float32 of a double. Exact for our products: 24 by 24 bits fit a double's 53."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def grid_weights(codes, rows, columns, base, resolution):
    steps_an_octave, weights = 2**resolution, []
    for row, values in zip(rows, codes, strict=True):
        for column, q in zip(columns, values, strict=True):
            e = row + column
            step = to_float32(base * FRACTIONS[e % steps_an_octave * 8 // steps_an_octave]) * 2.0 ** (
                e // steps_an_octave
            )
            weights.append(to_float32(q * step))
    return weights


# ---- codecs.md ------------------------------------------------------------------------------------------------------

INITIAL_FREQUENCIES = (
    (61027, 4450, 7, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (60185, 5289, 10, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (59185, 6285, 14, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (57997, 7468, 19, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (56587, 8872, 25, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (54910, 10538, 35, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (52923, 12509, 49, 7, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (50570, 14833, 75, 10, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (47802, 17538, 133, 15, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (44588, 20602, 275, 22, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (40954, 23874, 624, 31, 9, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (37016, 27012, 1402, 49, 13, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (32959, 29531, 2875, 104, 20, 7, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (29012, 30961, 5171, 309, 32, 11, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (25252, 31163, 8087, 899, 73, 18, 8, 4, 4, 4, 4, 4, 4, 4, 4, 4),
    (21805, 30180, 11089, 2132, 244, 35, 13, 6, 4, 4, 4, 4, 4, 4, 4, 4),
    (18713, 28279, 13569, 4030, 766, 112, 24, 10, 5, 4, 4, 4, 4, 4, 4, 4),
    (15986, 25795, 15124, 6253, 1840, 402, 77, 21, 9, 5, 4, 4, 4, 4, 4, 4),
    (13610, 23044, 15665, 8279, 3411, 1107, 293, 72, 21, 9, 5, 4, 4, 4, 4, 4),
    (11556, 20266, 15343, 9704, 5128, 2271, 850, 275, 83, 27, 11, 6, 4, 4, 4, 4),
    (9794, 17612, 14415, 10381, 6576, 3667, 1803, 787, 308, 112, 41, 16, 8, 5, 4, 7),
    (8288, 15171, 13135, 10386, 7496, 4938, 2972, 1635, 826, 385, 168, 70, 30, 14, 7, 15),
    (7005, 12987, 11705, 9895, 7841, 5824, 4054, 2646, 1621, 933, 506, 260, 128, 61, 29, 41),
    (5916, 11066, 10265, 9101, 7709, 6238, 4820, 3557, 2508, 1690, 1089, 672, 397, 226, 125, 157),
    (5244, 18179, 15346, 11386, 7421, 4251, 2143, 955, 380, 138, 49, 19, 9, 5, 4, 7),
    (4440, 15517, 13736, 11100, 8182, 5502, 3376, 1892, 971, 459, 202, 84, 35, 16, 8, 16),
    (3757, 13195, 12085, 10377, 8351, 6297, 4448, 2945, 1828, 1066, 585, 303, 150, 71, 34, 44),
    (3177, 11190, 10501, 9415, 8065, 6597, 5153, 3843, 2738, 1863, 1212, 754, 450, 258, 143, 177),
)
RECIPROCALS = (
    32066,
    30706,
    29405,
    28158,
    26964,
    25821,
    24726,
    23678,
    22674,
    21713,
    20792,
    19911,
    19066,
    18258,
    17484,
    16743,
)
SCALE_MIN, SCALE_MAX = -4 * 65536, 20 * 65536 - 1
PARITY_CHECKS = {8: (0o13, 0o04), 64: (0o103, 0o024)}


class RangeDecoder:
    """32-bit range decoder over one payload."""

    def __init__(self, payload):
        if len(payload) < 4:
            raise Refused("truncated", "R-STR-4")
        self.payload, self.position = payload, 4
        self.code, self.range = int.from_bytes(payload[:4], "big"), 2**32 - 1

    def target(self, bits):
        self.unit = self.range >> bits
        return min(self.code // self.unit, 2**bits - 1)

    def take(self, start, size):
        self.code -= self.unit * start
        self.range = self.unit * size
        while self.range < 2**24:
            if self.position == len(self.payload):
                raise Refused("truncated", "R-STR-4")
            self.code = self.code << 8 | self.payload[self.position]
            self.range <<= 8
            self.position += 1

    def raw(self, bits):
        value = 0
        while bits > 0:
            n = min(bits, 16)
            part = self.target(n)
            self.take(part, 1)
            value, bits = value << n | part, bits - n
        return value

    def exponential_golomb(self):
        length = 0
        while self.raw(1):
            length += 1
            if length > 24:
                raise Refused("malformed", "R-STR-6")
        return (1 << length | self.raw(length)) - 1

    def finish(self):
        if self.position != len(self.payload) or self.code != 0:
            raise Refused("malformed", "R-STR-5")


class ScaleClassModel:
    """The adaptive distributions of one stream: kind (0 any, 1 even, 2 odd) by class."""

    def __init__(self):
        self.cumulative, self.count = {}, {}
        for kind in range(3):
            for c in range(96):
                total, row = 0, [0]
                for frequency in INITIAL_FREQUENCIES[c if c < 24 else 24 + c % 4]:
                    total += frequency
                    row.append(total << 14)
                self.cumulative[kind, c], self.count[kind, c] = row, 0

    def decode_symbol(self, coder, key):
        row = self.cumulative[key]
        target = coder.target(16)
        x = max(k for k in range(16) if row[k] >> 14 <= target)
        coder.take(row[x] >> 14, (row[x + 1] >> 14) - (row[x] >> 14))
        shift = 4
        while shift < 10 and (self.count[key] + 16) >> shift:
            shift += 1
        self.count[key] = min(self.count[key] + 1, 2**20)
        for k in range(1, 16):
            goal = 32768 * k if k <= x else 2**30 - 32768 * (16 - k)
            row[k] += (goal - row[k]) >> shift
        return x


def next_state(states, state, u):
    h0, h1 = PARITY_CHECKS[states]
    following = 0
    for i in range(1, states.bit_length()):
        following |= ((state >> i) ^ (h0 >> i & state) ^ (h1 >> i & u)) % 2 << i - 1
    return following


def scale_step(magnitude, s, k):
    surprise = min((magnitude * RECIPROCALS[s >> 12 & 15] >> (s >> 16) + 7) - 256, 1024)
    if (s == SCALE_MIN and surprise < 0) or (s == SCALE_MAX and surprise > 0):
        return 0
    return surprise * max(196, 32768 // (k + 3)) >> 8


def clamp(s):
    return min(max(s, SCALE_MIN), SCALE_MAX)


def decode_matrix(coder, model, row_scales, column_scales, trellis):
    corrections, states, matrix = [0] * len(column_scales), [0] * len(column_scales), []
    for i, row_scale in enumerate(row_scales):
        row_correction, values = 0, []
        for j, column_scale in enumerate(column_scales):
            runs = trellis and row_scale + column_scale >= -5 * 16384
            kind = 0 if not trellis else 1 + states[j] % 2 if runs else 1
            s = clamp(row_scale + column_scale + row_correction + corrections[j])
            q = decode_integer(coder, model, s, kind)
            values.append(q)
            row_correction += scale_step(abs(q), s, j)
            corrections[j] += scale_step(abs(q), s, i)
            if runs:
                states[j] = next_state(trellis, states[j], (q % 4 - states[j] % 2) // 2)
        matrix.append(values)
    return matrix


def decode_integer(coder, model, s, kind):
    c = clamp(s - 65536 if kind else s) - SCALE_MIN >> 14
    shift = max(0, (c >> 2) - 5)
    first = 0 if kind == 2 else 1
    x, sign = model.decode_symbol(coder, (kind, c)), 1
    if x == 15:
        x += coder.exponential_golomb()
    if x >= first:
        raw = coder.raw(shift + 1)
        x = (x - first << shift) + (raw & (1 << shift) - 1) + first
        sign = -1 if raw >> shift else 1
    magnitude = 2 * x + kind - 1 if kind else x
    check(magnitude < 2**24, "malformed", "R-STR-6")
    return sign * magnitude


class Words:
    """Numbers of 16 bits, one after the other."""

    def __init__(self, data):
        self.words, self.at = struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2]), 0

    def next(self):
        if self.at == len(self.words):
            raise Refused("truncated", "R-STR-4")
        self.at += 1
        return self.words[self.at - 1]


class StaticStream:
    """Tables, low bits, escapes and states of a stream of codec 3."""

    def __init__(self, payload, scales):
        check(len(payload) >= 16, "truncated", "R-STR-4")
        side, escapes, low, *groups = struct.unpack("<IIIBBBB", payload[:16])
        self.ranges = [(groups[0], groups[1]), (groups[2], groups[3])]
        for trellis, (lowest, number) in enumerate(self.ranges):
            present = any(bool(states) == bool(trellis) for _, _, states in scales)
            check(lowest + number <= 80 and (number > 0 if present else lowest == number == 0), "malformed", "R-STR-8")
        check(escapes <= sum(len(rows) * len(columns) for rows, columns, _ in scales), "malformed", "R-STR-8")
        states_at = 16 + side + 2 * low
        check(states_at <= len(payload), "truncated", "R-STR-4")
        tables = self.ranges[0][1] + 2 * self.ranges[1][1]
        sizes = [0] * sum(len(rows) + len(columns) for rows, columns, _ in scales)
        columns = [max(0, 10 - k) * 65536 for k in range(15)] + [0]
        known = [([0], sizes, 0), ([0] * tables, columns, 0), ([0], [0] * escapes, 0)]
        (self.corrections,), halves, (self.escapes,) = decode_adaptive(payload[16 : 16 + side], known)
        self.tables = [
            self.frequencies(half, t >= self.ranges[0][1] + self.ranges[1][1]) for t, half in enumerate(halves)
        ]
        check(states_at + 32 <= len(payload), "truncated", "R-STR-4")
        self.low, self.bits, self.n_bits = Words(payload[16 + side : states_at]), 0, 0
        self.states = list(struct.unpack("<8I", payload[states_at : states_at + 32]))
        self.words, self.odd_byte = Words(payload[states_at + 32 :]), (len(payload) - states_at) % 2

    @staticmethod
    def frequencies(half, odd):
        signed = [n for n in half[:15] for _ in range(2)]
        table = [*signed, 0, half[15]] if odd else [4096 - sum(signed) - half[15], *signed, half[15]]
        check(all(0 <= n <= 4094 for n in table) and sum(table) == 4096, "malformed", "R-STR-8")
        return table

    def symbol(self, lane, table):
        x, start, symbol = self.states[lane], 0, 0
        while start + table[symbol] <= x % 4096:
            start, symbol = start + table[symbol], symbol + 1
        x = table[symbol] * (x >> 12) + x % 4096 - start
        self.states[lane] = x << 16 | self.words.next() if x < 2**16 else x
        return symbol

    def low_bits(self, count):
        while self.n_bits < count:
            self.bits, self.n_bits = self.bits | self.low.next() << self.n_bits, self.n_bits + 16
        value, self.bits, self.n_bits = self.bits % 2**count, self.bits >> count, self.n_bits - count
        return value

    def integer(self, lane, c, trellis, odd):
        lowest, number = self.ranges[trellis]
        c = min(max(c - lowest, 0), number - 1)
        symbol = self.symbol(lane, self.tables[trellis * self.ranges[0][1] + odd * number + c])
        if symbol == 31:
            check(self.escapes, "truncated", "R-STR-4")
            e = self.escapes.pop(0)
            return 2 * e + odd if trellis else e
        first = 1 - odd
        if symbol < first:
            return 0
        b = max(0, (lowest + c >> 2) - 5)
        x = first + ((symbol - first) // 2 << b) + self.low_bits(b)
        magnitude = 2 * x + odd if trellis else x
        return -magnitude if (symbol - first) % 2 else magnitude

    def take_corrections(self, count):
        taken, self.corrections = self.corrections[:count], self.corrections[count:]
        return taken

    def matrix(self, rows, columns, trellis):
        has_trellis = 1 if trellis else 0
        row_classes = [(s >> 14) + n for s, n in zip(rows, self.take_corrections(len(rows)), strict=True)]
        column_classes = [
            (s >> 14) + 16 - 4 * has_trellis + n
            for s, n in zip(columns, self.take_corrections(len(columns)), strict=True)
        ]
        states, matrix = [0] * len(columns), []
        for row, row_class in zip(rows, row_classes, strict=True):
            values = []
            for j, column in enumerate(columns):
                runs = trellis and row + column >= -5 * 16384
                odd = states[j] % 2 if runs else 0
                values.append(self.integer(j % 8, row_class + column_classes[j], has_trellis, odd))
                if runs:
                    states[j] = next_state(trellis, states[j], (values[j] % 4 - odd) // 2)
            check(all(abs(q) < 2**24 for q in values), "malformed", "R-STR-6")
            matrix.append(values)
        return matrix

    def finish(self):
        used = not self.escapes and self.low.at == len(self.low.words) and self.words.at == len(self.words.words)
        check(used and not self.odd_byte and not self.bits and self.states == [2**16] * 8, "malformed", "R-STR-5")


# ---- codecs.md, codec 2 ----------------------------------------------------------------------------------------------

KNOTS = (
    22,
    28,
    36,
    47,
    60,
    77,
    98,
    126,
    162,
    208,
    267,
    342,
    439,
    562,
    720,
    922,
    1179,
    1506,
    1921,
    2446,
    3108,
    3938,
    4971,
    6249,
    7812,
    9702,
    11955,
    14595,
    17625,
    21025,
    24743,
    28693,
    32768,
    36843,
    40793,
    44511,
    47911,
    50941,
    53581,
    55834,
    57724,
    59287,
    60565,
    61598,
    62428,
    63090,
    63615,
    64030,
    64357,
    64614,
    64816,
    64974,
    65097,
    65194,
    65269,
    65328,
    65374,
    65410,
    65438,
    65459,
    65476,
    65489,
    65500,
    65508,
    65514,
)
INITIAL = (  # missing entries are 32768
    (
        (983,),
        (983,),
        (983,),
        (984, 32741),
        (999, 32258),
        (1113, 28950),
        (1587, 20302),
        (2838, 11350),
        (5220, 6171),
        (8804, 3661, 32752),
        (13359, 2442, 32349),
        (18496, 1983, 28786),
        (23814, 2392, 18552, 32730),
        (28995, 4086, 9176, 31819, 32767),
        (33830, 7324, 5567, 25146, 32673),
        (38208, 11953, 6141, 13196, 30655, 32737),
        (42087, 17492, 9547, 8306, 20154, 31595, 32737),
        (45471, 23377, 14834, 10089, 10961, 22278, 31396, 32697, 32766),
        (48392, 29139, 21080, 15153, 11691, 12336, 20672, 29979, 32477, 32750, 32767),
        (50894, 34475, 27497, 21612, 16991, 13850, 13044, 16919, 25558, 31164, 32551, 32747, 32767),
        (53026, 39232, 33540, 28332, 23760, 19896, 16824, 14805, 14655, 18063, 24999, 30379, 32280, 32692, 32759),
        (54835, 43365, 38921, 34633, 30626, 26966, 23687, 20811, 18383, 16533, 15625, 16516, 20336, 26160, 30426),
        (56367, 46895, 43538, 40179, 36911, 33791, 30851, 28112, 25583, 23268, 21177, 19336, 17812, 16774, 16619),
        (57660, 49877, 47409, 44872, 42332, 39834, 37408, 35071, 32838, 30714, 28702, 26805, 25023, 23355, 21806),
        (58752, 40723, 34932, 29571, 24818, 20751, 17425, 14998, 14020, 15942, 22129, 28868, 31884, 32621, 32749),
        (59672, 44514, 40040, 35687, 31595, 27837, 24452, 21458, 18883, 16809, 15479, 15540, 18198, 23772, 29123),
        (60446, 47764, 44406, 41026, 37722, 34557, 31567, 28774, 26187, 23812, 21655, 19729, 18080, 16821, 16240),
        (61099, 50526, 48066, 45526, 42974, 40458, 38009, 35648, 33386, 31233, 29193, 27266, 25453, 23753, 22170),
    ),
    (
        (983,),
        (983,),
        (983,),
        (983,),
        (983,),
        (983,),
        (983,),
        (984, 32741),
        (999, 32258),
        (1113, 28950),
        (1587, 20302, 32767),
        (2838, 11369, 32713),
        (5220, 6366, 31764),
        (8804, 4624, 25954, 32737),
        (13359, 5372, 15087, 31945, 32764),
        (18496, 8315, 8763, 25837, 32553, 32766),
        (23814, 13013, 8640, 14551, 29226, 32617, 32765),
        (28995, 18787, 12315, 10595, 17850, 29496, 32527, 32759),
        (33830, 24927, 18004, 13468, 12346, 17754, 27784, 32075, 32713, 32765),
        (38208, 30882, 24471, 19282, 15527, 13806, 15903, 23252, 30062, 32328, 32719, 32764),
        (42087, 36316, 30875, 26006, 21827, 18432, 16028, 15235, 17447, 23416, 29349, 31964, 32628, 32749, 32766),
        (45471, 41081, 36728, 32590, 28768, 25316, 22267, 19666, 17623, 16435, 16800, 19772, 25089, 29705, 31882),
        (48392, 45150, 41813, 38510, 35322, 32298, 29465, 26839, 24429, 22246, 20314, 18694, 17534, 17171, 18242),
        (50894, 48567, 46093, 43569, 41059, 38601, 36223, 33940, 31763, 29697, 27746, 25911, 24192, 22594, 21125),
        (42087, 36316, 30875, 26006, 21827, 18432, 16028, 15235, 17447, 23416, 29349, 31964, 32628, 32749, 32766),
        (45471, 41081, 36728, 32590, 28768, 25316, 22267, 19666, 17623, 16435, 16800, 19772, 25089, 29705, 31882),
        (48392, 45150, 41813, 38510, 35322, 32298, 29465, 26839, 24429, 22246, 20314, 18694, 17534, 17171, 18242),
        (50894, 48567, 46093, 43569, 41059, 38601, 36223, 33940, 31763, 29697, 27746, 25911, 24192, 22594, 21125),
    ),
)
SCORE = (  # missing entries are 2216
    (
        (0,),
        (0,),
        (0,),
        (0,),
        (-1,),
        (-8,),
        (-27,),
        (-61, 2042),
        (-108, 1509),
        (-158, 1125),
        (-205, 844),
        (-245, 630),
        (-277, 450),
        (-302, 290),
        (-320, 147, 1611),
        (-334, 25, 1120),
        (-344, -75, 738, 2108),
        (-351, -153, 444, 1444),
        (-357, -212, 222, 948, 1965),
        (-360, -256, 58, 580, 1313),
        (-363, -288, -63, 312, 837, 1512),
        (-365, -311, -151, 117, 492, 974, 1564),
        (-366, -328, -214, -23, 244, 588, 1007, 1503, 2076),
        (-367, -340, -259, -123, 67, 311, 609, 962, 1368),
    ),
    (
        (0,),
        (0,),
        (0,),
        (0,),
        (0,),
        (0,),
        (0,),
        (0,),
        (-1,),
        (-8,),
        (-27,),
        (-61, 2039),
        (-108, 1495),
        (-158, 1079),
        (-205, 747),
        (-245, 478, 1957),
        (-277, 263, 1353),
        (-302, 96, 894, 2096),
        (-320, -31, 549, 1420),
        (-334, -125, 293, 920, 1758),
        (-344, -194, 106, 556, 1156, 1906),
        (-351, -244, -30, 291, 720, 1256, 1899),
        (-357, -280, -128, 101, 406, 788, 1246, 1780),
        (-360, -306, -198, -35, 182, 453, 779, 1158, 1592),
    ),
)
INFORMATION = (
    (
        0,
        0,
        0,
        1,
        13,
        56,
        140,
        235,
        305,
        333,
        330,
        322,
        334,
        364,
        398,
        426,
        448,
        465,
        478,
        488,
        495,
        500,
        503,
        506,
    ),
    (
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        13,
        56,
        140,
        236,
        312,
        362,
        398,
        426,
        448,
        465,
        478,
        488,
        495,
        500,
        503,
        506,
    ),
)
LEVELS = (32, 96, 144, 192, 240, 288, 352, 432, 560, 768)


def entry_or(row, index, missing):
    return row[index] if index < len(row) else missing


def squash(x):
    k, f = x + 2048 >> 6, x + 2048 & 63
    return min(max(KNOTS[k] * (64 - f) + KNOTS[k + 1] * f + 32 >> 6, 32), 65504)


SQUASHED = [squash(x) for x in range(-2047, 2048)]
STRETCHED = [min(bisect.bisect_left(SQUASHED, 16 * k + 8), 4094) - 2047 for k in range(4096)]


class BinaryDecoder:
    """Decisions of one payload."""

    def __init__(self, payload):
        if len(payload) < 4:
            raise Refused("truncated", "R-STR-4")
        self.payload, self.position = payload, 4
        self.code, self.range = int.from_bytes(payload[:4], "big"), 2**32

    def decide(self, p):
        bound = (self.range >> 16) * p
        yes = self.code < bound
        if yes:
            self.range = bound
        else:
            self.code, self.range = self.code - bound, self.range - bound
        while self.range < 2**24:
            if self.position == len(self.payload):
                raise Refused("truncated", "R-STR-4")
            self.code = self.code << 8 | self.payload[self.position]
            self.range <<= 8
            self.position += 1
        return int(yes)

    def raw(self, bits):
        value = 0
        for _ in range(bits):
            value = value << 1 | self.decide(32768)
        return value

    def exponential_golomb(self):
        length = 0
        while self.raw(1):
            length += 1
            check(length <= 26, "malformed", "R-STR-6")
        return (1 << length | self.raw(length)) - 1

    finish = RangeDecoder.finish


class MixingModel:
    """All that one stream's decisions have taught: cells [P, count] by a key, weights by kind and decision."""

    def __init__(self):
        self.cells, self.matrix_cells, self.weights, self.vectors = {}, {}, {}, []

    def decide_number(self, coder, kind, t, left, above, d):
        """Decision d of a matrix integer."""
        quarter = t + 4 * 65536 >> 14
        row = INITIAL[kind == 2][quarter if quarter < 24 else 24 + quarter % 4]
        start = entry_or(row, d, 32768) * 64
        keys = ("fine", t + 4 * 65536 >> 12), ("left", quarter, left), ("above", quarter, above)
        cells = [self.cells.setdefault((kind, d, *key), [start, 0]) for key in keys]
        cells.append(self.matrix_cells.setdefault((kind, d, quarter), [start, 0]))
        weights = self.weights.setdefault((kind, d), [16384] * 4)
        stretched = [STRETCHED[cell[0] >> 10] for cell in cells]
        p = squash(min(max(sum(w * s for w, s in zip(weights, stretched, strict=True)) >> 16, -2047), 2047))
        yes = coder.decide(p)
        for k in range(4):
            weights[k] += ((yes << 16) - p) * stretched[k] + 131072 >> 18
            learn(cells[k], yes, 65536 // (cells[k][1] + 30))
        return yes

    def decide_alone(self, coder, key, start=2**21):
        """A decision about a vector."""
        cell = self.cells.setdefault(key, [start, 0])
        yes = coder.decide(min(max(cell[0] >> 6, 32), 65504))
        learn(cell, yes, 655360 // (10 * min(cell[1], 60) + 16))
        return yes


def learn(cell, yes, rate):
    cell[0] += (yes * 2**22 - cell[0]) * rate >> 16
    cell[1] = min(cell[1] + 1, 1023)


def level(ratio):
    return sum(start <= ratio - ratio % 16 for start in LEVELS)


class Side:
    """What is known of a row's or a column's log scale."""

    def __init__(self):
        self.correction, self.variance = 0, 2**24 // 80

    def observe(self, score, information):
        self.correction += self.variance * score >> 16
        self.variance -= (information * self.variance >> 8) * self.variance >> 24


def observation(x, h, t):
    """(ratio, score, information) of a coded number."""
    ratio = min((2 * x + h) * RECIPROCALS[t >> 12 & 15] >> (t >> 16) + 8, 2047)
    quarter = t + 4 * 65536 >> 14
    if quarter < 24:
        return ratio, entry_or(SCORE[h][quarter], min(x, 8), 2216), INFORMATION[h][quarter]
    return ratio, min((ratio * ratio - 65536) * 369 >> 16, 2216), 512


def decode_mixed_number(coder, model, kind, t, left, above):
    first, shift, x = 0 if kind == 2 else 1, max(0, (t >> 16) - 1), 0
    while x < 15 and model.decide_number(coder, kind, t, left, above, x):
        x += 1
    if x == 15:
        x += coder.exponential_golomb()
    return x if x < first else (x - first << shift) + coder.raw(shift) + first


def decode_mixed_matrix(coder, model, row_scales, column_scales, trellis):
    if len(row_scales) == 1 and not trellis and column_scales:
        return [decode_vector(coder, model, row_scales[0] + column_scales[0], len(column_scales))]
    model.matrix_cells = {}
    columns, states, above, matrix = (
        [Side() for _ in column_scales],
        [0] * len(column_scales),
        [205] * len(column_scales),
        [],
    )
    for row_scale in row_scales:
        row, values, last = Side(), [], [205] * 3
        for j, column_scale in enumerate(column_scales):
            static = row_scale + column_scale
            runs = trellis and static >= -5 * 16384
            kind = 0 if not trellis else 1 + states[j] % 2 if runs else 1
            t = clamp(static + 20480 + row.correction + columns[j].correction - (65536 if kind else 0))
            x = decode_mixed_number(
                coder, model, kind, t, level(2 * last[-1] + last[-2] + last[-3] >> 2), level(above[j])
            )
            sign = -1 if (x > 0 or kind == 2) and coder.raw(1) else 1
            magnitude = 2 * x + kind - 1 if kind else x
            check(magnitude < 2**24, "malformed", "R-STR-6")
            values.append(sign * magnitude)
            ratio, score, information = observation(x, int(kind == 2), t)
            last.append(ratio)
            above[j] += ratio - above[j] >> 3
            row.observe(score, information)
            columns[j].observe(score, information)
            if runs:
                states[j] = next_state(trellis, states[j], (values[-1] % 4 - states[j] % 2) // 2)
        matrix.append(values)
    return matrix


def decode_vector(coder, model, scale, length):
    references = [v for v in model.vectors if len(v) == length][:6]
    start = 768 * 2 ** min(max(scale >> 16, -4), 20)
    start, values, remembered = int(start), [], None
    errors = [start + k * (start >> 3) for k in range(2 + len(references))]
    model.cells.pop(("repeat", False), None)
    model.cells.pop(("repeat", True), None)
    for j in range(length):
        candidates = [0, values[-1] if values else 0, *(v[j] for v in references)]
        best, second = sorted(range(len(errors)), key=lambda k: errors[k])[:2]
        candidate, first = candidates[best], 0
        repeat = ("repeat", remembered == candidate)
        if remembered is not None and model.decide_alone(coder, repeat, 1258291):
            value, first = remembered, 2
        else:
            value = candidate + decode_difference(
                coder, model, candidate, candidates[second] - candidate, errors[best], remembered
            )
        check(abs(value) < 2**24, "malformed", "R-STR-6")
        values.append(value)
        if abs(value) >= 16:
            remembered = value
        for k in range(first, len(errors)):
            errors[k] += 256 * abs(value - candidates[k]) - errors[k] >> 4
    model.vectors.insert(0, values)
    return values


def decode_difference(coder, model, candidate, gap, error, remembered):
    digits = (error + 8).bit_length()
    scale, shift = 2 * digits + (error + 8 >> digits - 2 & 1), max(0, digits - 12)
    toward, spread = (gap > 0) - (gap < 0), 0 if gap == 0 else 1 if abs(gap) <= 2 else 2
    if remembered != candidate and not model.decide_alone(coder, ("nonzero", scale, spread)):
        return 0
    sign = 1 if model.decide_alone(coder, ("sign", toward, spread)) else -1
    x = 0
    while x < 19 and model.decide_alone(coder, ("more", scale, min(x, 9)), 2516582):
        x += 1
    if x == 19:
        x += coder.exponential_golomb()
    magnitude = (x << shift) + coder.raw(shift) + 1
    if remembered is not None and (remembered - candidate) * sign > 0 and magnitude >= abs(remembered - candidate):
        magnitude += 1
    return sign * magnitude


# ---- codecs.md, the CODES section ------------------------------------------------------------------------------------


def decode_adaptive(payload, scales):
    coder, model = RangeDecoder(payload), ScaleClassModel()
    matrices = [decode_matrix(coder, model, *known) for known in scales]
    coder.finish()
    return matrices


def decode_static(payload, scales):
    stream = StaticStream(payload, scales)
    matrices = [stream.matrix(*known) for known in scales]
    stream.finish()
    return matrices


def decode_mixing(payload, scales):
    coder, model = BinaryDecoder(payload), MixingModel()
    matrices = [decode_mixed_matrix(coder, model, *known) for known in scales]
    coder.finish()
    return matrices


STREAM_DECODERS = {1: decode_adaptive, 2: decode_mixing, 3: decode_static}


def decode_stream(payload, scales, codec=1):
    """scales: (row scales, column scales, states of the trellis) of each matrix."""
    symbols = sum(len(rows) * len(columns) for rows, columns, _ in scales)
    check(symbols <= 16384 * len(payload), "malformed", "R-STR-3")
    return STREAM_DECODERS[codec](payload, scales)


def read_streams(data):
    """Codec and payload of each stream of the CODES section."""
    fields = Fields(data)
    count = fields.varint()
    check(count <= LIMITS["streams"] and 2 * count <= len(data) - fields.at, "over limit", "R-STR-1", 0)
    table = []
    for _ in range(count):
        start = fields.at
        codec, length = fields.u8(), fields.varint()
        check(codec in STREAM_DECODERS, "unsupported", "R-STR-2", start)
        table.append((codec, length))
    streams = [(codec, bytes(fields.take(length))) for codec, length in table]
    fields.end()
    return streams


def check_stream_numbers(entries, streams):
    named = {record["stream"] for _, record, _, _ in matrices_of_kind(entries, "grid", "indices")}
    first = bool(named) or any(told["gaps"] for _, told in sets_of(entries))
    check(named == set(range(1, len(streams))) and first == bool(streams), "invalid", "R-STR-7")


def decode_first_stream(entries, streams):
    """The row and column exponents of each grid and codebook, by place, and the gaps of each set that has any."""
    matrices = matrices_of_kind(entries, "grid", "indices")
    sides = [
        (place, side, record["offsets"][side], size, 20 << record["resolution"])
        for place, record, *sizes in matrices
        for side, size in enumerate(sizes)
        if record["offsets"][side] is not None
    ]
    sets = [(place, told["gaps"], told["universe"]) for place, told in sets_of(entries) if told["gaps"]]
    scales = [([0], [0] * size, 0) for *_, size, _ in sides]
    scales += [([0], [((universe // count).bit_length() - 2) * 65536] * count, 0) for _, count, universe in sets]
    vectors = decode_stream(streams[0][1], scales, streams[0][0]) if streams else []
    exponents = {place: [[0] * rows, [0] * columns] for place, _, rows, columns in matrices}
    for (place, side, offset, _, bound), (values,) in zip(sides, vectors, strict=False):
        exponents[place][side] = [value + offset for value in values]
        check(all(abs(value) <= bound for value in exponents[place][side]), "invalid", "R-GRD-2")
    gaps = {place: values for (place, _, _), (values,) in zip(sets, vectors[len(sides) :], strict=True)}
    return exponents, gaps


def decode_grids(entries, streams, exponents):
    """The weights of each grid, and rows of indices with their exponents of each codebook, by place."""
    found = {}
    for number, (codec, payload) in enumerate(streams[1:], 1):
        matrices = matrices_of_kind(entries, "grid", "indices")
        members = [(place, record) for place, record, _, _ in matrices if record["stream"] == number]
        scales = [grid_scales(record, *exponents[place]) for place, record in members]
        for (place, record), codes in zip(members, decode_stream(payload, scales, codec), strict=True):
            if record["kind"] == "grid":
                found[place] = grid_weights(codes, *exponents[place], record["base"], record["resolution"])
            else:
                found[place] = codes, exponents[place][0], 2 ** record["resolution"]
    return found


def grid_scales(record, rows, columns):
    unit = 65536 >> record["resolution"] if record["kind"] == "grid" else 0
    start = record["initial_scale"] * 16384
    return [-r * unit for r in rows], [start - c * unit for c in columns], record["trellis"]


# ---- tensors.md, 5. Terms that combine matrices ----------------------------------------------------------------------


def term_values(term, inner, rows, columns, members):
    """The values of a term from those of its matrices, and the members of its set."""
    if term["kind"] == "low-rank":
        return low_rank_values(*inner, rows, columns, term["rank"])
    if term["kind"] == "subset":
        return subset_values(inner[0], members, term["axis"], rows, columns)
    if term["kind"] == "sparse":
        values = [0.0] * (rows * columns)
        for member, value in zip(members, inner[0], strict=True):
            values[member] = value
        return values
    return inner[0]


def subset_values(inner, members, axis, rows, columns):
    values = [0.0] * (rows * columns)
    for n, member in enumerate(members):
        if axis == 0:
            values[member * columns : (member + 1) * columns] = inner[n * columns : (n + 1) * columns]
        else:
            values[member::columns] = inner[n :: len(members)]
    return values


def low_rank_values(left, right, rows, columns, rank):
    values = []
    for i in range(rows):
        for j in range(columns):
            total = 0.0
            for k in range(rank):
                total += left[i * rank + k] * right[k * columns + j]
            values.append(finite_float32(total))
    return values


def codebook_values(codewords, size, rows, exponents, steps_an_octave):
    """Codewords, flat, by index; an index is stored less half their number."""
    count, dimension = size
    values = []
    for stored, e in zip(rows, exponents, strict=True):
        factor = FRACTIONS[e % steps_an_octave * 8 // steps_an_octave] * 2.0 ** (e // steps_an_octave)
        for integer in stored:
            index = integer + count // 2
            check(0 <= index < count, "invalid", "R-CBK-4")
            values += [finite_float32(codewords[index * dimension + t] * factor) for t in range(dimension)]
    return values


# ---- tensors.md, 6. Sets ---------------------------------------------------------------------------------------------

ENCODINGS = "prefix", "finest", "bitmap", "gaps", "same", "difference"


def read_set(fields, universe):
    start, number = fields.at, fields.u8()
    check(number < len(ENCODINGS), "unsupported", "R-SET-1", start)
    told = {"encoding": ENCODINGS[number], "universe": universe, "gaps": 0}
    start = fields.at
    if told["encoding"] == "bitmap":
        bitmap = bytes(fields.take((universe + 7) // 8))
        bits = [bitmap[i // 8] >> i % 8 & 1 for i in range(8 * len(bitmap))]
        check(not any(bits[universe:]), "malformed", "R-SET-3", start)
        told["members"] = [i for i in range(universe) if bits[i]]
        told["count"] = len(told["members"])
        check(1 <= told["count"] < universe, "invalid", "R-SET-2", start)
        return told
    if told["encoding"] in ("same", "difference"):
        told["named"] = fields.varint(), fields.u8()
    start, told["count"] = fields.at, fields.varint()
    check(1 <= told["count"] < universe, "invalid", "R-SET-2", start)
    if told["encoding"] == "gaps":
        told["gaps"] = told["count"]
    if told["encoding"] == "difference":
        start, told["gaps"] = fields.at, fields.varint()
        check(1 <= told["gaps"] <= universe, "invalid", "R-SET-2", start)
    return told


def check_set(term, number, entry, entries, offset):
    """What a set refers to exists: `entries` are the earlier ones."""
    told = term.get("set")
    if told is None:
        return
    if told["encoding"] == "finest":
        grids = [other["matrices"][0][0] for other in entry["terms"] if other["kind"] == "grid"]
        steps = term["kind"] == "subset" and grids and grids[0]["offsets"][term["axis"]] is not None
        check(steps, "invalid", "R-SET-4", offset)
    if "named" in told:
        other = earlier_term(told["named"], number, entry, entries)
        named = other and other.get("set")
        check(
            named is not None and named["encoding"] != "same" and named["universe"] == told["universe"],
            "invalid",
            "R-SET-5",
            offset,
        )
        check(told["encoding"] != "same" or named["count"] == told["count"], "invalid", "R-SET-5", offset)


def sets_of(entries):
    """(entry, term) and record of every set, in order."""
    return [
        ((e, t), term["set"])
        for e, entry in enumerate(entries)
        for t, term in enumerate(entry["terms"])
        if "set" in term
    ]


def decode_sets(entries, gaps, exponents):
    """The members of every set by (entry, term), from its integers of stream 0."""
    members = {}
    for (e, t), told in sets_of(entries):
        if told["encoding"] == "prefix":
            members[e, t] = list(range(told["count"]))
        elif told["encoding"] == "finest":
            first = next(number for number, term in enumerate(entries[e]["terms"]) if term["kind"] == "grid")
            steps = exponents[e, first, 0][entries[e]["terms"][t]["axis"]]
            members[e, t] = sorted(sorted(range(len(steps)), key=lambda i: (steps[i], i))[: told["count"]])
        elif told["encoding"] == "bitmap":
            members[e, t] = told["members"]
        elif told["encoding"] == "gaps":
            members[e, t] = members_after(gaps[e, t], told["universe"])
        elif told["encoding"] == "same":
            members[e, t] = members[told["named"]]
        else:
            changes = members_after(gaps[e, t], told["universe"])
            members[e, t] = sorted(set(members[told["named"]]) ^ set(changes))
            check(len(members[e, t]) == told["count"], "invalid", "R-SET-6")
    return members


def members_after(integers, universe):
    members, last = [], -1
    for integer in integers:
        last += 1 + (2 * integer if integer >= 0 else -2 * integer - 1)
        members.append(last)
    check(last < universe, "invalid", "R-SET-6")
    return members


# ---- tensors.md, 7. Digest -------------------------------------------------------------------------------------------


def finite_float32(value):
    try:
        return to_float32(value)
    except OverflowError:
        raise Refused("invalid", "R-REC-4") from None


def decode_tensors(sections):
    """(entries, the list of values of each, SHA-256 of them all), after the digest has been compared."""
    entries = read_directory(sections[2])
    streams = read_streams(sections[4])
    check_stream_numbers(entries, streams)
    if IDENTITY in sections:
        read_identity(sections[IDENTITY])
    planes = read_planes(sections[3], entries)
    exponents, gaps = decode_first_stream(entries, streams)
    matrices = {**planes, **decode_grids(entries, streams, exponents)}
    members = decode_sets(entries, gaps, exponents)
    tensors, codebooks, digest = [], {}, hashlib.sha256()
    for e, entry in enumerate(entries):
        total = None
        for t, term in enumerate(entry["terms"]):
            if term["kind"] == "alias":
                values = tensors[term["source"]]
            else:
                inner = [matrices[e, t, m] for m in range(len(term["matrices"]))]
                if term["kind"] == "codebook":
                    codebooks[e, t] = codebooks[term["named"]] if "named" in term else inner[0]
                    values = codebook_values(codebooks[e, t], term["size"], *inner[-1])
                else:
                    values = term_values(term, inner, *matrix_shape(entry["shape"]), members.get((e, t)))
            # two float32 numbers add up exactly enough in a double to round once more without harm
            total = values if total is None else [finite_float32(a + b) for a, b in zip(total, values, strict=True)]
        tensors.append(total)
        name = entry["name"].encode()
        digest.update(struct.pack("<I", len(name)) + name)
        digest.update(struct.pack(f"<{1 + len(entry['shape'])}I", len(entry["shape"]), *entry["shape"]))
        digest.update(struct.pack(f"<{len(total)}f", *total))
    check(digest.digest() == bytes(sections[5]), "checksum mismatch", "R-DIG-1")
    return entries, tensors, digest.hexdigest()


# ---- tensors.md, 9. Identity -----------------------------------------------------------------------------------------


def read_identity(data):
    """(pieces, digest of the tokenizer, digest of the architecture document), None for what is not known."""
    fields = Fields(data)
    known = fields.u8()
    check(1 <= known <= 7, "malformed", "R-IDN-1", 0)
    check(known & 3 != 2, "invalid", "R-IDN-2", 0)
    pieces = fields.varint() if known & 1 else None
    check(pieces != 0, "invalid", "R-IDN-3", 1)
    digests = [bytes(fields.take(32)) if known & bit else None for bit in (2, 4)]
    fields.end()
    return pieces, *digests


# ---- the command -----------------------------------------------------------------------------------------------------


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    path = arguments[0]
    with open(path, "rb") as file:
        data = file.read()
    try:
        sections = read_sections(data)
        entries, _, digest = decode_tensors(sections)
        pieces, *documents = read_identity(sections[IDENTITY]) if IDENTITY in sections else (None, None, None)
    except Refused as refused:
        sys.exit(f"{path}: {refused}")
    for section, decoded in sections.items():
        print(f"section {section:3}  {len(decoded):10,} bytes  sha256 {hashlib.sha256(decoded).hexdigest()}")
    named = ("unknown" if document is None else document.hex() for document in documents)
    print("identity: {} pieces, tokenizer {}, architecture {}".format("unknown" if pieces is None else pieces, *named))
    print(f"{len(entries)} tensors  sha256 {digest}")


if __name__ == "__main__":
    main(sys.argv[1:])
