"""The yardstick: the same app on the same server, released as tutorials do it, by one script over one ssh connection.

Copy the source, stop, migrate, start. Nothing is installed, since nothing new is needed: that is in its favour.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.project import BenchError
from bench.speed_app import SpeedApp

_HOME = "/home/admin/plain"

_SUPERVISOR = """\
[program:plain]
command={venv}/bin/gunicorn --workers 3 --worker-class gthread --threads 4 --bind 127.0.0.1:8000 app:app
directory=/home/admin/plain/code
user=admin
environment=HOME="/home/admin",USER="admin",DATABASE_URL="sqlite:////home/admin/plain/app.db"
redirect_stderr=true
stdout_logfile=/home/admin/plain/log
"""

# Says when it stopped serving, and when the new text was there; from then on nobody would wait any more.
_SCRIPT = """\
set -e
tar -xzf - -C /home/admin/plain/code
sudo supervisorctl stop plain >&2
date +%s.%N
cd /home/admin/plain/code
DATABASE_URL=sqlite:////home/admin/plain/app.db {venv}/bin/flask db upgrade >&2
sudo supervisorctl start plain >&2
asked() {{ exec 3<>/dev/tcp/127.0.0.1/8000 && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && grep -q {text} <&3; }}
until (asked) 2>/dev/null; do sleep 0.02; done
date +%s.%N
"""


class PlainWay:
    """An installation of the app beside Slipway's, with a key of its own to log in by."""

    def __init__(self, folder: Path, app: SpeedApp) -> None:
        self._folder = folder
        self._app = app
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)

    @property
    def public_key(self) -> str:
        """Whom the server is to let in as ``admin``."""
        return (self._folder / "key.pub").read_text().strip()

    def set_up(self, host: Mapping[str, Any], as_root: Callable[[str], str]) -> None:
        """Install it: with the environment of Slipway's release, which is the same."""
        self._address = str(host["address"])
        (self._folder / "known_hosts").write_text(f"{self._address} {host['host_key']}\n")
        # of its own to read: the app's folder is closed to others
        self._venv = as_root(f"readlink -f /srv/{self._app.name}/live/venv").strip()
        as_root(f"install -d -o admin -g admin {_HOME} {_HOME}/code")
        conf = _SUPERVISOR.format(venv=self._venv)
        as_root(f"cat > /etc/supervisor/conf.d/plain.conf <<'END'\n{conf}END\nsupervisorctl update >/dev/null")

    def release(self) -> dict[str, float]:
        """Change the code and bring the change live: seconds in all, until it was live, and without service."""
        self._app.change()
        source = self._packed()
        script = _SCRIPT.format(venv=self._venv, text=self._app.text)
        began = time.time()
        done = subprocess.run(
            [*self._ssh(), f"bash -c {shlex.quote(script)}"],
            input=source,
            capture_output=True,
            timeout=120,
            check=False,
        )
        ended = time.time()
        if done.returncode != 0:
            raise BenchError(f"the plain way failed:\n{done.stderr.decode()}")
        stopped, live = (float(line) for line in done.stdout.decode().split())
        return {"whole": ended - began, "live after": live - began, "without service": live - stopped}

    def _packed(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.add(self._app.folder, ".")
        return buffer.getvalue()

    def _ssh(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self._folder / "known_hosts"),
            "GlobalKnownHostsFile": os.devnull,
        }
        given = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
        return ["ssh", "-F", os.devnull, "-i", str(self._folder / "key"), *given, f"admin@{self._address}"]
