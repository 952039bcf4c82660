"""Packing: an artifact out, a folder in that runs, decodes and scores it without this package."""
