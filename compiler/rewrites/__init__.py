"""Exact rewrites of a model after which less is to be stored."""
