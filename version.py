"""The version of the package, also stored in the provenance of its artifacts."""

VERSION = "0.1.0"
