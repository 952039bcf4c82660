"""Measurements on a model: exceptions that bytes are spent on, curves, sensitivity, diagnosis, all at equal bytes."""
