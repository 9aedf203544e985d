"""What the apps of a server need of systemd: written by the first claim, brought up to date with the agent, removed
with the last claim."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from . import adoption, files, paths
from .run import tool

_BOOT = "slipway-boot.service"
_RENEW = "slipway-renew.service"
_TIMER = "slipway-renew.timer"
_NGINX = "nginx.service.d/slipway.conf"

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
    _NGINX: """\
[Unit]
Wants=slipway-boot.service
After=slipway-boot.service
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=500ms
LimitNOFILE=65536
""",
}


def install(serving: bool) -> bool:
    """Have them as they are to be; whether there was anything to do. While an app is `serving`, nothing that serves
    is restarted for that."""
    wanted = _wanted()
    found = differing()
    # The mark is written last: without it systemd may not have been told of what an interrupted run wrote.
    if not found and _is(_mark(), _digest()):
        return False
    for name in found:
        files.folder(_place(name).parent)
        files.write_atomic(_place(name), wanted[name].encode())
    tool(["systemctl", "daemon-reload"])
    tool(["systemctl", "enable", "--quiet", _BOOT, _TIMER])
    tool(["systemctl", "start", "--no-block", _TIMER])
    if not serving and _NGINX in wanted:
        tool(["systemctl", "try-restart", "nginx"])  # its limits are those that it was started with
    files.folder(paths.state())
    files.write_atomic(_mark(), _digest().encode())
    return True


def are_installed() -> bool:
    return _mark().exists()


def differing() -> list[str]:
    """Those that are not as they are to be, or that systemd does not start by itself any more."""
    wanted = _wanted()
    edited = [name for name, text in wanted.items() if not _is(_place(name), text)]
    enabled = {_BOOT: "multi-user.target.wants", _TIMER: "timers.target.wants"}
    return edited + [
        name for name, by in enabled.items() if name not in edited and not (_place(by) / name).is_symlink()
    ]


def uninstall() -> None:
    """Take them away; absent ones are fine."""
    _mark().unlink(missing_ok=True)
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


def _wanted() -> dict[str, str]:
    """Beside others' sites nginx stays as their owner has it: it serves ours without that, too."""
    return {name: text for name, text in _UNITS.items() if name != _NGINX or not adoption.other_sites()}


def _mark() -> Path:
    return paths.state() / "units"


def _digest() -> str:
    return hashlib.sha256(json.dumps(_wanted()).encode()).hexdigest()


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def _place(name: str) -> Path:
    return paths.rooted("/etc/systemd/system") / name
