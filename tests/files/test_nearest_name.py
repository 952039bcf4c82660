"""The name that was probably meant."""

from __future__ import annotations

import pytest

from bytecap.files.nearest_name import known_names, nearest_name
from bytecap.files.sizes import parse_size


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("everyhting", "everything"), ("DEFAULT", "default"), ("defualt", "default"), ("max", None), ("", None)],
)
def test_the_nearest_name(name, nearest):
    assert nearest_name(name, ["default", "everything"]) == nearest


def test_the_way_out_is_the_nearest_name_or_all_of_them():
    assert known_names("everyhting", ["default", "everything"]) == "did you mean 'everything'?"
    assert known_names("max", ["default", "everything"], "known are") == "known are default, everything"


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("16M", "16MB (decimal) or 16MiB (binary)"),
        ("1.5 g", "1.5GB (decimal) or 1.5GiB (binary)"),
        ("200Ki", "200KB (decimal) or 200KiB (binary)"),
        ("16,000,000", "16_000_000"),
        ("16.000.000", "16_000_000"),
        ("1e6", "for example 16_000_000, 16MB (decimal) or 16MiB (binary)"),
    ],
)
def test_a_size_in_another_notation_is_written_out(text, way_out):
    with pytest.raises(ValueError, match="is not a size in bytes; write ") as error:
        parse_size(text)
    assert str(error.value).endswith(f"; write {way_out}")
