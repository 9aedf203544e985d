"""A stand-in for pulumi-command 1.2.1: `local.Command`, `local.run`, `remote.Command`, `remote.CopyToRemote`."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import ClassVar, NoReturn

from . import command_local
from .provider import Call, Function, Provider, RefusedError, Resource, serve_provider
from .shapes import Input, Shape
from .values import ARCHIVE, SIGNATURE, UNKNOWN, Properties

LOGGING = Input("string", one_of=("stdout", "stderr", "stdoutAndStderr", "none"))
_PATHS = "collecting files after a command"
_LOCAL = {
    "interpreter": Input("list"),
    "dir": Input("string"),
    "environment": Input("map"),
    "stdin": Input("string"),
    "logging": LOGGING,
    "assetPaths": Input("list", refused=_PATHS),
    "archivePaths": Input("list", refused=_PATHS),
    "addPreviousOutputInEnv": Input("boolean", default=True),
}
_COMMANDS = {
    "create": Input("string"),
    "update": Input("string"),
    "delete": Input("string"),
    "triggers": Input("list"),
}
_ENDPOINT = {
    "host": Input("string", required=True),
    "user": Input("string", default="root"),
    "port": Input("integer", default=22),
    "password": Input("string"),
    "privateKey": Input("string"),
    "privateKeyPassword": Input("string"),
    "agentSocketPath": Input("string"),
    "dialErrorLimit": Input("integer", default=10),
    "perDialTimeout": Input("integer", default=15),
    "hostKey": Input("string"),
}
CONNECTION = Input("object", required=True, fields={**_ENDPOINT, "proxy": Input("object", fields=_ENDPOINT)})


class Command(Resource):
    """What both kinds of command have in common: any change runs `update`, or `create` again; triggers replace."""

    outputs = ("stdout", "stderr")
    replacing = ("triggers",)

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        state = {**inputs, "stdout": "", "stderr": ""}
        if "create" in inputs:
            state |= self.run(inputs["create"], state, call)
        return call.name + secrets.token_hex(4), state

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        new = {**inputs, "stdout": state.get("stdout", ""), "stderr": state.get("stderr", "")}
        command = inputs.get("update", inputs.get("create"))
        return new if command is None else {**new, **self.run(command, new, call)}

    def delete(self, state: Properties, call: Call) -> None:
        if "delete" in state:
            self.run(state["delete"], state, call)

    def run(self, command: str, state: Properties, call: Call) -> dict[str, str]:
        """Run one command; answer stdout and stderr. The state holds inputs and the previous output."""
        raise NotImplementedError


class LocalCommand(Command):
    """Commands on the machine that runs Pulumi."""

    inputs: ClassVar[Shape] = {**_COMMANDS, **_LOCAL}

    def run(self, command: str, state: Properties, call: Call) -> dict[str, str]:
        return command_local.run(command, state, call)


class RemoteCommand(Command):
    """Commands over SSH."""

    inputs: ClassVar[Shape] = {
        **_COMMANDS,
        "connection": CONNECTION,
        "environment": Input("map"),
        "stdin": Input("string"),
        "logging": LOGGING,
        "addPreviousOutputInEnv": Input("boolean", default=True),
    }

    def run(self, command: str, state: Properties, call: Call) -> dict[str, str]:
        from . import command_remote  # the SSH library takes longer to import than all else

        return command_remote.run(command, state, call)


class CopyToRemote(Resource):
    """One file or folder copied over SFTP; copied again when its content or path changes, never removed."""

    inputs: ClassVar[Shape] = {
        "connection": CONNECTION,
        "remotePath": Input("string", required=True),
        "source": Input("asset", required=True),
        "triggers": Input("list"),
    }
    outputs = ()
    replacing = ("triggers",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        source = inputs["source"]
        if source == UNKNOWN:
            yield "asset", "either asset or archive must be set (1.2.1 wants the source known in a preview)"
        elif source[SIGNATURE] == ARCHIVE and not source.get("path"):
            yield "archive", "archive must be a path to a file or directory"
        elif not source.get("path") and "text" not in source:
            yield "asset", "asset must be a path-based file asset or a text asset"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        self._copy(inputs, call)
        return secrets.token_hex(4), inputs

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        # A changed connection alone copies nothing.
        if any(_identity(inputs[key]) != _identity(state[key]) for key in ("source", "remotePath")):
            self._copy(inputs, call)
        return inputs

    def _copy(self, inputs: Properties, call: Call) -> None:
        from . import command_remote

        command_remote.copy(inputs["source"], inputs["remotePath"], inputs["connection"], call)


def _identity(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("hash") or hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest())
    return str(value)


class Run(Function):
    """A command run in every preview and every up; it answers its inputs and what it printed."""

    inputs: ClassVar[Shape] = {**_LOCAL, "command": Input("string", required=True)}

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        if UNKNOWN in inputs.values():
            raise RefusedError("local.run was called with an input that is not known yet")
        return {**inputs, **command_local.run(inputs["command"], inputs, call)}


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    return Provider(
        "command",
        version,
        {
            "command:local:Command": LocalCommand(),
            "command:remote:Command": RemoteCommand(),
            "command:remote:CopyToRemote": CopyToRemote(),
        },
        {"command:local:run": Run()},
    )


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
