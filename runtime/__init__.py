"""Runs, scores and verifies what an artifact holds, with numpy and numba; needs no torch."""
