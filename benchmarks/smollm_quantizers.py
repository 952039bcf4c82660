"""`python -m benchmarks.smollm_quantizers`: SmolLM2-135M against AutoRound, EXL3, GPTQModel, HQQ and WaterSIC.

Strategy: the model, the texts, the artifacts and the score are those of `benchmarks.smollm`. Integers are coded at
their own entropy, matrix by matrix, which is in the favour of AutoRound, GPTQModel and HQQ, whose files pack them into
bits; of EXL3's windows every bit counts already. The token table, which all but HQQ leave in 16 bits (a third of a file
at these sizes), is quantized: for HQQ, AutoRound and GPTQModel by HQQ with bits of its own, for the others as a matrix
at a rate of its own. AutoRound and GPTQModel run in environments of their own: BYTECAP_AUTOROUND_PYTHON names a Python
that has auto-round and transformers, BYTECAP_GPTQMODEL_PYTHON one that has gptqmodel. A peer that is not installed is
left out, and said so. Points are kept with the results, and those of peers are measured once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from bytecap.compiler.model.model import Model
from bytecap.files.digests import file_sha256
from bytecap.runtime.tokens import read_tokens

from .decoded import decoded_arrays
from .material import ROOT
from .peers import PEERS, exl3, hqq, watersic
from .peers.hessians import collect_hessians
from .plot import plot
from .points import CompressionPoint, bytes_at
from .rate_distortion import keep_point, read_points
from .smollm import RESULTS, download, scored_model, write_texts

RESULT = RESULTS / "smollm2-quantizers.json"
PYTHON_VARIABLES = {"autoround": "BYTECAP_AUTOROUND_PYTHON", "gptqmodel": "BYTECAP_GPTQMODEL_PYTHON"}
TABLE = "model.embed_tokens.weight"
SEQUENCES, LENGTH = 128, 512  # of their calibration
MOMENT_TOKENS = 65_536
SCORED_TOKENS = 8_192
NORM = 576  # weights of a norm; every matrix has more
CONFIGURATION = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "max_position_embeddings": 8192,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
    "vocab_size": 49152,
}

SETTINGS = {  # bits a weight of the matrices, and of the table
    "autoround": ((4, 8), (4, 6), (4, 4), (3, 8), (3, 6), (3, 4)),
    "gptqmodel": ((4, 8), (4, 6), (4, 4), (3, 6), (3, 4)),
    "exl3": ((3, 6), (3, 4), (2, 4)),
    "hqq": ((4, 6), (4, 4)),
    "watersic": ((3.5, 4.5), (3.0, 4.5), (3.0, 3.5)),
}


class Quantizers:
    """The peers on one model; `tokens` is calibration text, `folder` keeps what other environments made."""

    def __init__(self, model: Model, tokens: np.ndarray, folder: Path) -> None:
        self._model, self._tokens, self._folder = model, tokens, folder
        self._state = {tensor.name: torch.from_numpy(tensor.values) for tensor in model.tensors}
        self._hessians: dict[str, Tensor] | None = None

    def file(self, pipeline: str, bits: float, table_bits: float) -> tuple[int, list[np.ndarray]]:
        """Bytes of a file, and the tensors that it decodes to."""
        how = {"coder": "entropy", "passthrough_elements": NORM}
        if pipeline in PYTHON_VARIABLES:
            integers = integers_of_another(pipeline, self._state, self._folder, self._tokens, int(bits))
            data = encode_integers(self._state, integers, int(table_bits))
            decoded = hqq.decode(data, "entropy")
        elif pipeline == "hqq":
            rates = {"nbits": bits, "embedding_nbits": table_bits}
            data, decoded = hqq.compress(golf_names(self._state), **rates, **how)
        elif pipeline == "exl3":
            rates = {"bits": bits, "embedding_bits": table_bits}
            given = golf_names(self._state), golf_names(self._moments())
            data, decoded = exl3.compress(*given, **rates, passthrough_elements=NORM)
        else:
            rates = {"rate": bits, "embedding_rate": table_bits}
            data, decoded = watersic.compress(golf_names(self._state), golf_names(self._moments()), **rates, **how)
        decoded = smollm_names(decoded)
        return len(data), [decoded[tensor.name].numpy() for tensor in self._model.tensors]

    def _moments(self) -> dict[str, Tensor]:
        if self._hessians is None:
            sequences = self._tokens.astype(np.int64).reshape(-1, self._model.program.sequence_length)
            self._hessians = collect_hessians(self._model, sequences, batch_sequences=2)
        return self._hessians


def encode_integers(state: dict[str, Tensor], integers: Path, table_bits: int) -> bytes:
    """A file with a peer's `integers` of the matrices and HQQ's of the table; `hqq.decode` is the inverse."""
    tensors, matrices = {}, []
    with np.load(integers) as arrays:
        for name, tensor in state.items():
            if tensor.ndim == 1:
                tensors[name] = tensor.half()
                continue
            if name == TABLE:
                codes, steps, zeros = hqq.quantize(tensor, table_bits)
            else:
                parts = (arrays[f"{name.removesuffix('.weight')}.{part}"] for part in ("codes", "steps", "zeros"))
                codes, steps, zeros = map(torch.from_numpy, parts)
            tensors[f"{name}.scale"], tensors[f"{name}.zero"] = steps.reshape(-1, 1), zeros.reshape(-1, 1)
            matrices.append(codes.numpy())
    shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    return hqq.encode_file(shapes, tensors, matrices, "entropy")


def integers_of_another(pipeline: str, state: dict[str, Tensor], folder: Path, tokens: np.ndarray, bits: int) -> Path:
    """The file of integers that another environment makes; kept, and not made again."""
    folder = folder.resolve()
    output = folder / f"{pipeline}-{bits}.npz"
    if not output.is_file():
        source = folder / "transformers"
        source.mkdir(parents=True, exist_ok=True)
        (source / "config.json").write_text(json.dumps(CONFIGURATION))
        save_file(state, source / "model.safetensors", {"format": "pt"})
        np.save(source / "tokens.npy", tokens[: SEQUENCES * LENGTH].astype(np.int64).reshape(SEQUENCES, LENGTH))
        script, half_made = Path(__file__).with_name(f"{pipeline}_integers.py"), output.with_suffix(".part.npz")
        command = [os.environ[PYTHON_VARIABLES[pipeline]], script]
        command += [source, source / "tokens.npy", bits, hqq.GROUP_SIZE, half_made]
        # GPTQModel leaves a log where it runs
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, cwd=folder)
        half_made.rename(output)
    return output


def golf_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The table under the name by which the peers know it; inverse of `smollm_names`."""
    return {hqq.EMBEDDING if name == TABLE else name: tensor for name, tensor in tensors.items()}


