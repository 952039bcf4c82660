"""Chapter 3 of the format: the directory, the terms that a tensor is the sum of, and their matrices
(spec/tensors.md).
"""
