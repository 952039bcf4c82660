"""How terms and matrices are named inside an artifact: by position, from 0."""

from __future__ import annotations

TermKey = tuple[int, int]  # tensor of the directory, term of the tensor
MatrixKey = tuple[int, int, int]  # tensor of the directory, term of the tensor, matrix of the term
