"""Measurements on a model: weights that bytes are spent on to protect, curves, sensitivity, diagnosis,
all at equal bytes.
"""
