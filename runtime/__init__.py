"""Loads, decodes, runs and scores an artifact with numpy and numba; needs no torch."""
