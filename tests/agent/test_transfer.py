"""An app's data on their way: all that makes a file is kept, and nothing that comes can lead out of its folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.agent import transfer, tree
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.tree import Entry
from tests.agent.carrying import COMPONENTS, pipe
from tests.agent.server import AGENT, AgentFailed, Server

pytestmark = pytest.mark.timeout(300)

SOURCE = {"id": "source", "name": "the-source"}

# Whatever an app, its administrator or a careless script may have left there.
FURNISH = """
import os, socket
base = b"/srv/from/shared/"
def write(name, data, mode=0o640, when=1_600_000_000_123_456_789):
    path = base + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    os.utime(path, ns=(when, when))
write(b"data/app.db", os.urandom(300_000))
write(b"data/empty", b"", 0o600)
write(b"media/a b/pict\\xfcre \\xe2\\x82\\xac\\nnew line.png", b"png", 0o444)
write(b"media/runs.sh", b"#!/bin/sh", 0o755)
write(b"media/as-root", b"set-uid", 0o4755)
write(b"media/old", b"x", 0o640, -86_400 * 10**9)
os.mkdir(base + b"media/nothing in it", 0o2770)
os.symlink("../data/app.db", base + b"media/link")
os.symlink("/nowhere/at/all", base + b"media/dangling")
os.link(base + b"data/app.db", base + b"media/same.db")
with open(base + b"data/holes", "wb") as file:
    file.truncate(3_000_000)
os.mkfifo(base + b"data/pipe")
socket.socket(socket.AF_UNIX).bind("/srv/from/shared/data/socket")
os.chmod(base + b"media", 0o1775)
os.system("chown -hR from:from /srv/from/shared; chmod 4755 /srv/from/shared/media/as-root")
os.system("chown root:www-data /srv/from/shared/media/runs.sh; chown 4711:4712 /srv/from/shared/data/empty")
os.utime(base + b"media", ns=(10**18, 10**18))
"""

LIST = """
import hashlib, os, pwd, grp, sys
base = sys.argv[1].encode()
for folder, folders, names in sorted(os.walk(base)):
    folders.sort()
    links = [name for name in folders if os.path.islink(folder + b"/" + name)]
    for path in [folder] + sorted(folder + b"/" + name for name in names + links):
        state = os.lstat(path)
        user = [e.pw_name for e in pwd.getpwall() if e.pw_uid == state.st_uid] or [state.st_uid]
        group = [e.gr_name for e in grp.getgrall() if e.gr_gid == state.st_gid] or [state.st_gid]
        what = os.readlink(path) if os.path.islink(path) else b"" if os.path.isdir(path) else None
        if what is None:
            if not os.path.isfile(path):
                continue
            what = hashlib.sha256(open(path, "rb").read()).hexdigest()
        links = 0 if os.path.isdir(path) else state.st_nlink
        print(path[len(base):], oct(state.st_mode), user[0], group[0], state.st_mtime_ns, links, what)
