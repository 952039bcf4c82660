"""The bytecap command: one module a subcommand, imports kept lazy."""
