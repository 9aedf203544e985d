"""``python -m pulumi_slipway.local``."""

from __future__ import annotations

import sys

from pulumi_slipway.local.cli import main

if __name__ == "__main__":
    sys.exit(main())
