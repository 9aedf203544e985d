"""paramiko, without `invoke`, which it takes along where that is there, for a keyword of ssh_config (not read here).

That is nearly half of its loading, in programs that do little else: Pulumi starts two of them in each release.
"""

from __future__ import annotations

import sys

_HIDDEN = "invoke"

if _HIDDEN in sys.modules:
    import paramiko
else:
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]  # importing it fails
    try:
        import paramiko
    finally:
        del sys.modules[_HIDDEN]

__all__ = ["paramiko"]
