"""Installed packages for tests, without an installation: what pip would leave of one in a folder of the import path."""

from __future__ import annotations

from pathlib import Path


def stand_in_package(folder: Path, package: str, module: str, source: str, table: str) -> None:
    """A package's one module, and beside it its metadata with the entry points `table`."""
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(table)
