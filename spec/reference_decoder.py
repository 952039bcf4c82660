"""A decoder of bytecap artifacts in plain Python, written from the pages of this folder and in their order.

    python spec/reference_decoder.py model.bcap

It favours being obvious over being fast, needs nothing but the standard library, zstandard and brotli, and shares no
code with the package, so that each checks the other. A file that breaks a rule is `Refused` with the word of README.md,
the rule's id and an offset; nothing else is raised, whatever the bytes.
"""

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
    "instructions": 65_536,
    "tensors": 65_536,
    "dimensions": 8,
    "elements": 1 << 28,
    "streams": 1024,
    "width": 1 << 20,
    "activation_floats_per_token": 1 << 24,
}


class Refused(Exception):
    """`word` is one of README.md's; `offset` counts from the start of the file or, from chapter 5 on, of the section."""

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
    check((major, minor) == (1, 0), "unsupported", "R-HDR-3", 8)
    end = HEADER_BYTES + count * ENTRY_BYTES
    check(len(data) >= end + CHECKSUM_BYTES, "truncated", "R-HDR-2", len(data))
    check(zlib.crc32(data[:end]) == struct.unpack_from("<I", data, end)[0], "checksum mismatch", "R-HDR-4", end)
    check(reserved == 0, "malformed", "R-HDR-5", 11)
    check(count <= LIMITS["sections"], "over limit", "R-HDR-6", 10)
    return count


# ---- container.md, 2. Section table ----------------------------------------------------------------------------------

