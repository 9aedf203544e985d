"""Mocks that keep the raw requests: order, options and secretness can be asserted, which Pulumi's own do not show."""

from __future__ import annotations

import json
from typing import Any

import pulumi

SECRET = "4dabf18193072939515e22adb298388d"
"""The key that marks a value as special in Pulumi's protocol; with the signature below: as a secret."""
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"


class Engine(pulumi.runtime.Mocks):
    """Answers like the providers would; `observation` and `status` are what the two programs would print."""

    def __init__(self) -> None:
        self.calls: list[pulumi.runtime.MockCallArgs] = []
        self.observation: dict[str, Any] | None = None
        self.serving = True
        """Whether any app serves on the machine."""
        self.former = ""
        """Address of the machine that was the server before."""
        self.status: dict[str, Any] = {"exists": False, "running": False, "labels": {}}
        self.outputs: dict[str, dict[str, Any]] = {}
        """What resources of a type (by its token) have besides their inputs; `id` is the resource's id."""
        self.stashed: dict[str, Any] = {}
        """What stashes (by name) were given first; absent: what they are given now."""
        self.answers: dict[str, dict[str, Any]] = {}
        """What functions (by token) answer."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ == "tls:index/privateKey:PrivateKey":
            state |= {
                "privateKeyOpenssh": f"{args.name}-private",
                "privateKeyPem": f"{args.name}-private",
                "publicKeyOpenssh": f"ssh-ed25519 {args.name}\n",
            }
        elif args.typ == "pulumi:index:Stash":
            state |= {"output": self.stashed.get(args.name, args.inputs.get("input"))}
        elif args.typ == "random:index/randomId:RandomId":
            state |= {"hex": "ab12cd"}
        elif args.typ == "random:index/randomPassword:RandomPassword":
            state |= {"result": f"{args.name}-value"}
        elif args.typ.startswith("command:"):
            state |= {"stdout": json.dumps(self._answer(args.name)), "stderr": ""}
        state |= self.outputs.get(args.typ, {})
        return state.pop("id", f"{args.name}-id"), state

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        self.calls.append(args)
        if args.token in self.answers:
            return self.answers[args.token]
        if "observe" in args.args["command"]:
            if '"serving": true' in str(args.args.get("stdin")):
                return {"stdout": json.dumps({"hosts": [self.serving]})}
            return {"stdout": json.dumps({"hosts": [self.observation or observation()]})}
        return {"stdout": json.dumps(self.status)}

    def _answer(self, name: str) -> dict[str, Any]:
        if "-machine" in name:
            return {"id": "machine-1", "name": "guest", "address": "10.1.2.3", "boots": 1}
        if name.endswith("-data") and self.former:
            return {**HOST, "former": self.former}
        if name.endswith(("-adopt", "-data")) or "-ready" in name or "-arrive" in name:
            return HOST
        if name.endswith("-release"):
            return {"ok": True, "release": "r-live", "serial": 1}
        return {"ok": True, "certificate": "PEM"}


class Monitor(pulumi.runtime.mocks.MockMonitor):
    """Keeps each registration by the resource's name."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.requests: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name in Pulumi's protocol
        self.requests[request.name] = request
        return super().RegisterResource(request)


class Recorder:
    """What a program asked of the engine."""

    def __init__(self, engine: Engine, monitor: Monitor) -> None:
        self.engine, self.monitor = engine, monitor

    @property
    def names(self) -> set[str]:
        return set(self.monitor.requests)

    def __getitem__(self, name: str) -> Any:
        return self.monitor.requests[name]

    def input(self, name: str, key: str) -> Any:
        """The input in clear, whether secret or not."""
        value = getattr(self[name], "object")[key]  # noqa: B009 - a field named as a builtin
        return value["value"] if self.is_secret(name, key) else value

    def is_secret(self, name: str, key: str) -> bool:
        value = getattr(self[name], "object")[key]  # noqa: B009
        return hasattr(value, "fields") and SECRET in value and value[SECRET] == SECRET_SIGNATURE

    def depends_on(self, name: str) -> set[str]:
        """Names of the resources that `name` waits for."""
        return {urn.rsplit("::", 1)[1] for urn in self[name].dependencies}


HOST = {
    "id": "machine-1",
    "name": "guest",
    "address": "10.1.2.3",
    "private_address": "10.1.2.3",
    "port": 22,
    "user": "deploy",
    "host_key": "ssh-ed25519 AAAA",
    "proxy": "",
}


def observation(**changes: Any) -> dict[str, Any]:
    nothing = {
        "error": "",
        "facts": {},
        "agent": "",
        "machine": [],
        "claimed": False,
        "claim_serial": 0,
        "release": "",
        "release_serial": 0,
        "site_serial": 0,
        "files": {},
        "edited": [],
        "texts": {},
        "damage": [],
        "commit": "",
        "variables": {},
        "last": {},
        "changes": None,
        "database": {},
    }
    return nothing | changes
