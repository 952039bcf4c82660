"""Chapter 1 of the format: bytes, numbers, sections, checksums and the limits of a reader
(spec/container.md, spec/limits.md).
"""
