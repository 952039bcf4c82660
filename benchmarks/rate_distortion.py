"""Bytes against damage: bytecap and the peers on one checkpoint, one calibration text and one evaluation.

Strategy: every pipeline is a curve of points (file bytes, gap, divergence), measured through the same
runtime on the same tokens. What the peers reach does not change with bytecap, so their points are kept
in a file, each under its setting, and measured again only when what they were measured on changes or
when asked to.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from bytecap import interface
from bytecap.compiler.effort import DEFAULT_EFFORT
from bytecap.compiler.model.model import Model
from bytecap.compiler.statistics.calibration import calibration_sequences
from bytecap.compiler.statistics.divergence import DivergenceMeter
from bytecap.files.digests import file_sha256
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.parallel import usable_cores
from bytecap.runtime.scoring import Score, paired_gap

from .decoded import decoded_arrays
from .material import Material
from .peers import PEERS
from .peers.hessians import collect_hessians
from .peers.peer import Peer, UnsuitableModel, passthrough_border
from .points import CompressionPoint

BITS_PER_WEIGHT = (3.05, 2.6, 2.2, 1.85)  # whole artifact over all weights: where bytecap's curve is measured
CALIBRATION_TOKENS = 98_304


@dataclass(frozen=True)
class PointMeter:
    """A material with its float model, scored once: what turns decoded tensors into a point."""

    material: Material
    model: Model
    reference: Score
    divergences: DivergenceMeter

    @classmethod
    def prepare(cls, material: Material) -> PointMeter:
        model = material.model()
        arrays = [tensor.values for tensor in model.tensors]
        sequences = material.evaluation_sequences(model.program.sequence_length)
        divergences = DivergenceMeter(model.program, arrays, sequences, threads=usable_cores())
        return cls(material, model, material.evaluate(model, arrays), divergences)

    def point(self, pipeline: str, setting: str, data: bytes, arrays: Sequence[np.ndarray]) -> CompressionPoint:
        gap = paired_gap(self.reference, self.material.evaluate(self.model, arrays))
        return CompressionPoint(
            pipeline, setting, len(data), gap.mbpb, gap.standard_error_mbpb, self.bits_per_token(arrays)
        )

    def bits_per_token(self, arrays: Sequence[np.ndarray]) -> float:
        """Divergence of these tensors from the float model, mean over all positions."""
        return float(self.divergences.measure(arrays, threads=usable_cores()).divergence.mean()) / math.log(2)


def measure_bytecap(
    meter: PointMeter, recipe: str, log: Callable[[str], None], effort: int = DEFAULT_EFFORT
) -> list[CompressionPoint]:
    """Whole artifacts at a range of caps, in the profile of the smallest."""
    material, points = meter.material, []
    with tempfile.TemporaryDirectory() as folder:
        for bits in BITS_PER_WEIGHT:
            output = Path(folder) / "model.bcap"
            interface.compile(
                material.checkpoint,
                cap=int(meter.model.parameters * bits / 8),
                calibration=material.calibration,
                output=output,
                tokenizer=material.tokenizer,
                architecture=material.architecture,
                recipe=recipe,
                effort=effort,
                profile="max",
                force=True,
            )
            data = output.read_bytes()
            arrays = decode_tensors(read_artifact(data))
            points.append(meter.point(f"bytecap ({Path(recipe).stem})", f"{bits:g} bit effort {effort}", data, arrays))
            log(points[-1].line())
    return points


def measure_artifacts(
    meter: PointMeter, paths: Sequence[Path], effort: int, log: Callable[[str], None]
) -> list[CompressionPoint]:
    """Artifacts of this checkpoint that were compiled before, with the effort that their maker says."""
    points = []
    for path in paths:
        data, arrays = path.read_bytes(), decoded_arrays(path, meter.model)
        bits = 8 * len(data) / meter.model.parameters
        points.append(meter.point("bytecap (default)", f"{bits:.3g} bit effort {effort}", data, arrays))
        log(points[-1].line())
    return points


def measure_peers(
    meter: PointMeter,
    kept: Path,
    log: Callable[[str], None],
    *,
    afresh: bool = False,
    only: Sequence[str] | None = None,
) -> list[CompressionPoint]:
    """Every peer over its settings; a peer that is not installed gives only what `kept` has of it.

    `kept` is read first and written after each new point; `afresh` measures again whatever can be measured here; of the
    peers that are not in `only`, if given, what is kept counts and nothing is measured.
    Matrices of every size are quantized, as the published pipelines mean it.
    """
    conditions = conditions_of(meter)
    known = read_points(kept, conditions)
    work = PeerWork(meter)
    points = []
    for peer in PEERS.values():
        missing = peer.missing()
        for setting in peer.settings:
            text = setting_text(peer, setting)
            point = known.get(
                (peer.name, values_text(setting)), known.get((peer.name, text))
            )  # a whole pipeline's before a makeshift's
            if point is None and only is not None and peer.name not in only:
                continue
            if point is None and missing:
                log(f"{peer.name:18} {text:42} not installed: {missing}")
                continue
            if point is None or (afresh and not missing and (only is None or peer.name in only)):
                try:
                    point = work.measure(peer, setting, text)
                except UnsuitableModel as error:
                    log(f"{peer.name:18} {text:42} not for this model: {error}")
                    continue
                keep_point(kept, conditions, point)
            points.append(point)
            log(point.line())
    return points


class PeerWork:
    """What peers compress, and the second moments they share, collected when first needed."""

    def __init__(self, meter: PointMeter) -> None:
        self._meter = meter
        self._state_dict = {tensor.name: torch.from_numpy(tensor.values) for tensor in meter.model.tensors}
        self._hessians: dict[str, torch.Tensor] | None = None

    def measure(self, peer: Peer, setting: dict, text: str) -> CompressionPoint:
        if peer.needs_hessians and self._hessians is None:
            tokens, length = self._meter.material.calibration_tokens(), self._meter.model.program.sequence_length
            self._hessians = collect_hessians(
                self._meter.model, calibration_sequences(tokens, length, CALIBRATION_TOKENS)
            )
        options = {"passthrough_elements": passthrough_border(self._state_dict), **setting}
        data, decoded = peer.compress(self._state_dict, self._hessians, **options)
        arrays = [np.ascontiguousarray(decoded[t.name].float().numpy()) for t in self._meter.model.tensors]
        return self._meter.point(peer.name, text, data, arrays)


def setting_text(peer: Peer, setting: dict) -> str:
    """A setting's name: its values, and what differs here from the published pipeline."""
    return " ".join([values_text(setting), *([f"({peer.note()})"] if peer.note() else [])])