"""


def python(server: Server, program: str, *arguments: str) -> str:
    done = server.machine.root_run(["python3", "-c", program, *arguments], timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def furnished(server: Server) -> Iterator[dict[str, Any]]:
    """The app `from` with data of all kinds, which stands still; the request that sends them."""
    server.agent("claim", {"app": "from", "owner": "o"})
    python(server, FURNISH)
    held = server.agent("hold", {"token": "one", "to": {"id": "here", "name": "here"}})["apps"]["from"]
    yield {"app": "from", "token": "one", **held}
    server.agent("resume", {"force": True})
    server.agent("remove", {"app": "from", "owner": "o"})


@pytest.fixture
def clean(server: Server) -> Iterator[Server]:
    """The same server as the receiving side; the app is another one there, `to`."""
    server.shell("userdel -f shifted 2>/dev/null; useradd --system shifted", check=False)
    yield server
    server.shell("rm -rf /srv/.carry")
    if server.shell("cat /srv/to/claim.json", check=False):
        server.agent("remove", {"app": "to", "owner": "o"})


def announce(server: Server, sent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    request = {**sent, "app": "to", "from": SOURCE, "first": True, **changes}
    return server.agent("expect", request)


def place(server: Server, sent: dict[str, Any]) -> dict[str, Any]:
    return server.agent("place", {**sent, "app": "to", "from": SOURCE})


def carry(server: Server, sent: dict[str, Any], there: dict[str, Any]) -> tuple[str, str]:
    send = {key: sent[key] for key in ("app", "token", "manifest")}
    return pipe(
        server, server, {**send, "index": there["index"], "offset": there["offset"]}, {**send, "app": "to"}
    )  # fmt: skip


def test_owners_modes_times_links_and_odd_names_are_kept(furnished: dict[str, Any], clean: Server) -> None:
    there = announce(clean, furnished)
    sent, received = carry(clean, furnished, there)
    assert "error" not in sent + received
    place(clean, furnished)
    before, after = python(clean, LIST, "/srv/from/shared"), python(clean, LIST, "/srv/to/shared")
    expected = before.replace("0o104755", "0o100755").replace(" 4711 4712 ", " to to ")
    expected = expected.replace(" from from ", " to to ")
    assert after == expected
    assert "shifted" not in after
    assert json.loads(clean.shell("cat /srv/to/claim.json")) == {"app": "to", "owner": None}
    clean.agent("claim", {"app": "to", "owner": "o"})
    assert python(clean, LIST, "/srv/to/shared").splitlines()[1:] != []


def test_pipes_sockets_and_devices_stay_where_they_are(furnished: dict[str, Any], clean: Server) -> None:
    told = clean.run_agent("hold", {"token": "one", "to": {"id": "here", "name": "here"}}).stderr
    for name in ("pipe", "socket"):
        assert f"/srv/from/shared/data/{name} is no file, folder or link: it stays here" in told
    carry(clean, furnished, announce(clean, furnished))
    place(clean, furnished)
    assert clean.shell("find /srv/to/shared -type p -o -type s -o -type b -o -type c") == ""


def test_a_transfer_can_be_cut_anywhere(furnished: dict[str, Any], clean: Server) -> None:
    """Each time some more comes, until all is there."""
    send = {key: furnished[key] for key in ("app", "token", "manifest")}
    there = announce(clean, furnished)
    driver = [sys.executable, "-m", "pulumi_slipway.local", "exec", clean.machine.name, "--", AGENT]
    environment = {**os.environ, "PYTHONPATH": str(COMPONENTS)}
    indices = [there["index"]]
    for size in (1, 500, 4_000, 200_000, 2_000_000, 10**9):
        request = json.dumps({**send, "index": there["index"], "offset": there["offset"]}).encode()
        stream = subprocess.run([*driver, "send"], input=request, capture_output=True, env=environment, check=True)
        data = json.dumps({**send, "app": "to"}).encode() + b"\n" + stream.stdout[:size]
        done = subprocess.run([*driver, "receive"], input=data, capture_output=True, env=environment, check=False)
        assert done.returncode == (0 if size == 10**9 else 1), done.stderr
        there = announce(clean, furnished)
        indices.append(there["index"])
    assert there["state"] == "complete"
    assert indices == sorted(indices)
    assert len(set(indices)) > 3
    place(clean, furnished)
    expected = python(clean, LIST, "/srv/from/shared").replace("0o104755", "0o100755")
    expected = expected.replace(" 4711 4712 ", " to to ").replace(" from from ", " to to ")
    assert python(clean, LIST, "/srv/to/shared") == expected


def test_other_data_than_those_announced_begin_anew(furnished: dict[str, Any], clean: Server) -> None:
    carry(clean, furnished, announce(clean, furnished))
    again = announce(clean, furnished, manifest="0" * 64)
    assert (again["state"], again["index"], again["bytes"]) == ("partial", 0, 0)
    with pytest.raises(AgentFailed, match="have not come"):
        place(clean, furnished)


def test_what_came_is_only_put_in_place_as_a_whole(furnished: dict[str, Any], clean: Server) -> None:
    announce(clean, furnished)
    with pytest.raises(AgentFailed, match="have not come as a whole"):
        place(clean, furnished)
    assert clean.shell("ls -d /srv/to", check=False) == ""


# -------------------------------------------------------------------------------------------------------- what may come


def entry(path: str, kind: str = tree.FILE, **changes: Any) -> bytes:
    known = {"mode": 0o644, "owner": tree.OWN, "group": tree.OWN, "size": 0, "modified": 0, "changed": 0}
    return Entry(**{"path": path, "kind": kind, **known, **changes}).line()


ROOT = entry("", tree.FOLDER)
DIGEST = hashlib.sha256(b"evil").hexdigest().encode() + b"\n"
HOSTILE = {
    "a name above": [ROOT, entry("../evil", size=4), b"evil" + DIGEST],
    "an absolute name": [ROOT, entry("/etc/evil", size=4), b"evil" + DIGEST],
    "a name that is not short": [ROOT, entry("a/./evil", size=4), b"evil" + DIGEST],
    "a way through a link": [
        ROOT, entry("out", tree.LINK, target="/etc"), entry("out/evil", size=4), b"evil" + DIGEST,
    ],
    "a link in the place of a folder": [ROOT, entry("a", tree.LINK, target="/etc"), entry("a/evil", tree.FOLDER)],
    "a name of a file above": [ROOT, entry("evil", tree.SAME, target="../../../etc/shadow")],
    "a name of what a link leads to": [
        ROOT, entry("out", tree.LINK, target="/etc/shadow"), entry("evil", tree.SAME, target="out"),
    ],
    "a device": [ROOT, entry("evil", "device")],
    "a file in no folder": [ROOT, entry("not/there", size=4), b"evil" + DIGEST],
    "no folder at first": [entry("evil", size=4), b"evil" + DIGEST],
    "a file as the whole": [entry("", tree.FILE, size=4), b"evil" + DIGEST],
    "another content": [ROOT, entry("evil", size=4), b"good" + DIGEST],
    "no entry": [ROOT, b'{"path": "evil"}\n'],
    "an endless line": [ROOT, b"x" * 200_000],
    "more than announced": [ROOT, *(entry(f"file{number}") for number in range(20))],
    "another end": [ROOT, b"end\n"],
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_leads_out_of_the_folder_or_is_not_what_it_says_is_refused(case: str, clean: Server) -> None:
    before = clean.shell("find /etc /srv -xdev -newermt '1 hour ago' -path '*evil*'")
    sent = {"token": "one", "manifest": "0" * 64, "entries": 10, "bytes": 100, "owner": None}
    announce(clean, sent)
    stream = b"".join(HOSTILE[case])
    done = subprocess.run(
        [sys.executable, "-m", "pulumi_slipway.local", "exec", clean.machine.name, "--", AGENT, "receive"],
        input=json.dumps({"app": "to", "token": "one", "manifest": "0" * 64}).encode() + b"\n" + stream,
        capture_output=True, env={**os.environ, "PYTHONPATH": str(COMPONENTS)}, timeout=60, check=False,
    )  # fmt: skip
    told = done.stderr.decode()
    assert done.returncode == 1
    assert "failed unexpectedly" not in told
    assert "ended early" not in told, "it went through all of it"
    assert announce(clean, sent)["state"] == "partial"
    found = clean.shell("find /etc /srv -xdev -newermt '1 hour ago' -path '*evil*' -not -path '/srv/.carry/*'")
    assert found == before
    links = clean.shell("find /srv/.carry -type f -links +1")
    assert links == ""


# ----------------------------------------------------------------------------------------------------- without a server


def test_a_tree_has_another_manifest_after_any_change_that_keeps_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one")
    before = tree.extent(tmp_path, None)
    assert tree.extent(tmp_path, None) == before
    state = (tmp_path / "file").stat()
    (tmp_path / "file").write_bytes(b"two")
    os.utime(tmp_path / "file", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert tree.extent(tmp_path, None).manifest != before.manifest


def test_an_entry_says_what_it_is_and_comes_back_from_its_line(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\n\xe2\x82\xac")
    (tmp_path / name).write_bytes(b"x")
    found = list(tree.entries(tmp_path, None))
    assert [one.path for one in found] == ["", name]
    assert [Entry.read(one.line()) for one in found] == found
    assert all(one.line().count(b"\n") == 1 for one in found)


@pytest.mark.parametrize("line", [b"[]\n", b'{"path": 1}\n', b"\xff\n", b'"end"\n'])
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    with pytest.raises(AgentError, match="damaged"):
        Entry.read(line)


def test_both_ends_give_up_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "IDLE", 0.2)
    monkeypatch.setattr(transfer, "_LOOK", 0.05)
    looks: list[int] = []
    look = transfer._Every(0.0, lambda: looks.append(1))
    reading, writing = os.pipe()
    try:
        with pytest.raises(AgentError, match=r"nothing moved for"):
            transfer._Inlet(reading, look).line()
        with pytest.raises(AgentError, match=r"nothing moved for"):
            transfer._Outlet(writing, look).write(bytes(10_000_000))
        os.close(reading)
        with pytest.raises(AgentError, match="nobody reads any more"):
            transfer._Outlet(writing, look).write(b"x")
    finally:
        os.close(writing)
    assert len(looks) > 2
