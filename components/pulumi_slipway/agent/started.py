"""How long this program has been running: its loading, and the reading of the request, included."""

from __future__ import annotations

import os
import time
from pathlib import Path


def _started() -> float:
    """On the clock that counts from the machine's boot, exact to 10 ms."""
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


# now, and not when it is asked for: the work is done by a child of the program that was started
_STARTED = _started()


def seconds() -> float:
    """Seconds since the start."""
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - _STARTED, 3)
