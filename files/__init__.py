"""What lies on a user's disk: outputs written whole, code closures, sizes in words, the ledger of every byte."""
