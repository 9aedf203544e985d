"""Closing a machine that somebody had before: sshd and the firewall, on trial.

What is changed is kept first. A timer of systemd takes all of it back after some seconds, also after a reboot, unless
it is confirmed; and nobody confirms it who has not just logged in anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from . import adoption, files, firewall, paths, request, run
from .errors import AgentError
from .journal import machine_journal, recorded
from .kept import Kept
from .lock import held
from .progress import say
from .request import Document
from .run import Deadline, tool
from .users import User

_PATIENCE = 600.0
"""Seconds that the timer's own run waits for whoever is at work: it is the way back, and must not give up."""
_WITHIN = 120
_SERVICE = "slipway-take-back.service"
_TIMER = "slipway-take-back.timer"
_UNITS = {
    _SERVICE: """\
[Unit]
Description=Slipway: take back a hardening that no fresh login has confirmed

[Service]
Type=oneshot
ExecStart=/usr/local/lib/slipway/agent take-back
StandardInput=null
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=10
""",
    _TIMER: """\
[Unit]
Description=Slipway: the time in which a fresh login has to confirm the hardening

[Timer]
OnActiveSec={within}
AccuracySec=1

[Install]
WantedBy=timers.target
""",
}


def harden(document: Document) -> dict[str, Any]:
    """Run the hardening `script` on trial for `within` seconds (120). One that was confirmed before is not run again.

    Raises `AgentError` when it fails; then all is as it was.
    """
    script, within = request.text(document, "script"), request.integer(document, "within", _WITHIN)
    digest = hashlib.sha256(script.encode()).hexdigest()
    with held(adoption.LOCK, "hardening", wait=_PATIENCE), recorded(machine_journal(), "harden") as entry:
        if adoption.read() is None:
            raise AgentError("this machine is not set up yet: run the step 'adopt' first")
        state = files.read_json(_state())
        if state is not None and state["confirmed"] and state["digest"] == digest:
            entry["skip"] = True
            return {"on_trial": False, "within": 0}
        opened, rules = _opened(state), firewall.of_script(script)
        ours = [*opened, *firewall.missing(rules)]
        trial = {"digest": digest, "confirmed": False, "left": {}, "opened": ours}
        files.write_json(_state(), trial, 0o600)
        _arm(within)
        try:
            _run(script)
            firewall.close([rule for rule in opened if rule not in rules], sparing=firewall.sshd_ports())
        except BaseException:
            say("hardening failed: taking it back")
            undo()
            raise
        kept = {"left": _kept().digests(), "opened": [rule for rule in rules if rule in ours]}
        files.write_json(_state(), {**trial, **kept}, 0o600)
        say(f"sshd and the firewall are closed on trial: taken back in {within} s unless a fresh login confirms it")
    return {"on_trial": True, "within": within}


def confirm(_document: Document) -> dict[str, Any]:
    """A fresh login got in: what is on trial stays."""
    with held(adoption.LOCK, "confirming the hardening"), recorded(machine_journal(), "confirm"):
        state = files.read_json(_state())
        if state is None:
            raise AgentError("there is nothing to confirm: the hardening was taken back before")
        _disarm()
        files.write_json(_state(), {**state, "confirmed": True}, 0o600)
        say("the hardening stays")
    return {"confirmed": True}


def take_back(_document: Document) -> dict[str, Any]:
    """Have sshd and the firewall as they were; what was confirmed stays, whoever asks."""
    with (
        held(adoption.LOCK, "taking the hardening back", wait=_PATIENCE),
        recorded(machine_journal(), "take-back") as entry,
    ):
        state = files.read_json(_state())
        if state is None or state["confirmed"]:
            entry["skip"] = True
            _disarm()
            return {"taken_back": False}
        undo()
    return {"taken_back": True}


def soften(_document: Document) -> dict[str, Any]:
    """End a hardening that was confirmed: it is not wished for any more."""
    with held(adoption.LOCK, "ending the hardening", wait=_PATIENCE), recorded(machine_journal(), "soften") as entry:
        entry["skip"] = not undo()
    return {"softened": True}


def undo() -> bool:
    """Have all as it was before any hardening; False when there was none. The caller holds the lock."""
    state = files.read_json(_state())
    if state is None:
        return False
    kept = _kept()
    changed = kept.changed(state.get("left", {}))  # asked before ufw writes into its files itself
    _close_ufw(kept)
    kept.put_back(leaving=changed)
    _open_ufw(kept)
    for name in changed:
        say(f"warning: {name} was changed by somebody since, and stays")
    with contextlib.suppress(AgentError):  # without a process of its own, where systemd listens in its place
        tool(["systemctl", "reload", "ssh"])
    files.remove(kept.folder)
    _state().unlink(missing_ok=True)
    _disarm()
    say("sshd and the firewall are as they were before the hardening")
    return True


def _close_ufw(kept: Kept) -> None:
    """Off first, if it was off before: its rules go out of the kernel by its own program, not by its files."""
    if kept.names() and not _was_active(kept):
        firewall.turn_off()


def _open_ufw(kept: Kept) -> None:
    if _was_active(kept):
        tool(["ufw", "reload"])


def _was_active(kept: Kept) -> bool:
    settings = kept.before("/etc/ufw/ufw.conf")
    return settings.is_file() and "ENABLED=yes" in settings.read_text().splitlines()


def _opened(state: dict[str, Any] | None) -> list[firewall.Rule]:
    """The rules of ufw that are ours so far."""
    if state is None:
        return list((adoption.read() or {}).get("opened", []))
    if "opened" in state:
        return list(state["opened"])
    return firewall.of_script(_script().read_text()) if _script().is_file() else []  # of an agent that kept no account


def _run(script: str) -> None:
    place = _script()
    files.write_atomic(place, script.encode(), 0o700)
    files.folder(_kept().folder, 0o700)
    environment = {"PATH": run.SYSTEM_PATH, "HOME": "/root", "LANG": "C", "SLIPWAY_RECORD": str(_kept().folder)}
    root = User("root", 0, 0)
    run.step(["/bin/sh", str(place)], root, Path("/"), environment, Deadline(60, "hardening"), "hardening the machine")


def _arm(within: int) -> None:
    for name, text in _UNITS.items():
        files.write_atomic(_place(name), text.replace("{within}", str(within)).encode())
    tool(["systemctl", "daemon-reload"])
    tool(["systemctl", "enable", "--quiet", _TIMER])
    tool(["systemctl", "restart", _TIMER])


def _disarm() -> None:
    """The service that runs this may be one of them: its file goes, it itself is left to end."""
    if not any(_place(name).exists() for name in _UNITS):
        return
    tool(["systemctl", "disable", "--quiet", "--now", _TIMER])
    for name in _UNITS:
        _place(name).unlink(missing_ok=True)
    tool(["systemctl", "daemon-reload"])


def _state() -> Path:
    return adoption.hardening()


def _script() -> Path:
    return paths.state() / "harden.sh"


def _kept() -> Kept:
    return Kept(paths.state() / "before-hardening")


def _place(name: str) -> Path:
    return paths.rooted("/etc/systemd/system") / name
