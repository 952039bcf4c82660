"""Writes spec/vectors: one file a vector and vectors.toml, which says what each must give.

    python tests/vectors/make_vectors.py

To add vectors, yield them from a function in one of the `vectors_*` modules and name it in `AREAS`. Everything is made
from literal bytes, so the same files come out on every machine; a test compares them with those in the repository.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))  # run as a script, too

from vector_files import Vector
from vectors_container import container_vectors
from vectors_fields import field_vectors
from vectors_program import program_vectors
from vectors_streams import stream_vectors
from vectors_tensors import tensor_vectors
from vectors_terms import term_vectors
from vectors_whole import whole_vectors

FOLDER = Path(__file__).resolve().parents[2] / "spec" / "vectors"
TABLE = "vectors.toml"
AREAS: tuple[Callable[[], Iterator[Vector]], ...] = (
    container_vectors,
    field_vectors,
    program_vectors,
    tensor_vectors,
    term_vectors,
    stream_vectors,
    whole_vectors,
)


def all_vectors() -> list[Vector]:
    """Every vector; ValueError when two have the same name."""
    vectors = [vector for area in AREAS for vector in area()]
    names = [vector.name for vector in vectors]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"vectors with the same name: {sorted(twice)}")
    return vectors


def table_entry(vector: Vector) -> str:
    """The vector's entry in vectors.toml."""
    fields: dict[str, str | int | None] = {
        "file": f"{vector.name}.bcap",
        "says": vector.says,
        "level": vector.level,
        "sha256": vector.sha256,
    }
    fields |= {"error": vector.error and vector.error.__name__, "rule": vector.rule, "offset": vector.offset}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value is not None]
    return "\n".join(["[[vector]]", *lines, ""])


def make_files() -> dict[str, bytes]:
    """Name and content of every file of spec/vectors."""
    vectors = all_vectors()
    files = {f"{vector.name}.bcap": vector.data for vector in vectors}
    head = "# Written by tests/vectors/make_vectors.py; the fields are explained in ../README.md.\n\n"
    files[TABLE] = (head + "\n".join(map(table_entry, vectors))).encode("utf-8")
    return files


def read_table() -> list[dict]:
    """The entries of vectors.toml as it is on disk."""
    return tomllib.loads((FOLDER / TABLE).read_text(encoding="utf-8"))["vector"]


def main() -> None:
    files = make_files()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.bcap"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    print(f"{len(files) - 1} vectors, {sum(map(len, files.values())):,} bytes")


if __name__ == "__main__":
    main()
