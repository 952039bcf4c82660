"""What `bytecap inspect --hex` shows: every byte of the file with what it means."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..files.numbers import integer
from ..format.container.describe import Region, describe_container

HEX_BYTES = 16


@dataclass(frozen=True)
class MapView:
    """Every byte of the file in regions, with what each region means."""

    path: Path
    data: bytes
    regions: list[Region]

    def document(self) -> dict[str, Any]:
        rows = [asdict(region) for region in self.regions]
        return {
            "artifact": str(self.path),
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "regions": rows,
        }

    def show(self) -> None:
        for region in self.regions:
            piece = self.data[region.offset : region.offset + min(region.length, HEX_BYTES)]
            more = " .." if region.length > HEX_BYTES else ""
            shown = f"{piece.hex(' ') + more:<{3 * HEX_BYTES + 3}}"
            size = f"{integer(region.length):>9}"
            click.echo(f"{region.offset:08x}  {shown}  {size}  {region.name}: {region.text}")


def map_view(path: Path, data: bytes) -> MapView:
    """The view of --hex."""
    return MapView(path, data, describe_container(data))