def smollm_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {TABLE if name == hqq.EMBEDDING else name: tensor for name, tensor in tensors.items()}


def missing(pipeline: str) -> str:
    """What has to be installed before a peer can run, empty when nothing."""
    if pipeline in PYTHON_VARIABLES:
        variable = PYTHON_VARIABLES[pipeline]
        return hqq.missing() if os.environ.get(variable) else f"name a Python that has it in {variable}"
    return PEERS[pipeline].missing()


def measure(folder: Path, artifacts: Sequence[Path], pipelines: Sequence[str]) -> list[CompressionPoint]:
    """Points of the artifacts and of the peers; what RESULT has of a peer is not measured again."""
    source = download(folder)
    calibration, evaluation = write_texts(folder)
    model, how, scorer = scored_model(source, evaluation, SCORED_TOKENS)
    conditions = {"model": file_sha256(source), "calibration": file_sha256(calibration)}
    conditions |= {"evaluation": file_sha256(evaluation), "evaluation_tokens": SCORED_TOKENS}
    for path in artifacts:
        point = scorer.point("bytecap", path.name, path.stat().st_size, decoded_arrays(path, model))
        keep_point(RESULT, conditions, point)
        print(point.line(), flush=True)
    tokens = read_tokens(calibration, *how, max_tokens=MOMENT_TOKENS).ids[:MOMENT_TOKENS]
    quantizers = Quantizers(model, tokens, folder)
    for pipeline in pipelines:
        if missing(pipeline):
            print(f"{pipeline}: not installed: {missing(pipeline)}", flush=True)
            continue
        for bits, table_bits in SETTINGS[pipeline]:
            setting = f"{bits:g} bits, table {table_bits:g}"
            if (pipeline, setting) not in read_points(RESULT, conditions):
                point = scorer.point(pipeline, setting, *quantizers.file(pipeline, bits, table_bits))
                keep_point(RESULT, conditions, point)
                print(point.line(), flush=True)
    return list(read_points(RESULT, conditions).values())


def shares(points: Sequence[CompressionPoint]) -> dict[str, float]:
    """bytecap's bytes over those of each peer's file, at the divergence of that file, where the artifacts reach it."""
    ours = [point for point in points if point.pipeline == "bytecap"]
    found = {}
    for point in points:
        size = None if point.pipeline == "bytecap" else bytes_at(ours, point.kl, "kl")
        if size is not None:
            found[f"{point.pipeline} {point.setting}"] = size / point.bytes
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "bytecap-smollm", help="what is downloaded and made")
    parser.add_argument("--artifact", type=Path, action="append", default=[], help="compiled by `make bench-smollm`")
    parser.add_argument("--pipelines", nargs="*", default=list(SETTINGS), choices=list(SETTINGS), help="to measure")
    arguments = parser.parse_args()
    RESULT.parent.mkdir(exist_ok=True)
    points = measure(arguments.folder, arguments.artifact, arguments.pipelines)
    plot(points, RESULT.with_suffix(".png"), "SmolLM2-135M: file size against damage")
    print(json.dumps(shares(points), indent=1))


if __name__ == "__main__":
    main()
