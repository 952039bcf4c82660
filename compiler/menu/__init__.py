"""Other representations of a matrix than one grid, and which of them pay; imported only when a recipe asks."""
