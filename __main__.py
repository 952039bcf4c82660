"""`python -m bytecap`: the command, where it is not on the path."""

from __future__ import annotations

from .cli.start import main

if __name__ == "__main__":
    main()
