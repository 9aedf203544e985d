"""The metadata service at 169.254.169.254, for the machines of an account, each in the manner of its cloud.

What it serves comes from `machines.create(metadata={…})`; all keys are optional:

`instance_id`, `hostname`, `region`, `key_name` (EC2), `image`, `type`, `tags` (list), `label` (Linode),
`http_tokens` (required | optional; EC2, Lightsail), `http_put_response_hop_limit` and `http_endpoint` (enabled |
disabled). User data, public keys and addresses are the machine's own.

One process an account: started with the first machine, ended with the last. It listens on the host's address on the
machines' bridge, where the account's rules lead what its machines send to 169.254.169.254; the host itself keeps
whatever it has at that address (its own cloud's, where it is a cloud's machine). It knows a machine by its address.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Final

from . import host
from .account import Account, CloudError
from .metadata_server import CLOUDS, handler

__all__ = ["CLOUDS", "end_without_machines", "ensure"]

_START_TIMEOUT: Final = 15.0  # seconds
_END_TIMEOUT: Final = 5.0
_GRACE: Final = 30.0  # seconds in which a new process has to be written down in the account


def ensure(account: Account) -> None:
    """Have the account's process run. To be called with a machine in the account and `network` known."""
    with account.locked("metadata"):
        data = account.read()
        gateway = data["network"]["gateway"]
        known = data.get("metadata") or {}
        if known and host.started(known["process"]) == known["started"] and known["gateway"] == gateway:
            return
        _end(account)
        command = [sys.executable, "-m", "tests.rig.clouds.metadata", str(account.folder), gateway]
        with (account.folder / "metadata.log").open("a") as log:
            # It detaches itself, and the first process ends: nobody is left with a child to wait for
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=host.ROOT,
                                  timeout=_START_TIMEOUT, check=False, text=True)  # fmt: skip
        if done.returncode:
            raise CloudError(f"the metadata service did not start; its words are in {log.name}")
        with account.change() as data:
            data["metadata"] = json.loads(done.stdout)


def end_without_machines(account: Account) -> None:
    """End the account's process unless there is a machine."""
    with account.locked("metadata"):
        if not account.read()["machines"]:
            _end(account)


def _end(account: Account) -> None:
    known = account.read().get("metadata")
    if not known:
        return
    for number, patience in ((signal.SIGTERM, _END_TIMEOUT), (signal.SIGKILL, _END_TIMEOUT)):
        if host.started(known["process"]) != known["started"]:
            break
        os.kill(known["process"], number)
        deadline = time.monotonic() + patience
        while host.started(known["process"]) == known["started"] and time.monotonic() < deadline:
            time.sleep(0.01)
    with account.change() as data:
        data.pop("metadata", None)


def main(folder: str, gateway: str) -> None:
    """Serve until ended; the first process prints the server's id, start and port, and leaves."""
    account = Account.at(Path(folder))
    server = ThreadingHTTPServer((gateway, 0), handler(account))
    server.daemon_threads = True
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.read(told, 1)  # it has left our session
        answer = {"process": child, "started": host.started(child), "gateway": gateway, "port": server.server_port}
        print(json.dumps(answer), flush=True)
        os._exit(0)
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nothing, standard)
    os.write(tell, b".")
    threading.Thread(target=_leave_in_time, args=(account,), daemon=True).start()
    server.serve_forever()


def _leave_in_time(account: Account) -> None:
    """End this process when its account is gone, or knows nothing of it."""
    begun = time.monotonic()
    while True:
        time.sleep(2)
        try:
            known = account.read().get("metadata") or {}
        except FileNotFoundError:
            os._exit(0)
        if known.get("process") != os.getpid() and time.monotonic() - begun > _GRACE:
            os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
