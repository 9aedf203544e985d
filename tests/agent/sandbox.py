"""A server in a folder, small enough to have hundreds of them in a minute. Runs in namespaces of its own.

The agent is the real one, the very bundle that goes to servers; each of its commands that change something is a
process, which can be killed before any of its changes to the disk. What is not real:

- supervisor and the app, which `sandbox_supervisor.py` plays (the agent's `slot` between them is real);
- nginx: a visitor goes straight to the socket behind the link that nginx follows;
- uv and the Python of an environment: programs that do nothing;
- the app's users, whom this machine's list of users does not have, and systemd's units, which are not installed;
- a power cut, which ends all processes and empties /run, but leaves all that was written: the disk is memory.

usage: python -m tests.agent.sandbox AGENT.pyz, as process 1; one JSON document a line in, one out, see `_ACTIONS`
"""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import http.client
import importlib
import json
import os
import pwd
import shutil
import signal
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.agent.crash import MOMENTS, die_before

APP, OWNER = "app", "owner"
ROOT = Path("/mnt")
"""A memory disk is mounted there. Its name is short, since that of a socket may have 107 characters."""

_USERS = {APP: 61001, f"{APP}-build": 61002, "www-data": 33}
_FOLDERS = ("etc/slipway", "home/deploy/incoming", "opt/slipway/uv/bin", "run", "srv", "var/lib", "var/log")
_MOMENTS = MOMENTS - {"socket.connect"} | {"open"}
"""How often it is asked whether somebody listens is another number each time."""
_UV = """\
#!/bin/sh
for venv; do :; done
mkdir -p "$venv/bin" && ln -sf /bin/true "$venv/bin/python"
"""

Answer = dict[str, Any]


def reset() -> Answer:
    """A server as bootstrap leaves it, with the app claimed."""
    _end_all()
    for entry in ROOT.iterdir():
        shutil.rmtree(entry)
    for name in _FOLDERS:
        (ROOT / name).mkdir(parents=True)
    uv = ROOT / "opt/slipway/uv/bin/uv"
    uv.write_text(_UV)
    uv.chmod(0o755)
    _start_supervisor()
    return agent("claim", {"app": APP, "owner": OWNER})


def agent(command: str, document: Answer, die: int | None = None) -> Answer:
    """The agent's answer, what it said and at how many `moments` it changed the disk; killed before number `die` of
    them, `killed` is true."""
    reading, writing = os.pipe()
    said = ROOT / "var/said"
    child = os.fork()
    if child == 0:
        _be_agent(command, document, die, writing, said)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = _reaped(child)
    killed = os.WIFSIGNALED(status)
    return {"killed": killed, "said": said.read_text(), **(json.loads(text) if text else {})}


def observe() -> Answer:
    """What the agent sees. It changes nothing, and so need not be a process of its own."""
    main = importlib.import_module("slipway_agent.main")
    answer: Answer = main._guarded(main.COMMANDS["observe"], {"apps": [APP]})
    return answer


def upload(data: str) -> Answer:
    """The `archive` of a request, for these bytes (base64)."""
    content = base64.b64decode(data)
    digest = hashlib.sha256(content).hexdigest()
    path = ROOT / f"home/deploy/incoming/{digest[:20]}.tar.gz"
    path.write_bytes(content)
    return {"path": str(path), "sha256": digest}


def power_cut() -> Answer:
    """The end of all processes, and the boot after it, in the order of a server's units."""
    _end_all()
    shutil.rmtree(ROOT / "run")
    (ROOT / "run").mkdir()
    booted = agent("boot", {})
    _start_supervisor()
    return booted


def visit() -> Answer:
    """What a visitor is told, or why nothing."""
    place = ROOT / f"run/slipway/{APP}/live/sockets/web.sock"
    connection = http.client.HTTPConnection("localhost", timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(5)
        connection.sock.connect(str(place))
        connection.request("GET", "/")
        answer = connection.getresponse()
        return {"status": answer.status, **json.loads(answer.read())}
    except (OSError, http.client.HTTPException) as error:
        return {"status": None, "error": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


def read(path: str) -> Answer:
    """The text of a file; None without one."""
    try:
        return {"text": (ROOT / path).read_text()}
    except FileNotFoundError:
        return {"text": None}


_ACTIONS: dict[str, Callable[..., Answer]] = {
    "reset": reset,
    "upload": upload,
    "observe": observe,
    "agent": agent,
    "power cut": power_cut,
    "visit": visit,
    "read": read,
}


def _be_agent(command: str, document: Answer, die: int | None, answer_to: int, said: Path) -> NoReturn:
    status = 1
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 2)
        main = importlib.import_module("slipway_agent.main")
        moments = die_before(die or 0, _MOMENTS)
        answer = main._guarded(main.COMMANDS[command], document)
        answer["moments"] = moments[0]
        os.write(answer_to, json.dumps(answer).encode())
        status = 0
    finally:
        os._exit(status)


def _start_supervisor() -> None:
    from tests.agent.sandbox_supervisor import supervise

    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.close(reading)
            supervise(APP, writing)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1), "the supervisor ended"
    os.close(reading)


def _reaped(child: int) -> int:
    """The exit status of a child; whoever else became ours, as orphans do, is seen off on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _end_all() -> None:
    """All processes but this one, which is the first of its namespace."""
    assert os.getpid() == 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _prepare(bundle: str) -> None:
    """Load the agent from its bundle, and have it live in the folder."""
    sys.path.insert(0, bundle)
    for name in zipfile.ZipFile(bundle).namelist():
        if name.startswith("slipway_agent/"):
            importlib.import_module(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    importlib.import_module("slipway_agent.paths").ROOT = ROOT  # type: ignore[attr-defined]
    importlib.import_module("slipway_agent.units").install = lambda **_: False  # type: ignore[attr-defined]
    pwd.getpwnam = _user
    gc.freeze()


def _user(name: str) -> pwd.struct_passwd:
    number = _USERS[name]
    return pwd.struct_passwd((name, "x", number, number, "Slipway sandbox", "/", "/usr/sbin/nologin"))


def main() -> None:
    _prepare(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_ACTIONS[request.pop("do")](**request)), flush=True)


if __name__ == "__main__":
    main()
