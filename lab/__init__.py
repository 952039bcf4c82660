"""Experiments and the small trainer."""
