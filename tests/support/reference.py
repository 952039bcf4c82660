"""Loads spec/reference_decoder.py, which is a script beside the specification and not part of the package."""

from __future__ import annotations

import importlib.util

from source_tree import ROOT

_spec = importlib.util.spec_from_file_location("reference_decoder", ROOT / "spec" / "reference_decoder.py")
reference_decoder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference_decoder)
