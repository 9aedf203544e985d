"""For tests of a cloud's stand-in with the real engine and machines: a stack in an account of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import paramiko

from .cloud_probes import account_in, shell
from .clouds import engines, inventory, machines, network
from .clouds.account import VARIABLE, Account
from .clouds.machines import Machine
from .engine import Engine

WAIT_FOR_USER_DATA = "cloud-init status --wait >/dev/null"
ROOT = Path(__file__).parents[2]


class CloudStack:
    """One stack whose program reads its wishes from the stack's configuration."""

    def __init__(self, engine: Engine, account: Account, program: str) -> None:
        self.engine = engine
        self.account = account
        self.login = paramiko.ECDSAKey.generate()
        key = f"{self.login.get_name()} {self.login.get_base64()} somebody@home"
        self.project = engine.project(program, config={"key": key})

    def enter(self, token_variable: str) -> None:
        """From now on there are an account and a token."""
        self.engine.env |= {VARIABLE: str(self.account.folder), token_variable: "a token"}

    def set(self, **wishes: str) -> None:
        """What the program is to make."""
        pairs = [word for name, value in wishes.items() for word in ("--plaintext", f"{name}={value}")]
        self.engine.pulumi("config", "set-all", *pairs, "--stack", self.engine.stack, project=self.project)

    def run(self, *words: str, check: bool = True) -> str:
        """`pulumi up`, `refresh` or `destroy`, and what it printed."""
        done = self.engine.pulumi(
            *words, "--yes", "--skip-preview", "--stack", self.engine.stack, project=self.project, check=False
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    @property
    def outputs(self) -> dict[str, Any]:
        """What the program exports."""
        return self.engine.outputs()

    def secret(self, name: str) -> str:
        """An exported secret."""
        shown = self.engine.pulumi("stack", "output", "--json", "--show-secrets", "--stack", self.engine.stack,
                                   project=self.project).stdout  # fmt: skip
        return str(json.loads(shown)[name])

    def names(self) -> set[str]:
        """The names of all resources in the state."""
        return {entry["urn"].rsplit("::", 1)[1] for entry in self.engine.resources()}

    def machine(self, output: str) -> Machine:
        """The machine of the thing whose id is exported so."""
        machine = machines.get(self.account, inventory.machine_of(self.account, str(self.outputs[output])))
        assert machine is not None
        return machine

    def delete_behind_pulumis_back(self, output: str) -> None:
        """By the command for people."""
        command = [sys.executable, "-m", "tests.rig.clouds", "delete", str(self.outputs[output])]
        subprocess.run(command, cwd=ROOT, env=self.engine.environment(), check=True, capture_output=True)

    def as_root(self, address: str, command: str) -> str:
        """What a command prints on the machine at this address, whoever that is."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - a machine of this test
        client.connect(address, username="root", pkey=self.login, timeout=10, look_for_keys=False, allow_agent=False)
        with client:
            return client.exec_command(command)[1].read().decode().strip()

    def fetch(self, output: str, url: str, method: str = "GET", **headers: str) -> str:
        """What a page says to the machine of the thing whose id is exported so."""
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        program = f"""
import urllib.request as web
print(web.urlopen(web.Request({url!r}, headers={wanted!r}, method={method!r}), timeout=5).read().decode())
"""
        return shell(self.account, self.machine(output), f"python3 -c {shlex.quote(program)}").strip()

    @cached_property
    def client(self) -> Machine:
        """A machine that is not the stack's, with the clients of the databases' engines."""
        return machines.create(self.account, cloud="ec2", packages=engines.packages())

    @cached_property
    def client_address(self) -> str:
        """Its public address."""
        address = network.reserve(self.account)
        network.assign(self.account, address, self.client.name)
        return address

    def ask(self, url: str, ca: str, sql: str = "") -> str:
        """What a database answers to the client, which insists on TLS by this CA; refusals included."""
        shell(self.account, self.client, "cat > /root/ca.pem", ca)
        command = f"psql --no-psqlrc -At -c {shlex.quote(sql)} {shlex.quote(url)}"
        return shell(self.account, self.client, f"PGCONNECT_TIMEOUT=3 {command} 2>&1 || true").strip()


@contextmanager
def cloud_stack(engine: Engine, folder: Path, program: str) -> Iterator[CloudStack]:
    """A stack that has not been brought up; at the end, its account is empty."""
    with account_in(folder / "account") as account:
        yield CloudStack(engine, account, program)
