"""Running a packed script before it is shipped, in a process of its own that sees no bytecap.

Strategy: two questions. Does the script compute what the runtime computes? It scores made-up tokens, and so does the
interpreter. What does it score on the user's data? It runs on them, and its log is kept word for word.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import OutputError, VerificationError
from ..format.program.program import Program
from ..runtime.interpreter import Interpreter
from ..runtime.shards import MAX_TOKEN_ID, encode_shard
from .submission import MeasuredScore

TRIAL_LENGTH, TRIAL_SEQUENCES = 64, 3
TOLERANCE = 1e-4  # of the loss in nats, and relative to it: float32 sums in another order
QUICKEST = ("--decoder", "c numba python")  # to start; each way is held against the digest of the tensors
EXACT_LINE = re.compile(r"^final_bytecap_roundtrip_exact val_loss:(\S+) val_bpb:(\S+)$", re.MULTILINE)
COUNTS_LINE = re.compile(r"^val_tokens:(\d+) val_bytes:(\d+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """How a packed script compares with the runtime on the same tokens, in nats a token."""

    script_loss: float
    runtime_loss: float
    tokens: int
    log: str = field(repr=False)

    @property
    def difference(self) -> float:
        """The script's loss less the runtime's."""
        return self.script_loss - self.runtime_loss


def try_script(script: str, files: Mapping[str, bytes], program: Program, tensors: Sequence[np.ndarray]) -> Trial:
    """Run a packed script on made-up tokens and compare; VerificationError when it fails or disagrees.

    files : the folder's, by name
    """
    length = min(TRIAL_LENGTH, program.sequence_length)
    ids = _made_up_tokens(program, TRIAL_SEQUENCES * length + 1)
    rows = np.stack([ids[first : first + length + 1] for first in range(0, len(ids) - 1, length)])
    expected = float(np.asarray(Interpreter(program, tensors).token_losses(rows), np.float64).mean())
    data = {"trial_val_0.bin": encode_shard(ids), "trial_val_bytes_0.bin": encode_shard(np.ones_like(ids))}
    with _written({**files, **data}) as folder:
        options = ["--data", str(folder / "trial_val_0.bin"), "--sequence-length", str(length), "--stride", str(length)]
        log = _run(folder / script, [*options, "--documents", "joined", "--device", "cpu", *QUICKEST])
    found = Trial(read_score(log).loss, expected, len(ids) - 1, log)
    if not abs(found.difference) <= TOLERANCE * (1 + expected):
        raise VerificationError(
            f"the packed script's loss is {found.script_loss:.6f} on {found.tokens} made-up tokens and the runtime's "
            f"{expected:.6f}; nothing was written"
        )
    return found


def run_on_data(script: str, files: Mapping[str, bytes], options: Sequence[str]) -> str:
    """The log of a packed script on the user's data; VerificationError when it fails."""
    with _written(files) as folder:
        return _run(folder / script, [*options, *QUICKEST])


def read_score(log: str) -> MeasuredScore:
    """The score that a log ends with."""
    exact, counts = EXACT_LINE.findall(log), COUNTS_LINE.findall(log)
    if not exact or not counts:
        raise VerificationError(f"the packed script printed no score: {log[-500:].strip()}")
    (loss, bits), (tokens, size) = exact[-1], counts[-1]
    return MeasuredScore(float(loss), float(bits), int(tokens), int(size))


def _made_up_tokens(program: Program, count: int) -> np.ndarray:
    """Tokens of which every ninth begins a document."""
    size = min(program.vocabulary_size, MAX_TOKEN_ID + 1)
    ids = np.random.default_rng(0).integers(0, size, count)
    if program.boundary_token < size:
        ids[::9] = program.boundary_token
    return ids


@contextmanager
def _written(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with the files, for as long as they are needed; OutputError where it cannot hold them."""
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bytecap-pack-")))
            for name, data in files.items():
                (folder / name).write_bytes(data)
        except OSError as error:
            message = f"the folder {tempfile.gettempdir()} cannot hold the script while it is tried"
            raise OutputError(f"{message} ({error.strerror}); name another one by TMPDIR") from error
        yield folder


def _run(script: Path, options: Sequence[str]) -> str:
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("a packed script runs in torch", name="torch")
    run = subprocess.run(
        [sys.executable, "-I", script.name, *options], cwd=script.parent, capture_output=True, text=True, check=False
    )
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
        raise VerificationError(f"the packed script failed: {last[0]}")
    return run.stdout
