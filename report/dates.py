"""The date that a page or a plot carries: today's, or the one that SOURCE_DATE_EPOCH fixes.

Strategy: the convention of reproducible builds (reproducible-builds.org): with that variable set, to seconds since
1970, what is written again is the same byte for byte whatever the day.
"""

from __future__ import annotations

import os
import time

from ..errors import OutputError

EPOCH = "SOURCE_DATE_EPOCH"


def date_today() -> str:
    """Year, month and day, of universal time. Raises OutputError for a SOURCE_DATE_EPOCH that is no time."""
    given = os.environ.get(EPOCH)
    if not given:
        return time.strftime("%Y-%m-%d", time.gmtime())
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(int(given)))
    except (ValueError, OverflowError, OSError) as error:
        wish = "give seconds since 1970 or unset it"
        raise OutputError(f"{EPOCH} is {given!r}, which is no time; {wish}") from error
