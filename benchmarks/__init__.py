"""Measurements of size, quality, speed and memory beside the alternatives, each in one run on one machine."""
