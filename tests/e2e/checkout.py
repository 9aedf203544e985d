"""A fresh checkout of this project, used as its users do: by `make`, by Pulumi, by a browser's requests."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.machines import Machine, driver

PROJECT = Path(__file__).parents[2]
GUESTBOOK = Path("examples/guestbook/guestbook")


@dataclass(frozen=True)
class Answer:
    """What a page answered."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


class Checkout:
    """A clone in `folder` with a stack of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copy_of_project()
        self._environment: dict[str, str] | None = None
        self._machine: Machine | None = None

    def _copy_of_project(self) -> None:
        """What git would commit, as it is now, committed in a repository of its own."""
        listing = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, capture_output=True, check=True, timeout=60).stdout.decode().split("\0")
        for name in filter(None, names):
            source, target = PROJECT / name, self.folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "as it is")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    # -------------------------------------------------------------------------------------------- make and Pulumi

    def make(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """`make …` as a user would call it, without anything of the Pulumi that runs the tests."""
        return self._run(["make", "-s", *arguments], user_environment(), check, timeout)

    def pulumi(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """`pulumi …` after `eval "$(make -s env)"`."""
        return self._run(["pulumi", *arguments], self.environment, check, timeout)

    @property
    def environment(self) -> dict[str, str]:
        if self._environment is None:
            command = ["bash", "-c", 'eval "$(make -s env)"; env -0']
            printed = self._run(command, user_environment(), True, 120).stdout
            self._environment = dict(line.split("=", 1) for line in printed.split("\0") if "=" in line)
        return self._environment

    def set_secret(self, variable: str, value: str) -> None:
        """Gives the app a variable as a user gives a secret one."""
        self.pulumi("config", "set", "--secret", "--path", f"slipway:environment.{variable}", value, "--stack", "dev")

    def _run(
        self, command: list[str], environment: dict[str, str], check: bool, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check:
            assert done.returncode == 0, (
                f"`{' '.join(command)}` exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def up(self) -> str:
        """`pulumi up` without questions; returns all it printed."""
        done = self.pulumi("up", "--yes", "--skip-preview", "--stack", "dev")
        return done.stdout + done.stderr

    def failing_up(self) -> str:
        """The same for an `up` that has to fail."""
        done = self.pulumi("up", "--yes", "--skip-preview", "--stack", "dev", check=False)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def changes(self) -> dict[str, int]:
        """How many resources a preview would change, by kind; empty: none."""
        printed = self.pulumi("preview", "--json", "--stack", "dev").stdout
        summary = json.loads(printed)["changeSummary"]
        return {kind: count for kind, count in summary.items() if kind != "same"}

    @contextmanager
    def starting_up(self) -> Iterator[subprocess.Popen[str]]:
        """An `up` in a session of its own, to be killed by its caller; all of it is gone at the end."""
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--stack", "dev"],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
            assert process.stdout
            process.stdout.close()

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", "--stack", "dev").stdout)
        return outputs

    def state_resources(self) -> list[dict[str, Any]]:
        # in clear, as a secret that did not change is encrypted anew each time
        deployment = json.loads(self.pulumi("stack", "export", "--show-secrets", "--stack", "dev").stdout)["deployment"]
        resources: list[dict[str, Any]] = deployment.get("resources") or []
        return resources

    # --------------------------------------------------------------------------------------------------- the site

    @property
    def url(self) -> str:
        return self.make("url").stdout.strip()

    @property
    def certificate(self) -> Path:
        return Path(self.make("cert").stdout.strip())

    def visitor(self) -> Visitor:
        return Visitor(self.url, self.certificate)

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            host = self.outputs()["host"]
            self._machine = Machine(host["name"], host["id"], host["address"], 13)
        return self._machine

    def live(self) -> str:
        """The id of the live release, as the server has it."""
        return str(self.ask_agent("observe", {"apps": ["guestbook"]})["apps"]["guestbook"]["live"])

    def ask_agent(self, subcommand: str, document: dict[str, Any]) -> dict[str, Any]:
        """Runs the agent on the server from below, as somebody with root there would."""
        printed = self.machine.root_shell(f"/usr/local/lib/slipway/agent {subcommand}", json.dumps(document), 120)
        answer: dict[str, Any] = json.loads(printed)
        return answer

    # --------------------------------------------------------------------------------------------------- the source

    def edit(self, name: str, old: str, new: str) -> None:
        """Changes a file of the guestbook (below its package)."""
        path = self.folder / GUESTBOOK / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new))

    def revert(self) -> None:
        """The source as it was committed."""
        self.git("checkout", "-q", "--", ".")
        self.git("clean", "-qfd")

    def mark(self, word: str) -> None:
        """Makes the pages say `word`."""
        self.edit("templates/base.html", "<body", f'<body data-marker="{word}"')

    def edit_migration(self, word: str) -> None:
        """Changes what the release commands depend on: else they would be skipped."""
        with (self.folder / "examples/guestbook/migrations/versions/0002_place.py").open("a") as file:
            file.write(f"# {word}\n")


class Visitor:
    """A browser that trusts one certificate and keeps its cookies."""

    def __init__(self, url: str, certificate: Path) -> None:
        self.url = url.rstrip("/")
        context = ssl.create_default_context(cafile=str(certificate))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def get(self, path: str = "/", data: dict[str, str] | None = None) -> Answer:
        body = urlencode(data).encode() if data else None
        request = urllib.request.Request(self.url + path, body, {"Referer": self.url + "/"})
        try:
            with self._opener.open(request, timeout=20) as answer:
                return Answer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), dict(error.headers))

    def sign(self, name: str, message: str) -> None:
        """Adds an entry to the guestbook, through its form."""
        form = self.get("/").text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
        assert token, "the form has no CSRF token"
        fields = {"csrf_token": html.unescape(token[1]), "name": name, "place": "", "message": message}
        answer = self.get("/", fields)
        assert answer.status == 200, answer
        assert message in answer.text

    def wait_until_it_answers(self, timeout: float = 60) -> float:
        """Seconds until the front page answered 200."""
        begin = time.monotonic()
        while True:
            try:
                if self.get("/").status == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            assert time.monotonic() - begin < timeout, f"{self.url} did not answer within {timeout} s"
            time.sleep(0.05)


@contextmanager
def checkout(folder: Path) -> Iterator[Checkout]:
    """A fresh checkout; at its end everything its stack made is gone, whatever happened in between."""
    made = Checkout(folder)
    try:
        yield made
    finally:
        names = _machine_names(folder)
        made.make("down", check=False)
        for name in names:
            driver("remove", name)


def _machine_names(folder: Path) -> set[str]:
    """The names of the machines in the state file, which is there also when Pulumi itself does not work any more."""
    state = folder / ".slipway" / "state" / ".pulumi" / "stacks" / "slipway" / "dev.json"
    if not state.exists():
        return set()
    return set(re.findall(r"slipway\.local remove [^\"]*?([a-z0-9-]+)\"", state.read_text()))


def user_environment() -> dict[str, str]:
    """The environment of a user's shell: nothing of the Pulumi, virtual environment or pytest around the tests."""
    dropped = ("PULUMI_", "SLIPWAY_STACK", "VIRTUAL_ENV", "PYTEST_", "PYTHONPATH", "UV_PROJECT", "MAKE", "MFLAGS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    own = (str(PROJECT / ".slipway"), str(PROJECT / ".venv"))
    kept["PATH"] = ":".join(part for part in kept["PATH"].split(":") if not part.startswith(own))
    return kept
