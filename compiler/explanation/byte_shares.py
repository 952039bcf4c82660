"""Where an artifact's bytes went, in the groups a reader asks for, and what its integers would take without contexts.

Strategy: the records of format/inspection.py count every byte once; here they are only added up by
role, layer and stream. What belongs to no group (header, program, directory, step exponents) has rows
of its own, so each table adds up to the file.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...format.artifact import Artifact, DecodedTensors
from ...format.byte_account import Inspection, SharedRow, TensorRow
from ...format.container.container import CODES, section_name
from ...format.entropy import entropy_bits
from ...format.program.tensor_names import layer_of, role_of
from ...format.tensors.grid import GridValues
from ...format.tensors.matrices import in_streams, stored_matrices


def byte_shares(found: Inspection, artifact: Artifact) -> dict:
    """JSON-able tables `tensors`, `roles`, `layers`, `streams`, `sections`; with `shared` where they
    need it, each adds up to `file`.

    `metadata` is of bytes that those tables count already: steps, sets, codewords.
    """
    streams = {
        entry: matrix.record.stream for (entry, *_), matrix in in_streams(stored_matrices(artifact.directory)).items()
    }
    tensors = [
        {
            "name": row.name,
            "role": role_of(row.name),
            "layer": layer_of(row.name),
            "stream": streams.get(index),
            "elements": row.elements,
            "bytes": row.bytes,
            "bits_per_weight": row.bits_per_weight,
        }
        for index, row in enumerate(found.tensors)
    ]
    sections = [{"name": "header and section table", "bytes": found.header_bytes}]
    sections += [{"name": row.name, "bytes": row.stored_bytes} for row in found.sections]
    return {
        "file": found.bytes,
        "weights": found.weights,
        "tensors": tensors,
        "roles": sorted(_groups(found.tensors, role_of, "role"), key=lambda group: -group["bytes"]),
        "layers": _groups(found.tensors, layer_of, "layer"),
        "streams": _stream_rows(artifact, found),
        "sections": sections,
        "shared": _shared(found.shared),
        "metadata": _shared(found.metadata),
    }


def _groups(rows: Iterable[TensorRow], key, title: str) -> list[dict]:
    """Sums by key, in order of first appearance; a layer of None comes first."""
    groups: dict = {}
    for row in rows:
        group = groups.setdefault(key(row.name), {title: key(row.name), "tensors": 0, "elements": 0, "bytes": 0})
        group["tensors"] += 1
        group["elements"] += row.elements
        group["bytes"] += row.bytes
    for group in groups.values():
        group["bits_per_weight"] = 8 * group["bytes"] / group["elements"]
    return (
        sorted(groups.values(), key=lambda group: -1 if group[title] is None else group[title])
        if title == "layer"
        else list(groups.values())
    )


def _stream_rows(artifact: Artifact, found: Inspection) -> list[dict]:
    """The integer streams one by one, and everything else of the file by section."""
    rows = [{"name": "header and section table", "bytes": found.header_bytes}]
    for section in artifact.sections:
        if section.id != CODES:
            rows.append({"name": section_name(section.id), "bytes": len(section.stored)})
            continue
        payloads = [len(stream.payload) for stream in artifact.streams]
        rows.append({"name": "table of streams", "bytes": len(section.stored) - sum(payloads)})
        rows += [
            {"name": f"stream {i}" + (", step exponents" if i == 0 else ""), "bytes": size}
            for i, size in enumerate(payloads)
        ]
    return rows


def _shared(rows: Iterable[SharedRow]) -> list[dict]:
    return [{"name": row.name, "bytes": row.bytes} for row in rows]


def code_entropies(artifact: Artifact, contents: DecodedTensors) -> list[dict]:
    """Of each tensor with integers: their static order-0 entropy, matrix by matrix, and the bits they
    took, both a weight.

    A trellis fixes the parity of each integer before it is coded, so `entropy` is that of the integer given its parity:
    H(k) - H(k mod 2); `integers` is the plain H(k). `contexts` is entropy - coded: what adaptive distributions bring,
    less what they cost to learn.
    """
    rows = []
    for index, n_bytes in sorted(contents.code_bytes.items()):
        entry, integers, parities = artifact.directory[index], 0.0, 0.0
        for values in (values for place, values in contents.matrices.items() if place[0] == index):
            share = values.codes.size / entry.elements
            integers += entropy_bits(values.codes) * share
            parities += (
                entropy_bits(values.codes & 1) * share
                if isinstance(values, GridValues) and values.trellis_states
                else 0.0
            )
        entropy, coded = integers - parities, 8 * n_bytes / entry.elements
        rows.append(
            {
                "name": entry.name,
                "elements": entry.elements,
                "integers": integers,
                "entropy": entropy,
                "coded": coded,
                "contexts": entropy - coded,
            }
        )
    return rows
