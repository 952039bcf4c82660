"""What `bytecap inspect --program` shows: what an artifact computes, an instruction a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..format.artifact import read_artifact
from ..format.program.listing import program_lines
from ..format.program.program import validate_program
from .text_lines import print_text


@dataclass(frozen=True)
class ProgramView:
    """What the artifact computes, an instruction a line; `r3[128]` is a register and its width."""

    path: Path
    lines: list[str]

    def document(self) -> dict[str, Any]:
        return {"artifact": str(self.path), "program": self.lines}

    def show(self) -> None:
        for line in self.lines:
            print_text(line, 4)


def program_view(path: Path, data: bytes) -> ProgramView:
    """The view of --program."""
    artifact = read_artifact(data)
    shapes = validate_program(artifact.program, [entry.shape for entry in artifact.directory])
    names = [entry.name for entry in artifact.directory]
    return ProgramView(path, program_lines(artifact.program, names, shapes.widths))
