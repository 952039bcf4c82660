"""What lies on a user's disk: outputs written whole or not at all, code closures, sizes in words, the ledger of every byte."""
