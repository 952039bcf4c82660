"""Random compiles of tiny models, killed at random moments, and what they leave behind.

    python tests/fuzz/fuzz_round_trips.py --trials 2000
    python tests/fuzz/fuzz_round_trips.py --seed 3 --first 471 --trials 1     # one trial again

A trial draws a model, a cap and options, and compiles in a process of its own that gets SIGKILL at a random moment.
Invariants: the folder then shows either the whole artifact or nothing new; the next run makes the artifact or refuses
the cap, and leaves no other file, hidden ones included; the bytes are those that the killed run finished, and those of
an uninterrupted run in a folder of its own; the artifact is at most as large as the cap, code included, and `verify`
passes each of its checks.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

# One thread in this process: its children are forked from it, and threads do not survive that.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
sys.path += [str(Path(__file__).resolve().parents[1] / "support")]  # run as a script, too

import numpy as np
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.compiler.profiles import PROFILES
from bytecap.errors import BytecapError, CapError
from bytecap.runtime.shards import write_shard
from bytecap.runtime.verification import verify_artifact

MODELS = (
    {"num_layers": 1},
    {"num_layers": 2, "vocab_size": 40},
    {"num_layers": 1, "model_dim": 24, "num_heads": 3, "num_kv_heads": 3},
    {"num_layers": 1, "tie_embeddings": False, "vocab_size": 31},
)
SUFFIXES = (".pt", ".safetensors")
EFFORTS = (1, 1, 1, 2, 3, 5, 9)  # the first is the quickest, and takes the same way through the files
CALIBRATION_TOKENS = 1024
REFERENCE_EVERY = 4  # trials between two whose bytes are also made without any kill
DONE, REFUSED = 0, 6  # exit codes of a compile here: an artifact, or a cap that cannot be met


@dataclass(frozen=True)
class Trial:
    """What trial `number` of a seed compiles, and the share of a compile's usual time after which it is killed."""

    seed: int
    number: int
    model: int
    suffix: str
    cap: int
    code_bytes: int
    options: dict
    kill_at: float


class RoundTripFailure(Exception):
    """A trial for which an invariant does not hold."""

    def __init__(self, trial: Trial, what: str) -> None:
        again = f"python tests/fuzz/fuzz_round_trips.py --seed {trial.seed} --first {trial.number} --trials 1"
        super().__init__(f"{what}\n  trial: {trial}\n  again: {again}")


@dataclass
class RoundTripResult:
    """What a run saw: how the trials and the kills ended, and the usual seconds of a compile by effort."""

    tried: int = 0
    endings: Counter = field(default_factory=Counter)
    seconds: dict[int, float] = field(default_factory=dict)


def draw_trial(seed: int, number: int) -> Trial:
    """Trial `number` of a seed; always the same."""
    random = np.random.default_rng([seed, number])
    options = {
        "effort": int(random.choice(EFFORTS)),
        "profile": str(random.choice(list(PROFILES))),
        "seed": int(random.integers(3)),
        "threads": int(random.integers(1, 4)),
    }
    return Trial(
        seed,
        number,
        model=int(random.integers(len(MODELS))),
        suffix=str(random.choice(SUFFIXES)),
        cap=int(2 ** random.uniform(8, 14.5)),
        code_bytes=int(random.choice([0, 0, 100])),
        options=options,
        kill_at=float(random.uniform(0, 1.2) if random.random() < 0.5 else random.uniform(0.9, 1.1)),
    )


def run_round_trips(trials: int, seed: int, *, first: int = 0, progress=None) -> RoundTripResult:
    """Run trials; RoundTripFailure for the first that breaks an invariant."""
    torch.set_num_threads(1)
    result = RoundTripResult()
    with tempfile.TemporaryDirectory(prefix="bytecap-round-trips-") as folder:
        inputs = Path(folder) / "inputs"
        _write_inputs(inputs)
        _compile_in_child(draw_trial(seed, first), inputs, Path(folder) / "warm.bcap", None)  # compiles the kernels
        for number in range(first, first + trials):
            _run_trial(draw_trial(seed, number), inputs, Path(folder) / f"trial-{number}", result)
            result.tried += 1
            if progress is not None:
                progress(result)
    return result


def _write_inputs(folder: Path) -> None:
    """One checkpoint a model and kind of file, one calibration shard a model, and a script."""
    folder.mkdir()
    (folder / "run.py").write_text("#" * 99 + "\n")
    for index, changes in enumerate(MODELS):
        model = golf_model(index, **changes)
        vocabulary = model.program.vocabulary_size
        tokens = random_sequences(vocabulary, 1, CALIBRATION_TOKENS, index)[0].astype(np.uint16)
        write_shard(folder / f"{index}.bin", tokens)
        names, arrays = [t.name for t in model.tensors], [t.values for t in model.tensors]
        for suffix in SUFFIXES:
            export_checkpoint(names, arrays, [t.dtype for t in model.tensors], folder / f"{index}{suffix}")
        (folder / f"{index}.json").write_text(f'{{"num_heads": {changes.get("num_heads", 2)}, "seq_len": 16}}')