PROGRAM, DIRECTORY, RAW, CODES, DIGEST = CRITICAL = (1, 2, 3, 4, 5)
PROVENANCE = FIRST_ANCILLARY = 128
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
    """Block by block through a streaming decoder, a few bytes of input at a time: slow, and bounded another way than the package."""
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

    def u16(self):
        return struct.unpack("<H", self.take(2))[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

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


# ---- tensors.md, 1. Directory, and 2. Recipes ------------------------------------------------------------------------

DTYPES = "float32", "float16", "bfloat16"


def read_directory(data):
    """List of entries {name, shape, dtype, terms}; a term is a dict with its kind."""
    fields = Fields(data)
    count = fields.varint()
    check(count <= LIMITS["tensors"] and 4 * count <= len(data) - fields.at, "over limit", "R-DIR-1", 0)
    entries, elements = [], 0
    for index in range(count):
        start = fields.at
        entry = {"name": fields.text(), "start": start}
        dtype_at, dtype = fields.at, fields.u8()
        check(dtype < 3, "malformed", "R-DIR-3", dtype_at)
        entry["dtype"], entry["shape"] = DTYPES[dtype], read_shape(fields)
        terms_at, terms = fields.at, fields.u8()
        check(1 <= terms <= 8, "malformed", "R-REC-2", terms_at)
        entry["terms"] = [read_term(fields) for _ in range(terms)]
        for term in entry["terms"]:
            good = term["kind"] != "alias" or (term["source"] < index and entries[term["source"]]["shape"] == entry["shape"])
            check(good, "invalid", "R-REC-3", terms_at)
        check(entry["name"] not in [other["name"] for other in entries], "malformed", "R-DIR-2", start)
        elements += product(entry["shape"]) * terms
        check(elements <= LIMITS["elements"], "over limit", "R-DIR-4", start)
        entries.append(entry)
    fields.end()
    return entries


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


def read_term(fields):
    start, kind = fields.at, fields.u8()
    check(kind < 3, "unsupported", "R-REC-1", start)
    if kind == 0:
        start, storage = fields.at, fields.u8()
        check(storage < 3, "malformed", "R-RAW-1", start)
        return {"kind": "raw", "storage": DTYPES[storage]}
    if kind == 2:
        return {"kind": "alias", "source": fields.varint()}
    start = fields.at
    term = {"kind": "grid", "base": fields.f32()}
    check(2**-40 <= term["base"] <= 2**40, "invalid", "R-GRD-1", start)
    term["resolution"] = fields.u8()
    check(term["resolution"] <= 3, "invalid", "R-GRD-1", start + 4)
    term["trellis"] = fields.u8()
    check(term["trellis"] in (0, 8, 64), "unsupported", "R-GRD-4", start + 5)
    term["offsets"] = [read_step_offset(fields, term["resolution"]) for _ in range(2)]
    start, term["initial_scale"] = fields.at, fields.signed_varint()
    check(abs(term["initial_scale"]) <= 256, "invalid", "R-GRD-3", start)
    term["stream"] = fields.varint()
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


def read_planes(data, entries):
    """The values of each raw term, by (entry, term)."""
    wanted = [(e, t, term["storage"]) for e, entry in enumerate(entries) for t, term in enumerate(entry["terms"]) if term["kind"] == "raw"]
    sizes = {"float32": 4, "float16": 2, "bfloat16": 2}
    expected = sum(product(entries[e]["shape"]) * sizes[storage] for e, _, storage in wanted)
    check(len(data) == expected, "malformed", "R-RAW-2", 0)
    values, at = {}, 0
    for storage in DTYPES:
        members = [(e, t) for e, t, kind in wanted if kind == storage]
        total = sum(product(entries[e]["shape"]) for e, _ in members)
        planes = [data[at + k * total : at + (k + 1) * total] for k in range(sizes[storage])]
        at += total * sizes[storage]
        numbers = [raw_number(bytes(word), storage) for word in zip(*planes, strict=True)]
        for e, t in members:
            count = product(entries[e]["shape"])
            values[e, t], numbers = numbers[:count], numbers[count:]
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
            step = to_float32(base * FRACTIONS[e % steps_an_octave * 8 // steps_an_octave]) * 2.0 ** (e // steps_an_octave)
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
RECIPROCALS = (32066, 30706, 29405, 28158, 26964, 25821, 24726, 23678, 22674, 21713, 20792, 19911, 19066, 18258, 17484, 16743)
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
        self.tables = [self.frequencies(half, t >= self.ranges[0][1] + self.ranges[1][1]) for t, half in enumerate(halves)]
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
        column_classes = [(s >> 14) + 16 - 4 * has_trellis + n for s, n in zip(columns, self.take_corrections(len(columns)), strict=True)]
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


STREAM_DECODERS = {1: decode_adaptive, 3: decode_static}


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
    named = {term["stream"] for entry in entries for term in entry["terms"] if term["kind"] == "grid"}
    check(named == set(range(1, len(streams))) and bool(named) == bool(streams), "invalid", "R-STR-7")


def decode_grids(entries, streams):
    """The weights of each grid term, by (entry, term)."""
    grids = [(e, t, term) for e, entry in enumerate(entries) for t, term in enumerate(entry["terms"]) if term["kind"] == "grid"]
    if not grids:
        return {}
    sides = [
        (e, t, side, term["offsets"][side], matrix_shape(entries[e]["shape"])[side], 20 << term["resolution"])
        for e, t, term in grids
        for side in range(2)
        if term["offsets"][side] is not None
    ]
    residuals = decode_stream(streams[0][1], [([0], [0] * size, 0) for *_, size, _ in sides], streams[0][0])
    exponents = {(e, t): [[0] * size for size in matrix_shape(entries[e]["shape"])] for e, t, _ in grids}
    for (e, t, side, offset, _, bound), (values,) in zip(sides, residuals, strict=True):
        exponents[e, t][side] = [value + offset for value in values]
        check(all(abs(value) <= bound for value in exponents[e, t][side]), "invalid", "R-GRD-2")
    weights = {}
    for number, (codec, payload) in enumerate(streams[1:], 1):
        members = [(e, t, term) for e, t, term in grids if term["stream"] == number]
        scales = []
        for e, t, term in members:
            rows, columns = exponents[e, t]
            unit = 65536 >> term["resolution"]
            start = term["initial_scale"] * 16384
            scales.append(([-r * unit for r in rows], [start - c * unit for c in columns], term["trellis"]))
        for (e, t, term), codes in zip(members, decode_stream(payload, scales, codec), strict=True):
            weights[e, t] = grid_weights(codes, *exponents[e, t], term["base"], term["resolution"])
    return weights


# ---- tensors.md, 5. Digest -------------------------------------------------------------------------------------------


def finite_sum(a, b):
    """A float32 sum; two float32 numbers add up exactly enough in a double to round once more without harm."""
    try:
        return to_float32(a + b)
    except OverflowError:
        raise Refused("invalid", "R-REC-4") from None


def decode_tensors(sections):
    """(entries, the list of values of each, SHA-256 of them all), after the digest has been compared."""
    entries = read_directory(sections[2])
    streams = read_streams(sections[4])
    check_stream_numbers(entries, streams)
    parts = {**read_planes(sections[3], entries), **decode_grids(entries, streams)}
    tensors, digest = [], hashlib.sha256()
    for e, entry in enumerate(entries):
        total = None
        for t, term in enumerate(entry["terms"]):
            values = tensors[term["source"]] if term["kind"] == "alias" else parts[e, t]
            total = values if total is None else [finite_sum(a, b) for a, b in zip(total, values, strict=True)]
        tensors.append(total)
        name = entry["name"].encode()
        digest.update(struct.pack("<I", len(name)) + name)
        digest.update(struct.pack(f"<{1 + len(entry['shape'])}I", len(entry["shape"]), *entry["shape"]))
        digest.update(struct.pack(f"<{len(total)}f", *total))
    check(digest.digest() == bytes(sections[5]), "checksum mismatch", "R-DIG-1")
    return entries, tensors, digest.hexdigest()


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
    except Refused as refused:
        sys.exit(f"{path}: {refused}")
    for section, decoded in sections.items():
        print(f"section {section:3}  {len(decoded):10,} bytes  sha256 {hashlib.sha256(decoded).hexdigest()}")
    print(f"{len(entries)} tensors  sha256 {digest}")


if __name__ == "__main__":
    main(sys.argv[1:])
