"""The ledger adds up to the bytes on disk, whatever the artifact and the code beside it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_artifacts import tiny_artifact

from bytecap.errors import ArtifactError, DataError
from bytecap.files.code_files import counted_files, script_closure
from bytecap.files.ledger import Ledger, LedgerRow, build_ledger
from bytecap.format.container.container import make_section, section_name, write_container

ENTRY_BYTES = 1 + 1 + 4 + 4 + 4
FIXED_BYTES = 8 + 4 + 4  # magic, versions and count, the table's checksum


def test_rows_of_an_artifact():
    data = tiny_artifact()
    ledger = build_ledger(data)
    assert [(row.kind, row.name) for row in ledger.rows] == [
        ("header", "header and section table"),
        *(("section", name) for name in ("program", "directory", "raw", "codes", "digest", "provenance")),
    ]
    assert ledger.rows[0].bytes == FIXED_BYTES + 6 * ENTRY_BYTES
    assert sum(row.bytes for row in ledger.rows) == len(data) == ledger.artifact_bytes == ledger.total_bytes
    assert (ledger.code_bytes, ledger.cap, ledger.fits) == (0, None, True)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.binary(max_size=300), min_size=4, max_size=4),
    st.dictionaries(st.integers(129, 255), st.binary(max_size=300), max_size=4),
)
def test_every_container_adds_up(contents, ancillary):
    sections = [make_section(number, content) for number, content in enumerate(contents, 1)]
    sections.append(make_section(5, bytes(32), compress=False))
    sections += [make_section(number, ancillary[number]) for number in sorted(ancillary)]
    data = write_container(sections)
    ledger = build_ledger(data)
    assert sum(row.bytes for row in ledger.rows) == len(data) == ledger.artifact_bytes
    assert ledger.rows[0].bytes == FIXED_BYTES + len(sections) * ENTRY_BYTES
    assert [row.name for row in ledger.rows[6:]] == [section_name(number) for number in sorted(ancillary)]


def test_code_counts_as_the_files_on_disk(tmp_path):
    files = {"src/train.py": "import model\n# é\n", "src/model.py": "x = 1\n", "run.sh": "python src/train.py\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    data = tiny_artifact()
    code = counted_files(script_closure([tmp_path / "src" / "train.py", tmp_path / "run.sh"]))
    ledger = build_ledger(data, [*code, tmp_path / "src" / "." / "train.py"], cap=len(data) + 100)
    rows = [row for row in ledger.rows if row.kind == "code"]
    assert rows == [
        LedgerRow("code", name, len(files[name].encode())) for name in ("src/train.py", "run.sh", "src/model.py")
    ]
    on_disk = sum((tmp_path / name).stat().st_size for name in files)
    assert (ledger.code_bytes, ledger.total_bytes) == (on_disk, len(data) + on_disk)
    assert sum(row.bytes for row in ledger.rows) == ledger.total_bytes


def test_one_code_file_is_named_alone(tmp_path):
    (tmp_path / "train.py").write_text("pass\n")
    assert build_ledger(tiny_artifact(), [tmp_path / "train.py"]).rows[-1] == LedgerRow("code", "train.py", 5)


@pytest.mark.parametrize(("spare", "fits"), [(1, True), (0, True), (-1, False)])
def test_the_cap_counts_artifact_and_code(spare, fits, tmp_path):
    (tmp_path / "train.py").write_text("pass\n")
    ledger = build_ledger(tiny_artifact(), [tmp_path / "train.py"], cap=len(tiny_artifact()) + 5 + spare)
    assert ledger.fits is fits and isinstance(ledger, Ledger)


def test_what_cannot_be_counted_is_named(tmp_path):
    for name in ("missing.py", "."):
        with pytest.raises(DataError, match="is not a file"):
            build_ledger(tiny_artifact(), [tmp_path / name])
    with pytest.raises(ArtifactError):
        build_ledger(tiny_artifact()[:-1])
