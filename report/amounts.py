"""In which units pages show losses, and how much a chart holds."""

from __future__ import annotations

MNAT = 1000.0  # losses are shown in thousandths of a nat a token, which keeps them readable numbers
MOST_ROWS = 24  # of a chart
