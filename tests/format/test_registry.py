"""Tables of kinds: complete in their order, and two claims to one key are refused."""

from __future__ import annotations

import pytest

from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.container.bytes_codecs import BYTES_CODECS
from bytecap.format.program.operation_shapes import SHAPE_RULES
from bytecap.format.program.operations import OPERATIONS, OPERATIONS_BY_ID
from bytecap.format.registry import keyed, paired


class First:
    wire_id, name = 1, "first"


class Second:
    wire_id, name = 2, "second"


class SameId:
    wire_id, name = 1, "third"


class SameName:
    wire_id, name = 3, "first"


def test_kinds_by_an_attribute_or_a_function() -> None:
    assert list(keyed((Second, First), "wire_id", "name").items()) == [(2, Second), (1, First)]
    assert keyed((First, Second), lambda kind: kind.name.upper()) == {"FIRST": First, "SECOND": Second}
    assert paired([("a", 1), ("b", 1)]) == {"a": 1, "b": 1}


@pytest.mark.parametrize(("other", "key"), [(SameId, "1"), (SameName, "'first'"), (First, "1|'first'")])
def test_two_claims_to_one_key_are_refused(other, key) -> None:
    with pytest.raises(ValueError, match=rf"^({key}) is registered twice: First and {other.__name__}$"):
        keyed((First, Second, other), "wire_id", "name")


def test_a_class_as_a_key_is_named_in_the_refusal() -> None:
    with pytest.raises(ValueError, match=r"^First is registered twice: 1 and 2$"):
        paired([(First, 1), (Second, 1), (First, 2)])


def test_the_tables_of_the_format_are_complete() -> None:
    """Ids and names are those of spec/; what each entry does is tested where it stands."""
    assert {wire_id: codec.name for wire_id, codec in INTEGER_CODECS.items()} == {
        1: "scale-classes",
        2: "mixing",
        3: "static-rans",
    }
    assert {wire_id: codec.name for wire_id, codec in BYTES_CODECS.items()} == {0: "stored", 1: "zstd", 2: "brotli"}
    assert list(OPERATIONS_BY_ID) == list(range(1, len(OPERATIONS) + 1))
    assert tuple(OPERATIONS_BY_ID.values()) == OPERATIONS
    assert set(SHAPE_RULES) == set(OPERATIONS)
