"""Running a packed script where there is nothing but Python, numpy and torch.

Strategy: a fresh isolated interpreter whose finder refuses every other package that bytecap itself needs.
"""

from __future__ import annotations

import json
import subprocess
import sys

REFUSED = (
    "bytecap",
    "brotli",
    "click",
    "construct",
    "gguf",
    "joblib",
    "numba",
    "rich",
    "safetensors",
    "sentencepiece",
    "tiktoken",
    "tokenizers",
    "zstandard",
)
CLEAN = """
import json, runpy, sys

refused = set(json.loads(sys.argv[1]))
sys.argv = sys.argv[2:]

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusal())
runpy.run_path(sys.argv[0], run_name="__main__")
assert not refused & {name.split(".")[0] for name in sys.modules}
"""


def run_clean(script, *arguments) -> subprocess.CompletedProcess:
    """A script with only numpy and torch to import."""
    words = [sys.executable, "-I", "-c", CLEAN, json.dumps(REFUSED), str(script), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)
