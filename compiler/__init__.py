"""Checkpoint to model to passes to artifact; torch is allowed here."""
