"""Folders whose code is packed, split, started, compiled, missing or written for a newer Python."""

from __future__ import annotations

import base64
import lzma
import zlib

from submission_folders import Example


def packed(source: str, layers: int = 1) -> str:
    """A script that runs `source`, packed as submissions pack it, `layers` times."""
    for _ in range(layers):
        text = base64.b85encode(lzma.compress(source.encode())).decode()
        source = f'import lzma as L,base64 as B\nexec(L.decompress(B.b85decode("{text}")))\n'
    return source


HIDING = packed("import tables\nprint(tables.N)\n")
NATIVE = """
import ctypes, subprocess
from pathlib import Path
here = Path(__file__).resolve().parent
subprocess.run(["g++", "-shared", "-o", str(here / "kernel.so"), str(here / "kernel.cpp")], check=True)
library = ctypes.CDLL(str(here / "fast.so"))
"""
STARTING = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "tools.score", "--all"])
subprocess.run("torchrun --nproc_per_node=8 second.py && python lost.py", shell=True)
"""
DOWNLOADING = """
import torch, urllib.request
from torch.utils.cpp_extension import load_inline
urllib.request.urlretrieve("https://example.org/table.npz", "table.npz")
load_inline("k", cpp_sources="int f() { return 1; }")
state = torch.load("final_model.pt")
"""
LOOKING = """import os, sys
for name in os.listdir("w"):
    if name.endswith(".npz") or name in sys.argv:
        open("w/" + name, "rb").read()
"""
READING = """
import json, numpy as np, sentencepiece as spm
prefix = np.load("prefix.npz")
spm.SentencePieceProcessor(model_file="small.model")
"""
EXAMPLES = (
    Example("code-plain", {"code-counted": "pass"}, {"train_gpt.py": "print(1)\n"}),
    Example("code-other-name", {"code-script-absent": "warning"}, {"train_small.py": "print(1)\n"}),
    Example("code-empty", {"code-script-empty": "fail"}, {"train_gpt.py": "# nothing\n"}),
    Example(
        "code-broken",
        {"code-not-python": "fail"},
        {"train_gpt.py": "print(1)\nx = (\n"},
    ),
    Example(
        "code-broken-beside",
        {"code-not-python": "finding", "code-not-counted": "information"},
        {"train_gpt.py": "print(1)\n", "old.py": "print 1\n"},
    ),
    Example("code-deep", {"code-too-large": "warning"}, {"train_gpt.py": "x = " + "-" * 100_000 + "1\n"}),
    Example(
        "code-newer",
        {"code-newer-python": "information"},
        {"train_gpt.py": 'd = {}\nprint(t"{d}", f"{d["a"]}")\ndef first[T](items: list[T]) -> T: ...\n'},
    ),
    Example("code-packed", {"code-hidden-payload": "information"}, {"train_gpt.py": packed("print(1)\n" * 9, 2)}),
    Example(
        "code-hiding",
        {"code-hidden-payload": "finding", "code-local-module": "finding"},
        {"train_gpt.py": HIDING, "tables.py": "N = 1\n"},
    ),
    Example(
        "code-unknown",
        {"code-unread-payload": "finding"},
        {"train_gpt.py": "import sys\nexec(sys.stdin.read())\n"},
    ),
    Example(
        "code-computing",
        {"code-computed": "finding"},
        {"train_gpt.py": "import importlib, sys\nimportlib.import_module(sys.argv[1])\n"},
    ),
    Example(
        "code-folding",
        {"code-local-module": "finding"},
        {
            "train_gpt.py": "globals()['__builtins__'].eval('ex' + 'ec')(f'import {\"selbat\"[::-1]}')\n",
            "tables.py": "",
        },
    ),
    Example(
        "code-opening",
        {"code-computed-file": "information"},
        {"train_gpt.py": "import sys, numpy\nnumpy.fromfile(sys.argv[1])\n"},
    ),
    Example(
        "code-second",
        {"code-second-file": "finding"},
        {
            "train_gpt.py": 'exec(open(__file__.replace("train_gpt.py", "real.py")).read())\n',
            "real.py": "print(1)\n",
        },
    ),
    Example(
        "code-starting",
        {"code-started-script": "finding", "code-missing-file": "warning"},
        {"train_gpt.py": STARTING, "tools/score.py": "print(1)\n", "second.py": "print(2)\n"},
    ),
    Example(
        "code-native",
        {"code-native-source": "finding", "code-library": "finding", "code-external-program": "finding"},
        {"train_gpt.py": NATIVE, "kernel.cpp": "int f() { return 1; }\n", "fast.so": b"\x7fELF"},
    ),
    Example(
        "code-looking-around",
        {"code-external-program": "information"},
        {"train_gpt.py": 'import subprocess\nsubprocess.run(["nvidia-smi"])\n'},
    ),
    Example(
        "code-downloading",
        {"code-network": "finding", "code-inline-native": "information", "code-unpickling": "information"},
        {"train_gpt.py": DOWNLOADING},
    ),
    Example(
        "code-downloading-uncalled",
        {"code-network": "information"},
        {"train_gpt.py": "def fetch():\n    import requests\n    requests.get('http://a')\n"},
    ),
    Example("code-missing", {"code-missing-module": "fail"}, {"train_gpt.py": "import rans_of_mine\n"}),
    Example(
        "code-missing-caught",
        {"code-missing-module": "warning"},
        {"train_gpt.py": "try:\n    import rans_of_mine\nexcept ImportError:\n    rans_of_mine = None\n"},
    ),
    Example("code-decoder", {"code-missing-decoder": "fail"}, {"train_gpt.py": "import bytecap\n"}),
    Example(
        "code-decoder-caught",
        {"code-missing-decoder": "warning"},
        {"train_gpt.py": "try:\n    from bytecap.interface import score\nexcept ImportError:\n    score = None\n"},
    ),
    Example(
        "code-reading-source",
        {"code-not-counted": "finding"},
        {"train_gpt.py": "table = open('blob.py').read()\n", "blob.py": "x = 1\n"},
    ),
    Example(
        "code-reading",
        {"code-side-file": "finding", "code-not-counted": "information"},
        {"train_gpt.py": READING, "prefix.npz": zlib.compress(b"x" * 99), "small.model": b"model"},
    ),
    Example(
        "code-data-in-comments",
        {"code-unused-text": "finding"},
        {"train_gpt.py": f"# {''.join(map(chr, range(48, 91))) * 99}\nx = open(__file__).read()\n"},
    ),
    Example(
        "code-training-on-validation",
        {"code-validation-data": "finding"},
        {"train_gpt.py": "def main(a, model):\n    train_loader = Loader(a.val_files)\n    model.loss.backward()\n"},
    ),
    Example(
        "code-reading-elsewhere",
        {"code-outside-file": "finding"},
        {"train_gpt.py": "x = open('../other/table.bin', 'rb').read()\n"},
    ),
    Example(
        "code-looking-into-folder",
        {"code-side-file": "finding", "code-possible-file": "finding"},
        {"train_gpt.py": LOOKING, "w/a.npz": zlib.compress(b"x" * 99), "w/b.npy": zlib.compress(b"y" * 99)},
    ),
)
