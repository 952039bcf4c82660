"""Artifacts: their sections, the whole of them against the decoder of the specification, and the commands on them.

Strategy: the package and the plain decoder of spec/ must give the same tensors or refuse by the same rule; what is
accepted is written back byte for byte, listed, exported and run on a few tokens.
"""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from artifact_mutations import SEEDS, taken_apart
from artifact_mutations import mutation as artifact_mutation
from fixtures import OTHER_TOKENIZER, fixtures
from fuzz_frame import Answer, Mutation, Seed, Target
from fuzz_invariants import Broken
from reference import NOT_IN_REFERENCE, sections_by_reference, tensors_by_reference

from bytecap.compiler.checkpoints.export import encode_safetensors
from bytecap.errors import ArtifactError, ChecksumMismatch, LimitExceeded, OutputError
from bytecap.format.artifact import Artifact, decode_tensors, read_artifact, write_artifact
from bytecap.format.container.container import read_container, read_minor_version, write_container
from bytecap.format.container.limits import Limits
from bytecap.runtime.interpreter import Interpreter

# Small enough that a reader which ignores one of them is noticed by its memory.
FUZZ_LIMITS = Limits(
    section_bytes=1 << 20, metadata_bytes=1 << 16, elements=1 << 16, products=1 << 22, tensors=1000, instructions=1000
)
PEAK_BYTES = 48 << 20
COMPARED_EVERY, COMPARED_BYTES = 8, 3000  # one of so many files, and not larger ones: the plain decoder takes its time
FILE = "mutated.bcap"
TOKENS = 5


def _seeds(level: str) -> list[Seed]:
    return [Seed({FILE: data}, {}) for data in SEEDS[level]]


def _draw(seeds: Sequence[Seed], rng: random.Random) -> Mutation:
    files = tuple(seed.files[FILE] for seed in seeds)
    steps, data = artifact_mutation(taken_apart(files), [len(file) for file in files], rng)
    return Mutation({FILE: data}, list(steps))


def _read_sections(path: Path) -> Answer:
    """The container alone, held against the plain decoder."""
    data = path.read_bytes()
    try:
        sections = read_container(data, FUZZ_LIMITS)
    except LimitExceeded:
        raise
    except ArtifactError as error:
        _agree(sections_by_reference(data), (error.kind, error.rule, error.offset))
        raise
    if write_container(sections, read_minor_version(data)) != data:
        raise Broken("what was read is written otherwise")
    _agree(sections_by_reference(data), {section.id: section.decoded for section in sections})
    return Answer(f"{len(sections)} sections")


def _agree(reference: object, package: object) -> None:
    if reference != package:
        raise Broken(f"the plain decoder says {str(reference)[:200]}, the package {str(package)[:200]}", "two decoders")


def _read_artifact(path: Path) -> Answer:
    """The whole artifact, its tensors decoded; the digest, which hardly any mutation would pass, is not compared."""
    data = path.read_bytes()
    compared = len(data) <= COMPARED_BYTES and zlib.crc32(data) % COMPARED_EVERY == 0
    try:
        artifact = read_artifact(data, FUZZ_LIMITS)
        if write_artifact(artifact) != data:
            raise Broken("what was read is written otherwise")
        tensors = decode_tensors(artifact, check_digest=False)
    except LimitExceeded:
        raise
    except ArtifactError as error:
        rule = "R-PRG" if error.where.startswith("program") else error.rule
        if compared and not rule.startswith(NOT_IN_REFERENCE):
            _agree(tensors_by_reference(data), rule)
        raise
    if compared:
        _agree(tensors_by_reference(data), _with_digest(artifact, tensors))
    return Answer(_used(artifact, tensors))


def _with_digest(artifact: Artifact, tensors: Sequence[np.ndarray]) -> object:
    try:
        decode_tensors(artifact)
    except ChecksumMismatch as error:
        return error.rule
    return [tensor.ravel().tolist() for tensor in tensors]


def _used(artifact: Artifact, tensors: Sequence[np.ndarray]) -> str:
    """What becomes of an artifact that was accepted: it runs, and is written as a checkpoint."""
    names = [entry.name for entry in artifact.directory]
    with contextlib.suppress(OutputError), np.errstate(over="ignore"):  # an export tells that before
        encode_safetensors(names, tensors, [entry.dtype for entry in artifact.directory])
    if not all(np.isfinite(tensor).all() for tensor in tensors):
        raise Broken("a tensor that is not finite was accepted")
    tokens = np.arange(TOKENS)[None] % artifact.program.vocabulary_size
    with np.errstate(all="ignore"):
        losses = Interpreter(artifact.program, tensors, FUZZ_LIMITS).token_losses(tokens)
    return f"{len(tensors)} tensors, losses {losses.tolist()}"


def _commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    return (
        ("verify", path, "--json"),
        ("verify", path),
        ("inspect", path, "--json"),
        ("inspect", path, "--by", "all"),
        ("inspect", path, "--hex"),
        ("inspect", path, "--program", "--json"),
        ("inspect", path, "--html", output / "page.html"),
        ("export", path, "-o", output / "exported.safetensors"),
        ("diff", path, path),
        ("eval", path, "--data", fixtures() / "shard.bin", "--max-tokens", 50, *OTHER_TOKENIZER),
    )


CONTAINER = Target(
    "container", lambda: _seeds("container"), _read_sections, _draw, peak_bytes=PEAK_BYTES, mutations=60_000, short=300
)
ARTIFACT = Target(
    "artifact",
    lambda: _seeds("artifact"),
    _read_artifact,
    _draw,
    commands=_commands,
    errors=(ArtifactError,),
    peak_bytes=PEAK_BYTES,
    command_every=256,
    mutations=600_000,
    short=600,
)
