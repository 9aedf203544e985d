"""`python -m pulumi_slipway.push`: brings a file to a server, then runs a command of the agent, over one connection.

It stands in for pulumi-command's CopyToRemote followed by a remote Command, because a release is *one* thing: two
resources would leave the state half new when the second fails, so that reverting the source were not "no change".
Besides, that is one connection less, the handshake is bounded, and a wrong host key ends it at once.

One JSON document on stdin (it holds secrets): `{"host": Host, "private_key": …, "file": {"content": …, "path": …},
"subcommand": …, "document": {…}}`. `file.content` names an archive in this machine's cache, `file.path` its place on
the server, `file.unless` a file on the server whose being there says that the archive is not needed: a release that is
kept there comes back without an upload. Who asks for it, and of which commit it is, is added to the document here,
since it is no input that a change of would mean anything. The agent's progress goes to stderr, its answer to stdout;
exit status 1 when it failed.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from .app.archive import cached_archive, file_digest
from .app.origin import message
from .leave import leave
from .places import AGENT
from .ssh import Connection, Result, SshError, connect, say

LIMIT = 3600.0
"""Seconds for the agent's command; it has limits of its own for each part, which are told better."""

_KEPT, _THERE, _NOTHING = "kept", "there", "nothing"
"""What the server may have: the release itself, its archive, neither."""


def main() -> int:
    request = json.load(sys.stdin)
    host = request["host"]
    try:
        with connect(
            host["address"], host["port"], host["user"], request["private_key"], [host["host_key"]]
        ) as connection:
            result = _ask(connection, request)
    except (SshError, FileNotFoundError) as error:
        say(f"error: {error}")
        return 1
    if result.status == 0:
        print(result.stdout.strip())
    return 1 if result.status else 0


def _ask(connection: Connection, request: Mapping[str, Any], trusting: bool = True) -> Result:
    """Has the agent do it; once more, with an upload, where it finds that what seemed to be there is not whole.

    One command: the server says what it has, takes the archive from stdin if it has nothing, and goes on as the agent,
    which reads the rest. Each round trip costs as much as a small archive.
    """
    file = request["file"]
    archive = cached_archive(file["content"])
    document = request["document"] | {
        "archive": {"path": file["path"], "sha256": file_digest(archive), "content": file["content"]},
        "message": message(file["content"]),
    }
    size = archive.stat().st_size
    had = ""

    def answer(told: str) -> bytes:
        nonlocal had
        had = told
        if told != _NOTHING:
            return json.dumps(document).encode()
        say(f"uploading {size / 1024:.0f} KiB")
        return archive.read_bytes() + json.dumps(document).encode()

    command = script(file["path"], size, file["unless"] if trusting else None, request["subcommand"])
    result = connection.run(command, answer, timeout=LIMIT, progress=say)
    return _ask(connection, request, trusting=False) if had == _KEPT and _lacks_upload(result) else result


def script(path: str, size: int, unless: str | None, subcommand: str) -> str:
    """What the server runs: it says whether it has the archive (or what it is for, if `unless` is there) or nothing,
    reads the archive in that case, and becomes the agent, which checks what it then takes.

    The archive comes under another name first, so that half of one is never taken for whole.
    """
    kept = f"[ -e {shlex.quote(unless)} ]" if unless else "false"
    place, part, folder = (shlex.quote(text) for text in (path, f"{path}.part", path.rpartition("/")[0]))
    return f"""\
if {kept}; then echo {_KEPT}
elif [ "$(stat -c %s {place} 2>/dev/null)" = {size} ]; then echo {_THERE}
else
  echo {_NOTHING}
  (umask 077; mkdir -p {folder} && head -c {size} > {part} &&
    [ "$(stat -c %s {part})" = {size} ] && mv {part} {place}) || exit 1
fi
exec sudo -n {AGENT} {subcommand}"""


def _lacks_upload(result: Result) -> bool:
    try:
        return result.status != 0 and json.loads(result.stdout).get("code") == "upload"
    except ValueError:
        return False


if __name__ == "__main__":
    leave(main())
