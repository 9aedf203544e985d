"""Only `make live STACK=…` runs what is here, after somebody has confirmed it: it names the stack."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("SLIPWAY_LIVE_STACK") else ["test_live.py"]
