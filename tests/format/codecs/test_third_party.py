"""Integer codecs of other packages: found by their entry points, guarded, refused, listed; whole or broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import bytecap_command
from source_tree import ROOT
from stand_in_packages import stand_in_package
from tiny_artifacts import PROGRAM, VOCABULARY, WIDTH

import bytecap
from bytecap.compiler.frontends.third_party import installed_frontends
from bytecap.compiler.profiles import profile_codec
from bytecap.errors import CompileError, MalformedArtifact, UnsupportedArtifact
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.codecs import INTEGER_CODECS, codec_of, third_party, unknown_codec
from bytecap.format.inspection import inspect_artifact
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import GridInStream
from bytecap.packing.decoding_needs import stream_codecs

PLAIN = '''
import numpy as np
from bytecap.errors import MalformedArtifact


class Plain:
    """Four bytes an integer."""

    wire_id, name = 200, "plain"

    @staticmethod
    def encode(matrices, scales):
        return b"".join(codes.astype("<i4").tobytes() for codes in matrices)

    @staticmethod
    def decode(payload, scales, *, offset, where):
        if len(payload) != 4 * sum(scale.symbols for scale in scales):
            raise MalformedArtifact("not four bytes an integer", rule="R-STR-5", offset=offset, where=where)
        matrices, ends, place = [], [], 0
        for scale in scales:
            end = place + 4 * scale.symbols
            matrices.append(np.frombuffer(payload[place:end], "<i4").reshape(scale.rows.size, scale.columns.size))
            ends.append(end)
            place = end
        return matrices, ends
'''
DOCUMENTED = '[project.entry-points."bytecap.codecs"]\nplain = "my_package:Plain"\n'
COUNT = iter(range(100))


def forget() -> None:
    for found in (third_party.offered_codecs, third_party.installed_codecs, installed_frontends):
        found.cache_clear()


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path
    forget()


def offer(site: Path, source: str = PLAIN, package: str = "my-package", name: str = "plain") -> None:
    """Install a stand-in; every one has a module of its own, since Python keeps those it has imported."""
    module = f"codec_of_a_package_{next(COUNT)}"
    stand_in_package(site, package, module, source, f"[bytecap.codecs]\n{name} = {module}:Plain\n")
    forget()


def artifact(codec: int = 200) -> bytes:
    codes = np.random.default_rng(0).integers(-9, 10, size=(VOCABULARY, WIDTH)).astype(np.int32)
    sources = [
        TensorSource(name, codes.shape, "float32", (GridInStream(GridValues(codes, None, None, 0.125, 0), 1),))
        for name in ("embedding", "head")
    ]
    return assemble_artifact(PROGRAM, sources, codec=codec)


def test_an_artifact_of_an_installed_codec_is_written_read_and_named(site):
    offer(site)
    data = artifact()
    read = read_artifact(data)
    assert codec_of(200).name == "plain" and 200 in {stream.codec for stream in read.streams}
    for ours, other in zip(decode_tensors(read), decode_tensors(read_artifact(artifact(1))), strict=True):
        np.testing.assert_array_equal(ours, other)
    assert "plain" in {row.codec for row in inspect_artifact(data).streams}
    assert profile_codec("plain") == 200
    with pytest.raises(CompileError, match="the codec 'plain' is of another package and cannot be packed"):
        stream_codecs(read)


def test_without_the_package_it_is_unsupported_and_who_could_not_help_is_named(site):
    offer(site)
    data = artifact()
    for path in site.iterdir():
        path.unlink() if path.is_file() else [part.unlink() for part in path.iterdir()] and path.rmdir()
    offer(site, "raise OSError('no licence')\n", "their-package")
    with pytest.raises(UnsupportedArtifact) as refused:
        read_artifact(data)
    assert refused.value.rule == "R-STR-2" and str(refused.value).endswith(
        "integer codec 200 is of a package that is not installed; the package their-package offers the codec 'plain', "
        "which is left out: it cannot be loaded (OSError: no licence) [R-STR-2]"
    )


BROKEN = {
    "Plain = 3\n": "it lacks wire_id, name, encode, decode of a codec",
    PLAIN.replace("wire_id, name = 200", "wire_id, name = 3"): "its wire_id must be a number from 128 to 255",
    PLAIN.replace('200, "plain"', '200, "mixing"'): "the codec 'mixing' has the name 'mixing' already",
    PLAIN.replace('200, "plain"', "200, 5"): "its name must be a string",
    PLAIN.replace('200, "plain"', 'True, "plain"'): "its wire_id must be a number from 128 to 255",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_one_is_left_out_with_its_reason(site, source):
    offer(site, source, "their-package")
    offer(site, PLAIN.replace("200", "201"), "zebra")
    (fault,) = [found.fault for found in third_party.offered_codecs() if found.fault]
    assert fault.startswith(BROKEN[source]) and not unknown_codec(201)
    with pytest.raises(CompileError, match=f"no profile is named 'x'.*the package their-package.*{re.escape(fault)}"):
        profile_codec("x")


def test_of_two_with_one_number_or_name_the_first_package_has_it(site):
    offer(site, package="a-package")
    offer(site, PLAIN.replace('"plain"', '"other"'), "b-package")
    offer(site, PLAIN.replace("200", "201"), "c-package")
    first, *others = third_party.offered_codecs()
    assert (first.package, first.fault) == ("a-package", "")
    assert [each.fault for each in others] == [
        "the codec 'plain' has the wire_id 200 already",
        "the codec 'plain' has the name 'plain' already",
    ]


FAILING = {
    "fails (ZeroDivisionError": ("matrices, ends, place = [], [], 0", "1 / 0"),
    "gives no int32 matrices of the sizes": (
        "scale.rows.size, scale.columns.size",
        "scale.columns.size, scale.rows.size",
    ),
    "fails (OverflowError: codes must stay below": (
        "return matrices, ends",
        "return [m + (1 << 25) for m in matrices], ends",
    ),
    "fails (TypeError": ("return matrices, ends", "return None"),
}


@pytest.mark.parametrize("message", FAILING)
def test_what_fails_while_it_works_is_one_error_that_names_it(site, message):
    offer(site)
    data = artifact()
    for path in site.iterdir():
        path.unlink() if path.is_file() else [part.unlink() for part in path.iterdir()] and path.rmdir()
    offer(site, PLAIN.replace(*FAILING[message]))
    with pytest.raises(UnsupportedArtifact, match=re.escape(f"the codec 'plain' of the package my-package {message}")):
        decode_tensors(read_artifact(data))


def test_its_own_refusals_of_bytes_stay_what_they_are(site):
    offer(site)
    with pytest.raises(MalformedArtifact, match="not four bytes an integer"):
        codec_of(200).decode(b"abc", [], offset=0, where="codes / stream 1")


def test_a_failing_encoder_is_named(site):
    offer(site, PLAIN.replace("return b", "raise OSError('full')\n        return b"))
    with pytest.raises(
        UnsupportedArtifact, match=r"'plain' of the package my-package fails to encode \(OSError: full\)"
    ):
        artifact()


def test_a_failing_encoder_is_told_with_the_tensor(site):
    few = "return b", "if max(codes.size for codes in matrices) > 500: raise OSError('full')\n        return b"
    offer(site, PLAIN.replace(*few))
    codes = [np.ones((rows, WIDTH), np.int32) for rows in (20, 100, 100)]
    sources = [
        TensorSource(f"t{k}", each.shape, "float32", (GridInStream(GridValues(each, None, None, 0.125, 0), 1),))
        for k, each in enumerate(codes)
    ]
    with pytest.raises(UnsupportedArtifact, match=r"my-package fails to encode \(OSError: full\), on 't1' \["):
        assemble_artifact(PROGRAM, sources, codec=200)


def test_a_decoder_that_fails_is_told_with_the_tensors_of_the_stream(site):
    offer(site)
    data = artifact()
    for path in site.iterdir():
        path.unlink() if path.is_file() else [part.unlink() for part in path.iterdir()] and path.rmdir()
    offer(site, PLAIN.replace("matrices, ends, place = [], [], 0", "1 / 0"))
    with pytest.raises(UnsupportedArtifact, match=r"division by zero\), on 'embedding', 'head' \["):
        decode_tensors(read_artifact(data))


COMPILED = {
    "raises": (
        "return b",
        "raise OSError('full')\n        return b",
        r"encode \(OSError: full\), on 'tok_emb.weight' ",
    ),
    "no bytes": (
        "return b",
        "return 5\n        return b",
        "gives int where bytes were asked for, on 'tok_emb.weight', ",
    ),
    "other numbers": (".astype(", ".clip(-1, 1).astype(", "does not give back what it was given: checksum mismatch"),
}


@pytest.mark.parametrize("fault", COMPILED)
def test_a_compile_with_a_faulty_one_says_whose_fault_it_is(site, small_job, fault):
    before, after, message = COMPILED[fault]
    offer(site, PLAIN.replace(before, after, 1))
    options = small_job.compile_arguments(site / "out.bcap", "--cap", 130_000, "--effort", 1, "--profile", "plain")
    outcome = bytecap_command(*options)
    assert outcome.code == 6 and "nothing was written" in outcome.stderr
    assert re.search(f"the codec 'plain' of the package my-package .*{message}", outcome.stderr)
    assert outcome.stderr.endswith("; report it there; another --profile does without it\n")


def test_numbers_of_nobody_are_refused_as_before():
    assert unknown_codec(9) == f"integer codec 9, this version knows {sorted(INTEGER_CODECS)}"
    assert not any(unknown_codec(wire_id) for wire_id in INTEGER_CODECS)


def test_the_command_lists_ours_theirs_and_broken_ones(site):
    offer(site)
    offer(site, "raise OSError('no licence')\n", "their-package")
    outcome = bytecap_command("plugins")
    assert outcome.code == 0
    assert re.search(r"^codec +plain +200 +my-package 1\.0$", outcome.stdout, re.MULTILINE)
    assert re.search(r"^codec +mixing +2 +bytecap ", outcome.stdout, re.MULTILINE)
    assert "left out    codec 'plain' of their-package 1.0: it cannot be loaded (OSError: no licence)" in outcome.stdout
    rows = bytecap_command("plugins", "--json").document["plugins"]
    assert {
        "kind": "codec",
        "name": "plain",
        "wire_id": 200,
        "package": "my-package",
        "version": "1.0",
        "fault": None,
    } in rows
    assert [row["name"] for row in rows if row["kind"] == "frontend"][:2] == ["parameter-golf", "llama"]
    assert [each.fault for each in bytecap.plugins() if each.fault] == ["it cannot be loaded (OSError: no licence)"]


def test_the_page_says_it_as_it_is():
    assert DOCUMENTED in (ROOT / "docs" / "adding" / "codec.md").read_text(encoding="utf-8")
