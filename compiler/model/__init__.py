"""A model in memory: program and tensors, the torch executor, and the analyses that find structure in a program."""
