"""Bytes to typed records and back: the container, the program, the directory, terms and codecs.

Knows no model, no torch.
"""
