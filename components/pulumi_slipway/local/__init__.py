"""The local machine driver: real Debian machines on this Linux host, booted by systemd-nspawn.

Run it as ``python -m pulumi_slipway.local``; see `cli` for its commands. It needs root (it re-executes itself through
``sudo -n``), talks to nobody but the host's own package sources, and keeps everything below one state folder.
"""

from __future__ import annotations
