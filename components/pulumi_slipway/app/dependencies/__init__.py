"""What an app needs: how it says so, which Python and packages that is, and whether its server can have them."""

from __future__ import annotations

from .drivers import choose_driver, missing_driver
from .found import Dependencies, find_dependencies

__all__ = ["Dependencies", "choose_driver", "find_dependencies", "missing_driver"]
