"""Loads spec/reference_decoder.py, a script beside the specification and no part of the package, and asks it."""

from __future__ import annotations

import importlib.util

from source_tree import ROOT

_spec = importlib.util.spec_from_file_location("reference_decoder", ROOT / "spec" / "reference_decoder.py")
reference_decoder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference_decoder)

# What it leaves to the package: programs, and whether files are canonical and without unused tensors.
NOT_IN_REFERENCE = ("R-PRG", "R-CAN", "R-PRV", "R-DIR-6")


def sections_by_reference(data: bytes) -> object:
    """Decoded sections by id, or the word, rule and offset of the refusal."""
    try:
        return reference_decoder.read_sections(data)
    except reference_decoder.Refused as refused:
        return refused.word, refused.rule, refused.offset


def tensors_by_reference(data: bytes) -> object:
    """The values of each tensor, or the rule of the refusal."""
    try:
        return reference_decoder.decode_tensors(reference_decoder.read_sections(data))[1]
    except reference_decoder.Refused as refused:
        return refused.rule
