"""Checkpoint files: names and float arrays in, and out again."""
