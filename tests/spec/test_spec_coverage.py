"""Specification, code and vectors say the same: every rule is stated once, enforced, and proved by a file."""

from __future__ import annotations

import ast
import dataclasses
import re

import pytest
from make_vectors import read_table
from source_tree import ROOT, parsed, python_files

from bytecap.format.container.bytes_codecs import BYTES_CODECS
from bytecap.format.container.container import FIRST_ANCILLARY, REQUIRED_SECTIONS, SECTION_NAMES
from bytecap.format.container.layout import HEADER, SECTION_ENTRY, field_offset
from bytecap.format.container.limits import DEFAULT_LIMITS

SPEC = ROOT / "spec"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(SPEC.glob("*.md"))}
RULE = re.compile(r"R-[A-Z]+-\d+")
STATEMENT = re.compile(r"^ *[*-] \[(R-[A-Z]+-\d+)\] ", re.MULTILINE)

# Rules that no bytes are known to break: a second line of defence behind the others. Each with the reason; a vector for
# one of them is a reason to take it off this list.
GUARDS = {
    "R-CAN-1": (
        "every field of program and directory has one encoding by its own rule; re-encoding would find a rule that "
        "was forgotten"
    ),
}


def stated_rules() -> list[str]:
    return [rule for text in PAGES.values() for rule in STATEMENT.findall(text)]


def enforced_rules() -> set[str]:
    """Rule ids that stand alone as a string in format/ or runtime/, as an error's argument does."""
    return {
        node.value
        for path in python_files("format", "runtime")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and RULE.fullmatch(node.value)
    }


def proved_rules() -> set[str]:
    return {entry["rule"] for entry in read_table() if "rule" in entry}


def table_of(page: str, heading: str) -> list[list[str]]:
    """Rows of the Markdown table that follows a line beginning with `heading`, without its head."""
    lines = PAGES[page].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    rows = []
    for line in lines[start:]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def test_every_rule_is_stated_once():
    rules = stated_rules()
    assert sorted(rules) == sorted(set(rules))


def test_every_stated_rule_is_enforced_and_every_enforced_rule_stated():
    assert set(stated_rules()) - enforced_rules() == set(), "stated, but no code names it"
    assert enforced_rules() - set(stated_rules()) == set(), "enforced, but not stated"


def test_every_rule_is_proved_by_a_vector():
    assert set(stated_rules()) - proved_rules() == set(GUARDS), (
        "stated, but no vector breaks it (or a guard that one breaks)"
    )
    assert proved_rules() - set(stated_rules()) == set(), "a vector breaks a rule that is not stated"


def test_every_rule_names_the_word_of_its_error():
    """Of README.md's table, in brackets: `unsupported` for UnsupportedArtifact."""
    words = {error.strip("`"): word for word, error, _ in table_of("README.md", "## Words")}
    texts = [re.split(r"\n(?! {2})", text)[0] for page in PAGES.values() for text in STATEMENT.split(page)[2::2]]
    stated = dict(zip(stated_rules(), texts, strict=True))
    unnamed = {
        entry["rule"]: words[entry["error"]]
        for entry in read_table()
        if "rule" in entry and not re.search(rf"\({words[entry['error']]}\)", stated[entry["rule"]])
    }
    assert unnamed == {}
    assert [rule for rule, text in stated.items() if not re.search(rf"\((?:{'|'.join(words.values())})\)", text)] == []


def test_every_mention_is_of_a_rule():
    """Also in running text, docstrings and comments; R-...-n and the like are patterns, not mentions."""
    stated = set(stated_rules())
    texts = dict(PAGES) | {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in python_files("format", "runtime", "tests", "spec")
    }
    wrong = {f"{name}: {rule}" for name, text in texts.items() for rule in RULE.findall(text) if rule not in stated}
    assert wrong == set()


def test_every_area_is_explained():
    areas = {area for row in table_of("README.md", "## Rule ids") for area in row[0].split(", ")}
    assert areas == {rule.split("-")[1] for rule in stated_rules()}


def test_limits_are_those_of_the_code():
    table = {name: int(value.replace(",", "")) for name, value, *_ in table_of("limits.md", "# Limits")}
    assert table == dataclasses.asdict(DEFAULT_LIMITS)
    for *_, rules in table_of("limits.md", "# Limits"):
        assert set(rules.split(", ")) <= set(stated_rules())


@pytest.mark.parametrize(("heading", "record"), [("## 1. Header", HEADER), ("## 2. Section table", SECTION_ENTRY)])
def test_record_tables_are_those_of_the_code(heading, record):
    table = [
        (int(offset), int(size), name.replace(" ", "_")) for offset, size, name, _ in table_of("container.md", heading)
    ]
    assert table == [(field_offset(record, field.name), field.sizeof(), field.name) for field in record.subcons]


def test_section_and_codec_ids_are_those_of_the_code():
    table = {int(number): name for number, name, _ in table_of("container.md", "| id | section")}
    assert table == {number: name.upper() for number, name in SECTION_NAMES.items()}
    assert [number for number in table if number < FIRST_ANCILLARY] == list(REQUIRED_SECTIONS)
    codec_row = next(row for row in table_of("container.md", "## 2. Section table") if row[2] == "codec")
    for codec in BYTES_CODECS.values():
        assert f"{codec.wire_id} {codec.name}" in codec_row[3]


def test_links_lead_somewhere():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (SPEC / target).exists(), f"{page}: {target}"
