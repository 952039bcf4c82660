"""What `bytecap inspect --hex` shows: every byte of the file with what it means."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..files.numbers import integer
from ..format.artifact import read_artifact
from ..format.artifact_map import describe_artifact
from ..format.container.describe import Region

HEX_BYTES = 16


@dataclass(frozen=True)
class MapView:
    """Every byte of the file in regions, with what each region means.

    regions : of the file; those of sections come last and have nested ones
    decoded : what these sections decompress to, in their order
    """

    path: Path
    data: bytes
    regions: list[Region]
    decoded: list[bytes]

    def document(self) -> dict[str, Any]:
        rows = [asdict(region) for region in self.regions]
        return {
            "artifact": str(self.path),
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "regions": rows,
        }

    def show(self) -> None:
        head = len(self.regions) - len(self.decoded)
        for region in self.regions[:head]:
            _show_region(region, self.data, "")
        for region, decoded in zip(self.regions[head:], self.decoded, strict=True):
            _show_region(region, self.data, "")
            for nested in region.nested:
                _show_region(nested, decoded, "+")


def _show_region(region: Region, data: bytes, mark: str) -> None:
    """Offset, first bytes, length and meaning; the offset of a nested region is marked with +."""
    piece = data[region.offset : region.offset + min(region.length, HEX_BYTES)]
    more = " .." if region.length > HEX_BYTES else ""
    shown = f"{piece.hex(' ') + more:<{3 * HEX_BYTES + 3}}"
    offset = f"{mark}{region.offset:0{8 - len(mark)}x}"
    click.echo(f"{offset}  {shown}  {integer(region.length):>9}  {region.name}: {region.text}")


def map_view(path: Path, data: bytes) -> MapView:
    """The view of --hex."""
    artifact = read_artifact(data)
    decoded = [section.decoded for section in artifact.sections if section.stored]
    return MapView(path, data, describe_artifact(data), decoded)
