"""`python -m pulumi_slipway.push`: brings a file to a server, then runs a command of the agent, over one connection.

It stands in for pulumi-command's CopyToRemote followed by a remote Command, because a release is *one* thing: two
resources would leave the state half new when the second fails, so that reverting the source were not "no change".
Besides, that is one connection less, the handshake is bounded, and a wrong host key ends it at once.

One JSON document on stdin (it holds secrets): `{"host": Host, "private_key": …, "file": {"content": …, "path": …},
"subcommand": …, "document": {…}}`. `file.content` names an archive in this machine's cache, `file.path` its place on
the server. The agent's progress goes to stderr, its answer to stdout; exit status 1 when it failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import paramiko

from .app.archive import cached_archive, file_digest
from .places import AGENT
from .ssh import Connection, SshError, connect, say

LIMIT = 3600.0
"""Seconds for the agent's command; it has limits of its own for each part, which are told better."""


def main() -> int:
    request = json.load(sys.stdin)
    host = request["host"]
    try:
        with connect(
            host["address"], host["port"], host["user"], request["private_key"], [host["host_key"]]
        ) as connection:
            document = request["document"] | {"archive": _bring(connection, request["file"])}
            result = connection.run(
                f"sudo -n {AGENT} {request['subcommand']}", json.dumps(document), timeout=LIMIT, progress=say
            )
    except (SshError, FileNotFoundError) as error:
        say(f"error: {error}")
        return 1
    if result.status == 0:
        print(result.stdout.strip())
    return 1 if result.status else 0


def _bring(connection: Connection, file: Mapping[str, str]) -> dict[str, Any]:
    """Uploads the archive unless the server has it; the agent checks what it then takes."""
    archive = cached_archive(file["content"])
    size = archive.stat().st_size
    with connection.sftp() as sftp:
        if _size(sftp, file["path"]) != size:
            say(f"uploading {size / 1024:.0f} KiB")
            folder, _, _ = file["path"].rpartition("/")
            if _size(sftp, folder) is None:
                sftp.mkdir(folder, 0o700)
            sftp.put(str(archive), f"{file['path']}.part")
            sftp.posix_rename(f"{file['path']}.part", file["path"])
    return {"path": file["path"], "sha256": file_digest(archive)}


def _size(sftp: paramiko.SFTPClient, path: str) -> int | None:
    try:
        return sftp.stat(path).st_size or 0
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
