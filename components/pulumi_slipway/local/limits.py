"""What many machines side by side need of the host's kernel: raised while there are machines, given back afterwards.

A machine's systemd takes five instances of inotify, and about eight with a login or two. The kernel counts those of
all machines together, whatever range of users each has, as root's of the host, who made their user namespaces; and
hosts have 128 of them. From the sixteenth machine on, or with fewer beside other programs of root's, what comes last
at boot gets none: `systemd-networkd-wait-online`, and what waits for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pulumi_slipway.local.process import say

_INSTANCES: Final = Path("/proc/sys/fs/inotify/max_user_instances")
# What it was before we raised it; as short-lived as the raise itself
_BEFORE: Final = Path("/run/slipway-local/inotify-instances")
_ENOUGH: Final = 8192  # of which each takes less than 1 KiB, and only when it is made


def ensure() -> None:
    """Raise what is too low for many machines. To be called with `network.HOST_LOCK` held."""
    before = _INSTANCES.read_text().strip()
    if int(before) >= _ENOUGH:
        return
    _BEFORE.write_text(before + "\n")
    try:
        _INSTANCES.write_text(f"{_ENOUGH}\n")
    except OSError as error:  # a container as host: a few machines do without
        _BEFORE.unlink()
        say(f"fs.inotify.max_user_instances stays {before}, enough for {int(before) // 10} machines: {error}")


def give_back() -> None:
    """Have the limits as they were; one that somebody else has set since stays.

    To be called with `network.HOST_LOCK` held, when no machine of any state folder is left.
    """
    if not _BEFORE.exists():
        return
    if _INSTANCES.read_text().strip() == str(_ENOUGH):
        _INSTANCES.write_text(_BEFORE.read_text())
    _BEFORE.unlink()
