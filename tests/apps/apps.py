"""The applications of the table: each in the layout that its kind usually has, with what shows that it works."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.checkout import PROJECT, Visitor
from tests.machines import Machine
from tools import uv

TREES = Path(__file__).parent / "trees"
MARK = 'data-marker="one"'


@dataclass(frozen=True)
class Running:
    """An app of the table as its visitors and its owner see it."""

    url: str
    certificate: Path
    machine: Machine

    def visitor(self) -> Visitor:
        return Visitor(self.url, self.certificate)


@dataclass(frozen=True)
class App:
    """One row."""

    name: str
    reason: str
    """A pattern of what the preview says of how it was understood."""
    marked: str
    """The file that says `data-marker="one"`, for a release to change."""
    page: str
    """What its first page says."""
    works: Callable[[Running], None]
    """What visitors do with it; raises `AssertionError`."""
    remains: str = ""
    """What of that is still on its first page after a release."""
    path: str = "."
    """The app's folder in the tree."""
    lock: Callable[[Path], None] | None = None
    """Makes its lock file, as its manager does."""
    refused: tuple[str, ...] = ()
    """What the first preview says of why it cannot be, with what to set."""
    then: dict[str, Any] = field(default_factory=dict)
    """What is set then."""

    def __str__(self) -> str:
        return self.name

    def copy_to(self, folder: Path) -> Path:
        """A repository of its own with the app in it; the folder to name as its path."""
        source = PROJECT / "examples" / self.name if self.name == "guestbook" else TREES / self.name
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if self.lock is not None:
            self.lock(folder)
        marked = folder / self.marked
        text = marked.read_text()
        if MARK not in text:
            marked.write_text(text.replace("<body", f"<body {MARK}"))
        git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "the first commit"]):
            subprocess.run([*git, *command], check=True, timeout=60)
        return folder / self.path


# ------------------------------------------------------------------------------------------------------ lock files


def uv_lock(folder: Path) -> None:
    _run([str(uv.find()), "lock", "--quiet"], folder)


def poetry_lock(folder: Path) -> None:
    """By Poetry itself, which has to be told of the index that uv goes to; the lock is then as without."""
    project = folder / "pyproject.toml"
    before = project.read_text()
    uv_lock(folder)
    lock = folder / "uv.lock"
    index = re.search(r'registry = "([^"]+)"', lock.read_text())
    lock.unlink()
    assert index
    source = f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{index[1]}/"\npriority = "primary"\n'
    project.write_text(before + source)
    _run([str(uv.find()), "tool", "run", "--quiet", "--from", "poetry>=2,<3", "poetry", "lock"], folder)
    project.write_text(before)
    made = folder / "poetry.lock"
    made.write_text(re.sub(r"\n\[package\.source\]\n(?:\S.*\n)+", "", made.read_text()))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr


# -------------------------------------------------------------------------------------------- what visitors do


def serves(running: Running) -> None:
    assert running.visitor().get().status == 200


def guestbook_works(running: Running) -> None:
    running.visitor().sign("Ada", "still here")


def flaskr_works(running: Running) -> None:
    assert running.visitor().get("/create", {"body": "still here"}).status == 200
    kept = running.machine.root_shell("ls /srv/flaskr/shared/instance")
    assert "flaskr.sqlite" in kept


def django_works(running: Running) -> None:
    visitor = running.visitor()
    page = visitor.get().text
    assert 'data-debug="False"' in page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    note = {"csrfmiddlewaretoken": token[1], "text": "still here", "author": "Ada"}
    assert "still here (Ada)" in visitor.get("/", note).text
    sheet = re.search(r'href="(/static/board/board\.[0-9a-f]{12}\.css)"', page)
    assert sheet, page
    answer = visitor.get(sheet[1])
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]


def workspace_works(running: Running) -> None:
    assert asyncio.run(_echo(running, "ahoy")) == "echo: ahoy"


async def _echo(running: Running, text: str) -> str:
    """What the app answers on its websocket."""
    trust = ssl.create_default_context(cafile=str(running.certificate))
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.ws_connect(f"{running.url.rstrip('/')}/echo", ssl=trust) as socket,
    ):
        await socket.send_str(text)
        return await socket.receive_str(timeout=10)


def procfile_works(running: Running) -> None:
    visitor = running.visitor()
    assert 'data-debug="False"' in visitor.get().text  # .flaskenv says FLASK_DEBUG=1
    visitor.get("/", {"name": "still here"})
    _until(lambda: "still here is done" in visitor.get().text)
    units = running.machine.root_shell("systemctl list-timers --all --no-legend --plain").splitlines()
    tick = next(line.split()[-1] for line in units if "tick" in line)
    running.machine.root_shell(f"systemctl start {tick}", timeout=120)
    assert "tick: tick" in visitor.get().text
    assert b"Auftr" in _in_german(running)


def _in_german(running: Running) -> bytes:
    command = ["curl", "-sS", "--cacert", str(running.certificate), "-H", "Accept-Language: de", running.url]
    return subprocess.run(command, capture_output=True, timeout=30, check=True).stdout


def pins_works(running: Running) -> None:
    found = running.machine.root_shell("ls /srv/pins/live/venv/lib/python3.11/site-packages")
    assert "greenlet-2.0.2.dist-info" in found


def nothing_of_development(running: Running) -> None:
    """What only its developers need is not on the server."""
    found = running.machine.root_shell("ls -d /srv/*/venvs/*/lib/python3*/site-packages/pytest 2>/dev/null || true")
    assert found == ""


def _until(holds: Callable[[], bool], within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


APPS = (
    App(
        "guestbook",
        reason=r"Flask: .*guestbook:create_app\(\)",
        marked="guestbook/templates/base.html",
        page="The harbour guestbook",
        works=guestbook_works,
        remains="still here",
    ),
    App(
        "flaskr",
        reason=r"Flask: .*flaskr:create_app\(\)",
        marked="flaskr/templates/index.html",
        page="Flaskr",
        works=flaskr_works,
        remains="still here",
    ),
    App(
        "django",
        reason=r"Django: manage\.py, settings in mysite\.settings\.production, WSGI mysite\.wsgi",
        marked="board/templates/board/index.html",
        page="Board",
        works=django_works,
        remains="still here (Ada)",
    ),
    App(
        "workspace",
        reason=r"FastAPI: .*app\.main:app",
        marked="backend/app/main.py",
        page="hello, you",
        works=workspace_works,
        path="backend",
        lock=uv_lock,
    ),
    App(
        "procfile",
        reason=r"Procfile: .*jobs:app",
        marked="app/templates/index.html",
        page="Jobs",
        works=procfile_works,
        remains="still here is done",
    ),
    App(
        "pins",
        reason=r"Flask: .*app:app",
        marked="app.py",
        page="greenlet 2.0.2, multidict 6.0.4",
        works=pins_works,
        refused=("greenlet", "multidict", "Debian 12"),
        then={"local": {"debian": 12}},
    ),
    App(
        "uvlock",
        reason=r"Flask: .*main:app",
        marked="main.py",
        page="<em>open</em>",
        works=nothing_of_development,
        lock=uv_lock,
    ),
    App(
        "poetry",
        reason=r"Flask: .*shop:create_app\(\)",
        marked="shop/__init__.py",
        page="<em>open</em>",
        works=nothing_of_development,
        lock=poetry_lock,
    ),
    App("nested", reason=r"Flask: .*wsgi:app", marked="wsgi.py", page="nested", works=serves),
)
