"""The text of kernels: short, the same in C, and refused where C would read it otherwise."""

from __future__ import annotations

import pytest

from bytecap.packing import kernel_text
from bytecap.packing.loader import kernel_ways


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Kernels of one file of our own, of which `decode_mixing` is asked for."""

    def text(source):
        (tmp_path / "own.py").write_text(source, encoding="utf-8")
        monkeypatch.setattr(kernel_text, "FOLDER", tmp_path)
        kernel_text._sources.cache_clear()
        return kernel_text.kernel_text([2])

    yield text
    kernel_text._sources.cache_clear()


def kernel(statement):
    return f'def decode_mixing(codes, count):\n    """What it does."""\n    {statement}\n    return 0\n'


def test_names_are_letters_and_constants_numbers(written):
    source = 'PLACES, STEP = 3, 1 << 4\n\n\ndef helper(codes, at):\n    """Says."""\n    return codes[at]\n\n\n'
    source += kernel("first = helper(codes, count - -STEP)\n    codes[PLACES + 0] = first + PLACES * STEP")
    assert written(source) == "def fa(A,a):\n return A[a]\ndef k2(A,a):\n b=fa(A,a+16)\n A[3]=b+48\n return 0"


@pytest.mark.parametrize(
    "statement",
    [
        "codes[0] = 1 << count",
        "codes[0] = count & 3 == 1",
        "codes[0] = (count > 1) | 2",
        "codes[0] = 1 < count < 3",
        "codes[0] = count % 3",
        "codes[0] = count ** 2",
        "codes[0] = 1 if count else 2",
        "codes[0] = not count",
        "codes[0], codes[1] = 1, 2",
        "codes[0] = codes[1] = count",
        "with count:\n        codes[0] = 1",
    ],
)
def test_what_c_reads_otherwise_is_refused(written, statement):
    with pytest.raises(ValueError, match="C would read"):
        written(kernel(statement))


def test_a_constant_has_one_value(written, tmp_path):
    (tmp_path / "other.py").write_text("STEP = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="STEP the value"):
        written("STEP = 2\n" + kernel("codes[0] = STEP"))


def test_an_unknown_name_is_refused(written):
    with pytest.raises(KeyError, match="MISSING"):
        written(kernel("codes[0] = MISSING"))


@pytest.mark.parametrize("codecs", [[1], [2], [1, 3], [1, 2, 3]])
def test_c_has_every_kernel_and_as_many_closing_braces(codecs):
    text = kernel_text.kernel_text(codecs)
    translated = kernel_ways.c_text(text)
    assert translated.count("{") == translated.count("}")
    for codec in codecs:
        assert f"\nL k{codec}(L*restrict A," in translated
    assert "--" not in translated and "//" not in translated
