"""Code, page and example folders hold the same rules: each has a folder that raises it, and a row on the page."""

from __future__ import annotations

import re

import pytest
from source_tree import ROOT
from submission_examples import ALL_EXAMPLES
from submission_folders import write_example

from bytecap.submissions.judge import judge_folder
from bytecap.submissions.rules import RULES, SECTIONS


@pytest.mark.parametrize("example", ALL_EXAMPLES, ids=lambda example: example.name)
def test_an_example_raises_its_rules_at_its_levels_and_no_undeclared_one(example, tmp_path):
    judgement = judge_folder(write_example(tmp_path / "folder", example), **example.options)
    assert judgement.complete
    raised = {(finding.rule, finding.level.value) for finding in judgement.findings}
    assert set(example.rules.items()) <= raised
    declared = {(rule.id, level.value) for rule in RULES.values() for level in rule.levels}
    assert raised <= declared
    assert judgement.passed == ("fail" not in {level for _, level in raised})


def test_every_rule_has_an_example_at_each_of_its_levels():
    """But for those that no folder raises by itself: of `judge`, in test_isolation.py, and what needs given data, in
    test_blob_models.py and test_blob_text.py.
    """
    shown = {pair for example in ALL_EXAMPLES for pair in example.rules.items()}
    by_data = {"blob-score", "blob-text"}
    rules = [rule for section, rules in SECTIONS.items() if section != "judge" for rule in rules]
    rules = [rule for rule in rules if rule.id not in by_data]
    assert {(rule.id, level.value) for rule in rules for level in rule.levels} == shown


def test_names_of_examples_are_unique():
    names = [example.name for example in ALL_EXAMPLES]
    assert len(names) == len(set(names))


def test_every_rule_has_one_row_on_the_page():
    page = (ROOT / "docs" / "submissions.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+-[a-z-]+)` \|", page, re.MULTILINE) == list(RULES)
