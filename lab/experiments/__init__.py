"""The experiments that put the project's founding theses to the test, a folder each; registry.py lists them."""
