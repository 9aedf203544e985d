"""Root on a machine that somebody has: by sudo, whose password goes over stdin, and only to a sudo that asks for it.

The agent is brought along each time, so that it need not be on the machine yet, nor be of this version.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .adopt_probe import Probe, UnsupportedError, check_python
from .agent_bundle import agent_bundle_document
from .ssh import Connection, Result, SshError, say

_MARK = "slipway-begins"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A sudo that turned out not to ask leaves its password on stdin: everything up to the mark is thrown away.
_WRAPPER = (
    f'while IFS= read -r line; do [ "$line" = {_MARK} ] || continue; umask 022; '
    f'export PATH={_PATH} LC_ALL=C.UTF-8; exec "$@"; done; exit 97'
)
_BRING = """\
set -eu
folder=$(mktemp -d /run/slipway-adopt.XXXXXXXX)
base64 -d > "$folder/agent.pyz"
echo "$folder"
"""
# The packages of before go first: with Python there come some, and nothing else can write them down without it.
_PYTHON = """\
set -eu
[ ! -x /usr/bin/python3 ] || exit 0
export DEBIAN_FRONTEND=noninteractive
before=/var/lib/slipway/packages-before
mkdir -p /var/lib/slipway
if [ ! -e "$before" ]; then
    dpkg-query --show --showformat='${db:Status-Abbrev} ${binary:Package}\\n' > "$before.new"
    mv "$before.new" "$before"
fi
echo "installing Python" >&2
for pause in 2 5 15 0; do
    { apt-get -qq update && apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends python3; } >&2 \
        && exit 0
    sleep "$pause"
done
exit 1
"""
# What a refused, or ended, stay leaves: nothing. A machine that is in use keeps its locks.
_CLEAN = """\
rm -rf "$1"
[ ! -e /usr/local/lib/slipway/agent ] || exit 0
rm -rf /run/slipway-agent
[ ! -e /var/lib/slipway/adopted.json ] || exit 0
rm -f /var/lib/slipway/packages-before /var/lib/slipway/journal.jsonl
rmdir /var/lib/slipway 2>/dev/null || true
"""
_VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])'


class AgentFailedError(Exception):
    """A step on the machine failed; it said why while it ran, and the message repeats it."""


@dataclass(frozen=True)
class Root:
    """How commands are run as root over a connection."""

    connection: Connection
    sudo: Sequence[str]
    """What stands before a command; nothing for root itself."""
    password: str
    """Of the user, for sudo; empty where it asks for none."""

    def run(self, command: Sequence[str], stdin: str = "", timeout: float = 60.0, aloud: bool = False) -> Result:
        """Raises `SshError` when the connection is lost or the time is up; what goes on on the machine goes on."""
        words = [*self.sudo, "/bin/sh", "-c", _WRAPPER, "sh", *command]
        password = f"{self.password}\n" if self.password else ""
        return self.connection.run(
            shlex.join(words), f"{password}{_MARK}\n{stdin}", timeout=timeout, progress=say if aloud else None
        )

    def shell(self, script: str, *arguments: str, stdin: str = "", timeout: float = 60.0, aloud: bool = False) -> str:
        """What the script prints; raises `AgentFailedError` when it fails."""
        result = self.run(["/bin/sh", "-c", script, "sh", *arguments], stdin, timeout, aloud)
        if result.status != 0:
            raise AgentFailedError(result.stderr.strip() or f"exit status {result.status}")
        return result.stdout


@dataclass(frozen=True)
class Agent:
    """The agent of this package on the machine, for the time of one connection."""

    root: Root
    place: str

    def __call__(self, subcommand: str, document: Mapping[str, Any], timeout: float = 120.0) -> dict[str, Any]:
        """Its answer; raises `AgentFailedError` with the reason, which it has also said."""
        command = ["/usr/bin/python3", "-I", f"{self.place}/agent.pyz", subcommand]
        result = self.root.run(command, json.dumps(document), timeout, aloud=True)
        try:
            answer: dict[str, Any] = json.loads(result.stdout)
        except ValueError:
            raise AgentFailedError(result.stderr.strip() or f"exit status {result.status}") from None
        if not answer["ok"]:
            raise AgentFailedError(answer["error"])
        return answer


def become_root(connection: Connection, probe: Probe, user: str, password: str) -> Root:
    """Raises `UnsupportedError` when `user` is not root and may not become so."""
    if probe.uid == 0:
        return Root(connection, [], "")
    unasked = connection.run("sudo -n true", timeout=30)
    if unasked.status == 0:
        return Root(connection, ["sudo", "-n", "--"], "")
    if not password:
        said = unasked.stderr.strip()
        raise UnsupportedError(
            f"sudo does not let {user} become root without a password ({said}): set sudo_password (as a secret), or a "
            f"rule without one on the machine: {user} ALL=(ALL:ALL) NOPASSWD: ALL"
        )
    # by itself first: what comes after a wrong password would be read as the next try
    answer = connection.run("sudo -S -p '' true", stdin=f"{password}\n", timeout=30)
    if answer.status != 0:
        reason = answer.stderr.strip().replace(password, "(hidden)").splitlines()
        raise UnsupportedError(
            f"sudo_password: (hidden) does not make {user} root ({'; '.join(reason[-2:])}): check the password, and "
            f"that {user} may use sudo"
        )
    return Root(connection, ["sudo", "-S", "-p", "", "--"], password)


@contextmanager
def brought(root: Root, timeout: float) -> Iterator[Agent]:
    """The agent on the machine, in a folder that goes with the connection."""
    root.shell(_PYTHON, timeout=timeout, aloud=True)
    check_python(root.run(["/usr/bin/python3", "-I", "-c", _VERSION]).stdout.strip())
    place = root.shell(_BRING, stdin=agent_bundle_document()["pyz"]).strip()
    try:
        yield Agent(root, place)
    finally:
        with suppress(SshError, AgentFailedError):
            root.shell(_CLEAN, place)
