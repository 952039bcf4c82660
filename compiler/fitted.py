"""What a fit made: a record an artifact, what the artifacts under one cap have in common, and the file that keeps them.

Strategy: plain records of numbers and texts, so that the file is JSON of their fields and nothing else.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..display import ShownByFacts, rows_table
from ..errors import OutputError
from ..files.nested_text import parse_json
from ..files.output import write_output

RECORD = "fit.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FittedArtifact:
    """One artifact of a fit.

    checkpoint, output : paths;  cap : bytes of artifact and code together
    made_of : digest of everything that decides the bytes;  sha256 : of the artifact, None where the cap cannot be met
    margin : bytes left under the cap
    predicted_loss, measured_loss : nats a token beside the checkpoint; measured on `held_out_tokens`, None without any
    bits_per_byte, gap_mbpb : of the artifact on the evaluation text, and what it loses to the checkpoint there; None
        without such a text
    seconds : of reading and measuring the checkpoint, and of landing on this cap
    assumed, notes : what nothing told of the checkpoint, and what was chosen, decoded or left out of it
    kept : whether it was there already, from a run before
    failure : why there is no artifact
    """

    checkpoint: str
    cap: int
    output: str
    made_of: str
    sha256: str | None = None
    artifact_bytes: int = 0
    code_bytes: int = 0
    margin: int = 0
    bits_per_weight: float = 0.0
    byte_price: float = 0.0
    predicted_loss: float = 0.0
    measured_loss: float | None = None
    held_out_tokens: int = 0
    bits_per_byte: float | None = None
    gap_mbpb: float | None = None
    seconds: float = 0.0
    assumed: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    kept: bool = False
    failure: str | None = None

    @property
    def total_bytes(self) -> int:
        """Of artifact and code."""
        return self.artifact_bytes + self.code_bytes


@dataclass(frozen=True, slots=True)
class Spread:
    """The artifacts under one cap together; None where a number is not known of any, or `deviation` of two.

    least_bytes, most_bytes, least_margin : int
    mean_predicted, mean_measured : nats a token;  mean_bits_per_byte : on the evaluation text
    deviation, deviation_bits_per_byte : standard deviations of the last two (n - 1)
    """

    cap: int
    artifacts: int
    least_bytes: int
    most_bytes: int
    least_margin: int
    mean_predicted: float
    mean_measured: float | None
    deviation: float | None
    mean_bits_per_byte: float | None
    deviation_bits_per_byte: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Fit(ShownByFacts):
    """The artifacts of a fit, checkpoint by checkpoint and cap by cap in the order given."""

    artifacts: tuple[FittedArtifact, ...]

    @property
    def fits(self) -> bool:
        """Whether every cap was met."""
        return all(each.failure is None for each in self.artifacts)

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """What the artifacts under each cap have in common, for caps with any."""
        caps = dict.fromkeys(each.cap for each in self.artifacts)
        found = {cap: [e for e in self.artifacts if e.cap == cap and e.failure is None] for cap in caps}
        return tuple(_spread(cap, each) for cap, each in found.items() if each)

    def shown_facts(self) -> Mapping[str, str]:
        """How many artifacts there are, by cap."""
        made = sum(each.failure is None for each in self.artifacts)
        caps = ", ".join(f"{cap:,}" for cap in dict.fromkeys(each.cap for each in self.artifacts))
        return {"": f"{made} of {len(self.artifacts)} artifacts under their caps of {caps} bytes"}

    def _repr_html_(self) -> str:
        rows = [
            (each.output, f"{each.cap:,}", f"{each.total_bytes:,}", each.failure or _loss_text(each))
            for each in self.artifacts
        ]
        return rows_table(self.shown_facts()[""], ("artifact", "cap", "bytes", "loss, nats a token"), rows)


def _loss_text(artifact: FittedArtifact) -> str:
    """The loss as it was measured; the prediction, called one, where nothing was."""
    if artifact.measured_loss is None:
        return f"{artifact.predicted_loss:.3g} predicted, not measured"
    return f"{artifact.measured_loss:.3g} on {artifact.held_out_tokens:,} held-out tokens"


def _spread(cap: int, artifacts: Sequence[FittedArtifact]) -> Spread:
    sizes = [each.artifact_bytes for each in artifacts]
    predicted = sum(each.predicted_loss for each in artifacts) / len(artifacts)
    margin = min(each.margin for each in artifacts)
    measured = _mean_and_deviation([each.measured_loss for each in artifacts])
    scored = _mean_and_deviation([each.bits_per_byte for each in artifacts])
    return Spread(cap, len(artifacts), min(sizes), max(sizes), margin, predicted, *measured, *scored)


def _mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Of the values that are known; None of none, and for the deviation of one."""
    known = [value for value in values if value is not None]
    if not known:
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


def read_record(path: Path) -> dict[str, FittedArtifact]:
    """What earlier runs finished, by output; OutputError for a record that is none."""
    if not path.exists():
        return {}
    names = {each.name for each in fields(FittedArtifact)}
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        rows = [FittedArtifact(**row) for row in found["artifacts"] if set(row) == names]
        if found["schema"] != SCHEMA or len(rows) != len(found["artifacts"]):
            raise ValueError("it is of another version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no record of a fit ({error}); remove it, or name another folder") from error
    return {str(path.with_name(row.output)): replace(row, output=str(path.with_name(row.output))) for row in rows}


def write_record(path: Path, artifacts: Mapping[str, FittedArtifact]) -> None:
    rows: list[dict[str, Any]] = [
        asdict(replace(each, output=Path(each.output).name, kept=False)) for each in artifacts.values()
    ]
    text = json.dumps({"schema": SCHEMA, "artifacts": rows}, indent=2) + "\n"
    write_output(path, text.encode(), force=True)
