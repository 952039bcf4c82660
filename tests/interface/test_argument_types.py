"""What callers give in place of what a public function takes: an error by the argument's name, before the work."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_job import CAP

import bytecap
from bytecap.errors import CapError, CompileError, DataError, MissingFileError, WrongTypeError
from bytecap.interface.argument_types import KINDS
from bytecap.interface.arguments import size_in_bytes

IDS = np.arange(300)
REFUSED = {  # by argument of evaluate: values, and what is said
    "model": [
        (b"model.bcap", "b'model.bcap', of type bytes; give a path"),
        (None, "None; give a path"),
        ({}, "of type dict"),
    ],
    "data": [([1, 2], "of type list; give a path or several"), (IDS, "of type ndarray"), (b"x", "b'x', of type bytes")],
    "tokenizer": [(object(), "of type object; give a path")],
    "byte_counts": [("counts.bin", "'counts.bin', of type str; give a list of paths")],
    "max_tokens": [
        (512.0, "512.0, of type float; give a whole number"),
        ("512", "'512', of type str"),
        (True, "True, of"),
    ],
    "sequence_length": [("16", "'16', of type str; give a whole number")],
    "threads": [(np.float32(2), "of type float32; give a whole number")],
    "seconds": [("1", "'1', of type str; give a number")],
    "progress": [(3, "3, of type int; give True, or a function that is called as progress")],
}
CASES = [(name, value, said) for name, given in REFUSED.items() for value, said in given]


@pytest.mark.parametrize(("name", "value", "said"), CASES, ids=[f"{name}-{said[:12]}" for name, _, said in CASES])
def test_an_argument_of_another_type_is_refused_by_name(small_job, name, value, said):
    good = {"model": small_job.artifact, "data": small_job.data, "tokenizer": small_job.tokenizer}
    with pytest.raises(TypeError) as raised:
        bytecap.evaluate(**{**good, name: value})
    assert isinstance(raised.value, WrongTypeError) and str(raised.value).startswith(f"{name} is ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"threads": np.int64(-1)}, "threads is -1; it must be at least 1"),
        ({"seconds": -1}, "seconds is -1; it must be at least 0"),
        ({"seconds": float("nan")}, "seconds is nan; it must be at least 0"),
        ({"documents": "apart"}, "documents are 'joined', 'separate' or 'auto', not 'apart'"),
        ({"bos": -1}, "-1 is no token that begins documents; give its id, or none"),
        ({"bos": "-5"}, "'-5' is no token that begins documents; give its id, or none"),
        ({"bos": "x"}, "'x' is no token that begins documents; give its id, or none"),
    ],
)
def test_a_value_that_means_nothing_is_refused_and_not_another_one_taken(small_job, options, said):
    with pytest.raises(DataError, match=f"^{re.escape(said)}$"):
        bytecap.evaluate(small_job.artifact, data=small_job.text, tokenizer=small_job.tokenizer, **options)


REFUSED_VALUES = [  # by function, beside its checkpoint and calibration text
    (bytecap.compile, {"cap": CAP, "seed": -1}, DataError, "seed is -1; it must be at least 0"),
    (bytecap.compile, {"cap": CAP, "evaluation_tokens": 0}, DataError, "evaluation_tokens is 0; it must be at least 1"),
    (bytecap.forecast, {"cap": CAP, "threads": 0}, DataError, "threads is 0; it must be at least 1"),
    (bytecap.fit, {"cap": [], "output": "fitted"}, DataError, "no cap is given; name one or several"),
    (bytecap.sensitivity, {"tokens": 0}, DataError, "tokens is 0; it must be at least 1"),
    (bytecap.sensitivity, {"slices": 0}, DataError, "slices is 0; it must be at least 1"),
    (bytecap.sensitivity, {"top": -1}, DataError, "top is -1; it must be at least 1"),
    (bytecap.sensitivity, {"bits": 1}, CompileError, "bits are 1; give 0 to remove, or 2 to 16"),
    (bytecap.sensitivity, {"bits": -1}, CompileError, "bits are -1; give 0 to remove, or 2 to 16"),
    (
        bytecap.sensitivity,
        {"by": "size"},
        CompileError,
        "units are not ranked by 'size'; they are by second-order, gradient, row-error, measured",
    ),
    (bytecap.curve, {"bits": 0.0}, CompileError, "bits are 0.0; give 0.1 to 16"),
    (bytecap.curve, {"bits": float("nan")}, CompileError, "bits are nan; give 0.1 to 16"),
    (bytecap.curve, {"octaves": -1.0}, DataError, "octaves is -1.0; it must be at least 0"),
]


@pytest.mark.parametrize(("function", "options", "kind", "said"), REFUSED_VALUES)
def test_a_number_or_word_that_a_function_does_not_take_is_refused(
    small_job, tmp_path, monkeypatch, function, options, kind, said
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=f"^{re.escape(said)}$"):
        function(small_job.checkpoint, calibration=small_job.calibration, **options)
    assert list(tmp_path.iterdir()) == []


def test_values_of_functions_that_take_no_checkpoint_are_refused_alike(small_job, tmp_path):
    with pytest.raises(CompileError, match=r"^bits are 1; give 2 to 16$"):
        bytecap.diagnose(small_job.checkpoint, data=small_job.calibration, bits=1)
    with pytest.raises(DataError, match=r"^no checkpoint is given; name one or several$"):
        bytecap.fit([], cap=CAP, calibration=small_job.calibration, output=tmp_path / "out")
    with pytest.raises(DataError, match=r"^stride is -1; it must be at least 1$"):
        bytecap.pack(small_job.artifact, tmp_path / "out", stride=-1)
    with pytest.raises(DataError, match=r"^documents is 0; it must be at least 1$"):
        bytecap.check_byte_table(small_job.tokenizer, data=small_job.text, documents=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("function", "value", "said"),
    [
        (bytecap.read_artifact, "model.bcap", "data is 'model.bcap', of type str; give the bytes themselves"),
        (bytecap.read_artifact, Path("model.bcap"), "data is of type PosixPath; give the bytes themselves"),
        (bytecap.decode_tensors, "model.bcap", "artifact is 'model.bcap', of type str; give an artifact that"),
        (bytecap.write_artifact, b"x", "artifact is b'x', of type bytes; give an artifact that bytecap.read_artifact"),
    ],
)
def test_what_is_read_step_by_step_is_refused_by_name(function, value, said):
    with pytest.raises(WrongTypeError, match=re.escape(said)):
        function(value)


@pytest.mark.parametrize(
    "held",
    [
        bytearray,
        memoryview,
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: np.frombuffer(data, np.uint8).reshape(1, -1),
        lambda data: memoryview(np.repeat(np.frombuffer(data, np.uint8), 2))[::2],
        lambda data: np.frombuffer(data, f"S{len(data)}"),
    ],
    ids=["bytearray", "memoryview", "array", "rows", "every second", "one item"],
)
def test_an_artifact_is_read_from_whatever_holds_its_bytes(small_job, held):
    data = small_job.artifact.read_bytes()
    assert bytecap.write_artifact(bytecap.read_artifact(held(data))) == data


def test_what_means_the_same_is_taken(small_job):
    plain = bytecap.evaluate(str(small_job.artifact), data=str(small_job.data), tokenizer=str(small_job.tokenizer))
    other = bytecap.evaluate(
        Path(small_job.artifact),
        data=(Path(each) for each in [small_job.data]),
        tokenizer=Path(small_job.tokenizer),
        max_tokens=np.int64(10**6),
        progress=lambda stage, done, total: None,
    )
    assert other.score.bits_per_byte == plain.score.bits_per_byte


def test_every_annotation_that_is_checked_is_used():
    used = {
        str(parameter.annotation).removesuffix(" | None")
        for name in bytecap.__all__
        if callable(getattr(bytecap, name))
        for parameter in inspect.signature(getattr(bytecap, name)).parameters.values()
    }
    assert set(KINDS) <= used


@pytest.mark.parametrize(
    "tokens",
    [[1.5, 2.5], [True, False], [[1, 2], [3]], "abc", b"abc", 5, None, np.zeros((1, 1, 1), int), (i for i in "a")],
)
def test_what_are_no_token_ids_is_not_taken_for_them(small_job, tokens):
    model = bytecap.load(small_job.artifact, tokenizer=small_job.tokenizer)
    with pytest.raises(WrongTypeError, match=r"tokens are .*; give whole numbers, \[length\] or \[batch, length\]"):
        model.logits(tokens)
    if not isinstance(tokens, str):
        with pytest.raises(WrongTypeError, match="tokens are "):
            model.generate(tokens, tokens=1)


@pytest.mark.parametrize("tokens", [[2**70], np.array([2**63 + 1], np.uint64), np.array([2**70], object)])
def test_token_ids_beyond_64_bits_are_told_as_such(small_job, tokens):
    with pytest.raises(DataError, match="a token id is beyond 64 bits"):
        bytecap.load(small_job.artifact).logits(tokens)


def test_numbers_that_hide_or_are_to_be_learned_are_no_token_ids(small_job):
    model = bytecap.load(small_job.artifact)
    for tokens in (np.ma.array([1, 5], mask=[0, 1]), torch.tensor([1.0], requires_grad=True)):
        with pytest.raises(WrongTypeError, match=r"tokens are of type (MaskedArray|Tensor); give whole numbers"):
            model.logits(tokens)


SAME_IDS = [
    [1, 5],
    (1, 5),
    range(1, 6, 4),
    np.array([1, 5], np.uint16),
    np.array([1, 5], ">u2"),
    np.array([1, 5], ">i8"),
    np.array([1, 5], object),
    np.array([5, 1])[::-1],
    np.arange(1, 9)[::4],
    np.frombuffer(b"\1\0\5\0", "<u2"),  # read-only
    torch.tensor([1, 5], dtype=torch.int32),
]


@pytest.mark.parametrize("tokens", SAME_IDS, ids=lambda tokens: type(tokens).__name__)
def test_token_ids_of_every_kind_give_the_same(small_job, tokens):
    model = bytecap.load(small_job.artifact)
    assert np.array_equal(model.logits(tokens), model.logits(np.array([1, 5])))


@pytest.mark.parametrize("name", ["model", "data", "tokenizer", "against"])
def test_a_file_that_is_not_there_is_pythons_error_too(small_job, name):
    given = {"model": small_job.artifact, "data": small_job.data, "tokenizer": small_job.tokenizer}
    with pytest.raises(FileNotFoundError, match=r"missing\.bin") as raised:
        bytecap.evaluate(**{**given, name: "missing.bin"})
    assert isinstance(raised.value, MissingFileError) and raised.value.filename == "missing.bin"


@pytest.mark.parametrize("name", ["model", "data", "tokenizer", "against", "resume"])
@pytest.mark.parametrize(
    ("path", "said"), [("", "is an empty text, which names no file"), ("a\0b", r"has a NUL in it \('a\\x00b'\)")]
)
def test_a_path_that_names_no_file_is_not_the_folder_that_the_process_is_in(small_job, name, path, said):
    given = {"model": small_job.artifact, "data": small_job.data, "tokenizer": small_job.tokenizer}
    for value in (path, [path]) if name == "data" else (path,):
        with pytest.raises(MissingFileError, match=f"^{name} {said}"):
            bytecap.evaluate(**{**given, name: value})


def test_a_name_that_is_no_path_is_no_missing_file(small_job):
    files = {"calibration": small_job.calibration, "evaluation": small_job.data, "tokenizer": small_job.tokenizer}
    with pytest.raises(DataError, match="there is no experiment 'nothing'"):
        bytecap.run_experiment("nothing", checkpoint=small_job.checkpoint, **files)
    with pytest.raises(CompileError, match="there is no unit 'head'; there are tensors, rows, channels, blocks, heads"):
        bytecap.sensitivity(small_job.checkpoint, calibration=small_job.calibration, unit="head")


def test_sizes_are_whole_bytes(small_job):
    assert [size_in_bytes(each) for each in (16e6, "16MB", np.int64(16_000_000))] == [16_000_000] * 3
    for wrong in (0.15, None, [1], True, float("nan"), b"16MB"):
        with pytest.raises(
            WrongTypeError, match=r"a size is .*; give bytes as a whole number, or a text such as '16MB'"
        ):
            size_in_bytes(wrong)
    with pytest.raises(CapError, match="-1 bytes are no size; give a number that is not negative"):
        bytecap.verify(small_job.artifact, cap=-1)
    assert bytecap.verify(small_job.artifact, cap=float(10**9)) and CAP


def test_one_kind_of_units_is_not_taken_for_its_letters(small_job):
    with pytest.raises(CompileError, match="there is no kind of protected weights 'rowz'"):
        bytecap.curve(small_job.checkpoint, calibration=small_job.calibration, units="rowz", budget="1%")
