"""Mutators of submission folders.

Strategy: a folder of the examples is taken, and one to four steps change it where a reader would be hurt: numbers and
nesting in JSON, lines of logs, scripts with payloads in payloads and literals that grow when they are evaluated, names,
links and pipes, weights cut, bent and wrapped, and plain bytes anywhere.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import random
import string
import zlib
from collections.abc import Callable
from functools import cache

import brotli
import zstandard
from fuzz_frame import Mutation
from submission_examples import ALL_EXAMPLES

Files = dict[str, bytes]
MOST_STEPS = 4
ODD_NUMBERS = ("0", "-1", "1e400", "NaN", "-Infinity", "9" * 400, "1" * 5000, "0.1e-300", "15_999_999", "null", "true")
ODD_TEXTS = ("", "\u202e", "\x00", "pending", "15.9 MB", "\ud800", "a" * 5000, "../../etc/passwd", "{}", "<script>")
ODD_NAMES = (
    "a\nb.py",
    "\u202egol.txt",
    "-rf.log",
    " .py",
    "x" * 200 + ".py",
    "\udce9.log",
    "con.py",
    "train_gpt.py.bak",
)
LINES = (
    "Total submission size int8+zlib: {} bytes",
    "Serialized model int6+lzma: {} bytes",
    "Code size: {} bytes",
    "final_int8_zlib_roundtrip_exact val_loss:{} val_bpb:{}",
    "step:1/2 val_loss:{} val_bpb:{} train_time:{}ms",
    "stopping_early: wallclock_cap train_time:{}ms step:{}/{}",
    "final_ttt eval_time:{}ms",
    "seed:{}",
    "{}" * 300,
)
SCRIPTS = (
    "exec({})\n",
    "x = 'a' * 10 ** 12\nexec(x)\n",
    "exec('(' * 100000)\n",
    "exec((1 << 10 ** 9).to_bytes(9))\n",
    "s = 'exec(s)'\nexec(s)\n",
    "import subprocess, sys\nsubprocess.run([sys.executable, '../{}', *'abc'])\n",
    "exec(open('../../../../etc/passwd').read())\n",
    "from .... import x\nfrom {} import *\n",
    "import " + ".".join("a" * 2 for _ in range(500)) + "\n",
    "type X[T] = list[T]\nprint(f'{{x!r:{{'a'}}}}')\n",
    "x = " + "[" * 90 + "]" * 90 + "\n",
    "x = " + "-" * 3000 + "1\n",
    "x = " + "+".join(["'a'"] * 3000) + "\nexec(x)\n",
    "if True:\n\tx\n        y\n",
    "\x00\n",
    "'''" * 5,
    "exec(''.join(chr(i) for i in [{}]))\n",
    "import torch\ntorch.utils.cpp_extension.load(name='x', sources=['{}'])\n",
)
WRAPPERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "zlib": (zlib.compress, "__import__('zlib').decompress({})"),
    "lzma": (lzma.compress, "__import__('lzma').decompress({})"),
    "bz2": (bz2.compress, "__import__('bz2').decompress({})"),
    "gzip": (gzip.compress, "__import__('gzip').decompress({})"),
    "zstd": (zstandard.compress, "__import__('zstandard').decompress({})"),
    "brotli": (brotli.compress, "__import__('brotli').decompress({})"),
    "b85": (base64.b85encode, "__import__('base64').b85decode({})"),
    "b64": (base64.b64encode, "__import__('base64').b64decode({})"),
    "hex": (lambda data: data.hex().encode(), "bytes.fromhex({}.decode())"),
}


def mutate_folder(rng: random.Random) -> Mutation:
    """A folder of the examples with one to four changes."""
    mutated = Mutation(dict(rng.choice(_examples())), [], given=".")
    for _ in range(rng.randint(1, MOST_STEPS)):
        step = rng.choice(STEPS)
        step(mutated, rng)
        mutated.steps.append(step.__name__)
    return mutated


@cache
def _examples() -> list[Files]:
    """The smaller ones."""
    examples = [_bytes_of(example.files) for example in ALL_EXAMPLES if example.files]
    return [files for files in examples if sum(map(len, files.values())) < 200_000]


def _bytes_of(files) -> Files:
    return {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}


def _some_file(mutated: Mutation, rng: random.Random, *endings: str) -> str | None:
    names = [name for name in mutated.files if not endings or name.endswith(endings)]
    return rng.choice(names) if names else None


def change_json_value(mutated: Mutation, rng: random.Random) -> None:
    """A number or text in the declaration becomes an odd one."""
    name = _some_file(mutated, rng, ".json") or "submission.json"
    text = mutated.files.get(name, b"{}").decode("utf-8", "surrogateescape")
    try:
        document = json.loads(text)
        keys = list(document)
        key = rng.choice([*keys, "bytes_total", "val_bpb", "seed_results", "bytes_code", "artifact_bytes_mean"])
        document[key] = "\x01"
        odd = rng.choice(ODD_NUMBERS) if rng.random() < 0.6 else json.dumps(rng.choice(ODD_TEXTS))
        text = json.dumps(document).replace('"\\u0001"', odd)
    except (ValueError, TypeError, LookupError, RecursionError):
        text = text.replace(":", rng.choice((": ", "::", ":[", ":{")), 1)
    mutated.files[name] = text.encode("utf-8", "surrogatepass")


def nest_json(mutated: Mutation, rng: random.Random) -> None:
    """A declaration of very deep lists or objects, or very many keys."""
    depth = rng.choice((10, 500, 5_000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"bytes_total":', "}")))
    text = opening * depth + "1" + closing * (depth if rng.random() < 0.7 else 0)
    if rng.random() < 0.3:
        text = json.dumps({f"seed_{number}_val_bpb": number for number in range(20_000)})
    mutated.files["submission.json"] = text.encode()


def add_log_lines(mutated: Mutation, rng: random.Random) -> None:
    """Lines of final numbers with odd numbers, some very often or very long."""
    name = _some_file(mutated, rng, ".log", ".txt") or "train.log"
    number = rng.choice((*ODD_NUMBERS, "15000000", "1.2", "1,234,567", "." * 50, "1" * 100_000))
    line = rng.choice(LINES).replace("{}", number if len(number) < 10_000 or rng.random() < 0.2 else "7")[:2_000_000]
    times = rng.choice((1, 1, 1, 50, 5_000)) if len(line) < 500 else 1
    data = mutated.files.get(name, b"")
    place = rng.randint(0, len(data))
    mutated.files[name] = data[:place] + (line + "\n").encode() * times + data[place:]


def change_encoding(mutated: Mutation, rng: random.Random) -> None:
    """A text in another encoding, or cut within one."""
    name = _some_file(mutated, rng, ".log", ".txt", ".py", ".json", ".md")
    if name is not None:
        text = mutated.files[name].decode("utf-8", "replace")
        encoding = rng.choice(("utf-16", "utf-16-be", "utf-8-sig", "utf-32", "utf-7", "cp037"))
        data = text.encode(encoding, "replace")
        mutated.files[name] = data[: rng.choice((len(data), max(0, len(data) - 1), 3))]


def add_script(mutated: Mutation, rng: random.Random) -> None:
    """Statements that a static reader could choke on."""
    name = _some_file(mutated, rng, ".py") or "train_gpt.py"
    addition = rng.choice(SCRIPTS).replace("{}", rng.choice((*mutated.files, "x", "1" * 20)))
    data = mutated.files.get(name, b"")
    new = (
        data + addition.encode("utf-8", "surrogateescape")
        if rng.random() < 0.6
        else addition.encode("utf-8", "surrogateescape")
    )
    mutated.files[name] = new


def pack_script(mutated: Mutation, rng: random.Random) -> None:
    """The script inside up to five layers of compression and text, one of them perhaps damaged or a bomb."""
    name = _some_file(mutated, rng, ".py") or "train_gpt.py"
    data = mutated.files.get(name, b"print(1)\n")
    if rng.random() < 0.1:
        data = bytes(rng.choice((1 << 20, 4 << 20)))
    expression = "{}"
    for _ in range(rng.randint(1, 5)):
        compress, opens = WRAPPERS[rng.choice(list(WRAPPERS))]
        data = compress(data)
        expression = expression.replace("{}", opens)
        if len(data) > 1 << 21:
            break
    data = data[: 1 << 21]
    if rng.random() < 0.3 and data:
        place = rng.randrange(len(data))
        data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    literal = repr(data)
    if rng.random() < 0.3:
        mutated.files[name] = f"p = {literal}\nq = p\nexec({expression.replace('{}', 'q')})\n".encode()
    else:
        mutated.files[name] = f"import base64\nexec({expression.replace('{}', literal)})\n".encode()


def rename_file(mutated: Mutation, rng: random.Random) -> None:
    """A file takes an odd name or moves into folders."""
    name = _some_file(mutated, rng)
    if name is not None:
        new = rng.choice((*ODD_NAMES, "d/" * rng.choice((1, 5, 60)) + name, name.upper(), f"logs/{name}"))
        mutated.files[new] = mutated.files.pop(name)


def add_link_or_pipe(mutated: Mutation, rng: random.Random) -> None:
    """A link out of the folder, to itself, to nowhere, or a pipe, perhaps under a name that a reader looks for."""
    name = rng.choice(("submission.json", "train.log", "train_gpt.py", "model.ptz", "sub", "README.md"))
    mutated.files.pop(name, None)
    if rng.random() < 0.5:
        mutated.links[name] = rng.choice(("/etc/passwd", "..", ".", name, "/dev/zero", "gone", "/proc/self/mem"))
    else:
        mutated.pipes.append(name)


def add_many_files(mutated: Mutation, rng: random.Random) -> None:
    """Very many small files, of one kind."""
    ending = rng.choice((".py", ".log", ".json", ".bin", ""))
    data = mutated.files.get(_some_file(mutated, rng) or "", b"")[:200]
    for number in range(rng.choice((10, 100, 400))):
        mutated.files[f"many/{number}{ending}"] = data


def change_bytes(mutated: Mutation, rng: random.Random) -> None:
    """Bytes of a file are flipped, cut, doubled or made noise."""
    name = _some_file(mutated, rng)
    if name is None:
        return
    data = bytearray(mutated.files[name])
    for _ in range(rng.choice((1, 3, 30))):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 1:
            del data[place : place + rng.choice((1, 8, 1000))]
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 64)))
        else:
            data[place:place] = data[max(0, place - rng.choice((1, 16, 400))) : place]
    mutated.files[name] = bytes(data)


def wrap_blob(mutated: Mutation, rng: random.Random) -> None:
    """A binary file of the examples, changed, under another name or in another compression."""
    blobs = [
        data
        for example in ALL_EXAMPLES
        for name, data in example.files.items()
        if isinstance(data, bytes) and data and len(data) < 200_000
    ]
    data = bytearray(rng.choice(blobs))
    for _ in range(rng.choice((0, 1, 5))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    name = rng.choice(("zlib", "lzma", "zstd", "brotli", "gzip"))
    new = WRAPPERS[name][0](bytes(data)) if rng.random() < 0.5 else bytes(data)
    new = new[: rng.choice((len(new), len(new), rng.randint(0, len(new))))]
    endings = ("ptz", "pt", "npz", "npy", "safetensors", "bin", "xz", "pkl", "model", "so", "gguf")
    mutated.files[f"blob_{rng.choice(string.ascii_lowercase)}.{rng.choice(endings)}"] = new


STEPS = (
    change_json_value,
    nest_json,
    add_log_lines,
    change_encoding,
    add_script,
    pack_script,
    rename_file,
    add_link_or_pipe,
    add_many_files,
    change_bytes,
    wrap_blob,
)
