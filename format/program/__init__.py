"""Chapter 2 of the format: the typed program that says what a model computes (spec/program.md)."""
