"""Making a machine that somebody has already into a server, with a record of all that is changed on it."""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import sys
import time
from pathlib import Path
from typing import Any

from . import adoption, claim, files, firewall, nginx, paths, request, run, survey, upgrade
from .adoption import Record
from .bootstrap import cloud_init
from .errors import AgentError
from .facts import agent_digest, facts
from .journal import machine_journal, recorded
from .lock import MACHINE, held
from .progress import say
from .request import Document
from .run import Deadline
from .users import User

USER = "deploy"
"""Who releases log in as."""

_SCRIPT = "bootstrap.sh"
_ROOT = User("root", 0, 0)
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def adopt(document: Document) -> dict[str, Any]:
    """Run the set-up `script` for the stack `owner`, whose deploy key is `key`.

    May be run again at any time. The first run writes down what was there before; the record says which stacks use
    the machine, and the last of them to leave gives it back (`giveback.py`).
    """
    owner, key = request.text(document, "owner"), request.text(document, "key")
    other_sites, script = request.flag(document, "other_sites"), request.text(document, "script")
    rules = firewall.read_rules(document)
    deadline = Deadline(request.number(document, "timeout", 600), "ready_timeout")
    with held(adoption.LOCK, "setting the machine up", wait=max(1.0, deadline.left)):
        record = adoption.read()
        if record is None or record["other_sites"] != other_sites:
            survey.refuse(USER, other_sites)
        interrupted = record is not None and "pending" in record
        if record is None:
            _wait_for_cloud_init(deadline)
            record = adoption.begin()
        with recorded(machine_journal(), "adopt", other_sites=other_sites):
            settled = record["owners"].get(owner, {}).get("settled", False)
            record["owners"][owner] = {"key": key, "at": time.time(), "settled": settled}
            turned = record["other_sites"] != other_sites
            record["other_sites"] = other_sites
            adoption.write(record)
            with adoption.noting():
                _run(script, deadline, interrupted)
            record = _reread()
            record["left"] = adoption.kept().digests()
            if not adoption.hardening().exists():  # which has the same rules, and keeps what was there before
                record["opened"] = firewall.open_only(rules, record["opened"])
            adoption.write(record)
            write_keys(record)
            _install_agent()
            if turned and any(claim.claimed()):
                with held(MACHINE, "setting the machine up"):
                    nginx.refresh()
    say("the machine is set up")
    return {"facts": facts(), "ports": firewall.sshd_ports()}


def settle(document: Document) -> dict[str, Any]:
    """The stack `owner` has logged in by its deploy key: all is there that it came for."""
    owner = request.text(document, "owner")
    with held(adoption.LOCK, "settling"):
        record = _reread()
        if owner not in record["owners"]:
            raise AgentError("this stack has nothing on this machine any more: run the step 'adopt' again")
        record["owners"][owner]["settled"] = True
        adoption.write(record)
    return {"settled": True}


def authorized_keys() -> Path:
    return Path(pwd.getpwnam(USER).pw_dir) / ".ssh" / "authorized_keys"


def write_keys(record: Record) -> None:
    """Let the stacks of the record in, and nobody else."""
    place = authorized_keys()
    lines = sorted({owner["key"] for owner in record["owners"].values()})
    files.write_atomic(place, "".join(f"{line}\n" for line in lines).encode(), 0o600)
    entry = pwd.getpwnam(USER)
    os.chown(place, entry.pw_uid, entry.pw_gid)


def _wait_for_cloud_init(deadline: Deadline) -> None:
    """A rented machine that was just made is still being set up, and what was there before is not there yet."""
    told = False
    while not cloud_init()[0]:
        if deadline.left <= 0:
            raise AgentError(f"cloud-init on this machine did not end within {deadline.seconds:.0f} s")
        if not told:
            say("waiting for cloud-init, which is still at work")
            told = True
        time.sleep(0.5)


def _run(script: str, deadline: Deadline, interrupted: bool) -> None:
    place = paths.state() / _SCRIPT
    files.write_atomic(place, script.encode(), 0o700)
    kept = adoption.kept().folder
    files.folder(kept, 0o700)
    environment = {
        "PATH": run.SYSTEM_PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "NEEDRESTART_SUSPEND": "1",  # Ubuntu's would restart services of the owner's
        "SLIPWAY_RECORD": str(kept),
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    }
    if interrupted:  # apt refuses to work while packages are half installed, as they are when our own run was killed
        with contextlib.suppress(AgentError):
            command = ["dpkg", "--force-confold", "--configure", "-a"]
            run.step(command, _ROOT, Path("/"), environment, deadline, "dpkg --configure", quiet=True)
    run.step(["/bin/sh", str(place)], _ROOT, Path("/"), environment, deadline, "setting the machine up")


def _install_agent() -> None:
    """Put this very program where the deploy user may run it."""
    data = Path(sys.argv[0]).resolve().read_bytes()
    upgrade.upgrade({"sha256": agent_digest(), "pyz": base64.b64encode(data).decode()})


def _reread() -> Record:
    record = adoption.read()
    if record is None:
        raise AgentError("the record of this machine vanished while it was being set up: run this again")
    return record
