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
import sys
from collections.abc import Mapping
from typing import Any

import paramiko

from .app.archive import cached_archive, file_digest
from .app.origin import message
from .places import AGENT
from .ssh import Connection, Result, SshError, connect, say

LIMIT = 3600.0
"""Seconds for the agent's command; it has limits of its own for each part, which are told better."""


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
    """Has the agent do it; once more, with an upload, where it finds that what seemed to be there is not whole."""
    file = request["file"]
    brought = _bring(connection, file, trusting)
    archive = cached_archive(file["content"])
    document = request["document"] | {
        "archive": {"path": file["path"], "sha256": file_digest(archive), "content": file["content"]},
        "message": message(file["content"]),
    }
    result = connection.run(
        f"sudo -n {AGENT} {request['subcommand']}", json.dumps(document), timeout=LIMIT, progress=say
    )
    return result if brought or not _lacks_upload(result) else _ask(connection, request, trusting=False)


def _lacks_upload(result: Result) -> bool:
    try:
        return result.status != 0 and json.loads(result.stdout).get("code") == "upload"
    except ValueError:
        return False


def _bring(connection: Connection, file: Mapping[str, str], trusting: bool) -> bool:
    """Has the archive on the server, whose agent checks what it then takes; False: what it is for seems to be there."""
    archive = cached_archive(file["content"])
    size = archive.stat().st_size
    with connection.sftp() as sftp:
        if trusting and _size(sftp, file["unless"]) is not None:
            return False
        if _size(sftp, file["path"]) != size:
            say(f"uploading {size / 1024:.0f} KiB")
            folder, _, _ = file["path"].rpartition("/")
            if _size(sftp, folder) is None:
                sftp.mkdir(folder, 0o700)
            sftp.put(str(archive), f"{file['path']}.part")
            sftp.posix_rename(f"{file['path']}.part", file["path"])
    return True


def _size(sftp: paramiko.SFTPClient, path: str) -> int | None:
    """Bytes of a file on the server; None when it is not there, or not ours to look at."""
    try:
        return sftp.stat(path).st_size or 0
    except (FileNotFoundError, PermissionError):
        return None


if __name__ == "__main__":
    sys.exit(main())