def values_text(setting: dict) -> str:
    """The values of a setting."""
    return " ".join(
        f"{key}={value if isinstance(value, str) else format(value, 'g')}" for key, value in setting.items()
    )


def read_points(path: Path, conditions: dict) -> dict[tuple[str, str], CompressionPoint]:
    """Points by pipeline and setting; none when the file is not there or was measured on something else."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    points = [CompressionPoint(**fields) for fields in content["points"]] if content["conditions"] == conditions else []
    return {(point.pipeline, point.setting): point for point in points}


def write_points(path: Path, conditions: dict, points: Sequence[CompressionPoint]) -> None:
    """Inverse of `read_points`."""
    path.write_text(
        json.dumps({"conditions": conditions, "points": [asdict(point) for point in points]}, indent=1) + "\n"
    )


def keep_point(path: Path, conditions: dict, point: CompressionPoint) -> None:
    """One point more, beside what the file has by now: another run may have added to it."""
    known = read_points(path, conditions)
    known[point.pipeline, point.setting] = point
    write_points(path, conditions, list(known.values()))


def conditions_of(meter: PointMeter) -> dict:
    """What the peers' points depend on besides their settings."""
    material = meter.material
    digests = {name: file_sha256(getattr(material, name)) for name in ("checkpoint", "calibration", "validation")}
    return {**digests, "calibration_tokens": CALIBRATION_TOKENS, "evaluation_tokens": meter.reference.tokens}
