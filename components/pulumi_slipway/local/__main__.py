"""``python -m pulumi_slipway.local``."""

from __future__ import annotations

from pulumi_slipway.leave import leave
from pulumi_slipway.local.cli import main

if __name__ == "__main__":
    leave(main())
