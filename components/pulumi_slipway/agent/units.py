"""What the apps of a server need of systemd: written by the first claim, removed with the last one."""

from __future__ import annotations

from pathlib import Path

from . import files, paths
from .run import tool

_BOOT = "slipway-boot.service"
_RENEW = "slipway-renew.service"
_TIMER = "slipway-renew.timer"

_UNITS = {
    _BOOT: """\
[Unit]
Description=Slipway: bring back what is live, before nginx and supervisor start
Before=nginx.service supervisor.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/slipway/agent boot
StandardInput=null
TimeoutStartSec=60

[Install]
WantedBy=multi-user.target
""",
    _RENEW: """\
[Unit]
Description=Slipway: renew self-signed certificates that are near their end

[Service]
Type=oneshot
ExecStart=/usr/local/lib/slipway/agent renew
StandardInput=null
TimeoutStartSec=120
""",
    _TIMER: """\
[Unit]
Description=Slipway: look at the certificates daily

[Timer]
OnCalendar=daily
RandomizedDelaySec=2h
Persistent=true

[Install]
WantedBy=timers.target
""",
    # Without its supervisord nobody looks after a gunicorn: with "mixed" what a killed supervisord leaves behind is
    # killed, too, before it starts again (Debian's unit leaves it running, on the socket of the next one).
    "supervisor.service.d/slipway.conf": """\
[Unit]
Wants=slipway-boot.service
After=slipway-boot.service
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=500ms
KillMode=mixed
""",
    "nginx.service.d/slipway.conf": """\
[Unit]
Wants=slipway-boot.service
After=slipway-boot.service
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=500ms
""",
}


def install() -> None:
    """Write what differs; nothing is restarted by that."""
    changed = False
    for name, text in _UNITS.items():
        path = _place(name)
        files.folder(path.parent)
        if not path.is_file() or path.read_text() != text:
            files.write_atomic(path, text.encode())
            changed = True
    if changed:
        tool(["systemctl", "daemon-reload"])
    # also when nothing was written: an earlier run may have ended between the two
    enabled = paths.rooted("/etc/systemd/system/multi-user.target.wants") / _BOOT
    timer = paths.rooted("/etc/systemd/system/timers.target.wants") / _TIMER
    if changed or not enabled.is_symlink() or not timer.is_symlink():
        tool(["systemctl", "enable", "--quiet", _BOOT, _TIMER])
        tool(["systemctl", "start", "--no-block", _TIMER])


def uninstall() -> None:
    """Take them away; absent ones are fine."""
    present = [name for name in _UNITS if _place(name).exists()]
    if not present:
        return
    if _BOOT in present:
        tool(["systemctl", "disable", "--quiet", "--now", _BOOT])
    if _TIMER in present:
        tool(["systemctl", "disable", "--quiet", "--now", _TIMER])
    for name in present:
        path = _place(name)
        path.unlink()
        if path.parent.name.endswith(".d") and not any(path.parent.iterdir()):
            path.parent.rmdir()
    tool(["systemctl", "daemon-reload"])


def _place(name: str) -> Path:
    return paths.rooted("/etc/systemd/system") / name
