"""The small trainer and what it trains: factorized heads, pruned vocabularies, the cost of a program."""