def _run_trial(trial: Trial, inputs: Path, folder: Path, result: RoundTripResult) -> None:
    folder.mkdir()
    output = folder / "model.bcap"
    usual = result.seconds.get(trial.options["effort"], 1.0)
    killed = _compile_in_child(trial, inputs, output, trial.kill_at * usual)
    half = _visible_bytes(trial, folder, killed)
    hidden = any(path.name.startswith(".") for path in folder.iterdir())
    start = time.monotonic()
    code = _compile_in_child(trial, inputs, output, None)
    result.seconds[trial.options["effort"]] = 0.7 * usual + 0.3 * (time.monotonic() - start)
    data = _visible_bytes(trial, folder, code)
    if code not in (DONE, REFUSED) or (code == DONE) != (data is not None):
        raise RoundTripFailure(trial, f"the run after the kill ended with {code} and {data and len(data)} bytes")
    if data is not None and [path.name for path in folder.iterdir()] != ["model.bcap"]:
        raise RoundTripFailure(trial, f"left: {sorted(path.name for path in folder.iterdir())}")
    if half is not None and half != data:
        raise RoundTripFailure(trial, "the run that was killed late and the next one made different bytes")
    _check_reference(trial, inputs, folder, data)
    _check_artifact(trial, inputs, data)
    result.endings[f"{'artifact' if data else 'refused'}; {_ending(killed, half, hidden)}"] += 1
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _ending(killed: int, half: bytes | None, hidden: bool) -> str:
    """What the kill met, in words."""
    if killed == REFUSED:
        return "refused before the kill"
    if half is not None:
        return "the artifact was whole"
    return "killed, a hidden file left" if hidden else "killed, nothing left"


def _visible_bytes(trial: Trial, folder: Path, code: int) -> bytes | None:
    """The artifact that a folder shows; nothing else may be visible in it."""
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if [path.name for path in visible] not in ([], ["model.bcap"]):
        raise RoundTripFailure(trial, f"visible after exit {code}: {[path.name for path in visible]}")
    return visible[0].read_bytes() if visible else None


def _check_reference(trial: Trial, inputs: Path, folder: Path, data: bytes | None) -> None:
    """Every few trials: the same bytes in another folder that no killed run has seen."""
    if trial.number % REFERENCE_EVERY:
        return
    other = folder.with_name(f"{folder.name}-reference.bcap")
    _compile_in_child(trial, inputs, other, None)
    found = other.read_bytes() if other.exists() else None
    other.unlink(missing_ok=True)
    if found != data:
        raise RoundTripFailure(trial, "an uninterrupted run made different bytes")


def _check_artifact(trial: Trial, inputs: Path, data: bytes | None) -> None:
    if data is None:
        return
    code = [inputs / "run.py"] if trial.code_bytes else []
    failed = [check for check in verify_artifact(data, cap=trial.cap, code_files=code) if check.failed]
    if failed or len(data) + trial.code_bytes > trial.cap:
        raise RoundTripFailure(trial, f"{len(data)} bytes under a cap of {trial.cap}: {failed}")


def _compile_in_child(trial: Trial, inputs: Path, output: Path, kill_after: float | None) -> int:
    """Exit code of a forked process that compiles; -9 when it was killed after so many seconds."""
    child = os.fork()
    if child == 0:
        os._exit(_compile(trial, inputs, output))
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _compile(trial: Trial, inputs: Path, output: Path) -> int:
    try:
        compile_checkpoint(
            inputs / f"{trial.model}{trial.suffix}",
            cap=trial.cap,
            calibration=inputs / f"{trial.model}.bin",
            architecture=inputs / f"{trial.model}.json",
            code=[inputs / "run.py"] if trial.code_bytes else [],
            output=output,
            force=True,
            **trial.options,
        )
    except CapError:
        return REFUSED
    except BytecapError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BaseException:
        import traceback

        traceback.print_exc()
        return 2
    return DONE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other trials (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first (default: %(default)s)")
    options = parser.parse_args()
    seen = RoundTripResult()

    def progress(result: RoundTripResult) -> None:
        nonlocal seen
        seen = result
        if sys.stderr.isatty():
            print(f"\r{result.tried:,} of {options.trials:,} ", end="", file=sys.stderr, flush=True)

    code = None
    try:
        run_round_trips(options.trials, options.seed, first=options.first, progress=progress)
    except RoundTripFailure as failure:
        code = f"a promise is broken: {failure}"
    except KeyboardInterrupt:
        code = 130
    print(f"{seen.tried:,} round trips")
    for ending, count in sorted(seen.endings.items()):
        print(f"{count:>7,}  {ending}")
    sys.exit(code)


if __name__ == "__main__":
    main()
