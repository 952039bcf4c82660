"""Judging a stranger's submission folder from its files alone: nothing of it is imported, executed or unpickled."""
