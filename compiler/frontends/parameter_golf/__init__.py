"""The models of the Parameter Golf challenge: its baseline and every record that was merged.

In the order of a build: `traits` (what the names tell), `sizes` (what the shapes tell), `given` (what the caller and
a configuration say), `records` (what the merged records are), `resolution` (the rest: assumed where every record
agrees, asked for where they differ), `shapes` (what must be there), `trunk`, `attention`, `mlp` and `lanes` (the
program), `rewritten` (tensors as the program reads them, and back).
"""
