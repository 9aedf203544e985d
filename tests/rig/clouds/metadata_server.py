"""What the metadata services of the clouds answer: one HTTP handler, three manners.

The manners are what the clouds' own documents say: EC2 "Use the Instance Metadata Service" (Lightsail is served by the
same), DigitalOcean "Metadata API reference", Linode "Metadata Service API".
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from .account import Account

EC2, DIGITALOCEAN, LINODE = "ec2", "digitalocean", "linode"
CLOUDS: Final = (EC2, "lightsail", DIGITALOCEAN, LINODE)

_TTL_HEADER: Final = "X-aws-ec2-metadata-token-ttl-seconds"
_EXPIRY_HEADER: Final = "Metadata-Token-Expiry-Seconds"
_TIMEOUT: Final = 10  # seconds in which a machine has to send its request


class Refusal(Exception):  # noqa: N818 - an answer like any other
    """The request is answered by a status other than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Tokens:
    """Session tokens: each is good for one machine and some time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def give(self, machine: str, asked: str | None, limit: int) -> str:
        """A new token. Raises `Refusal` (400) for a time that is missing, no number or out of 1 to `limit`."""
        if asked is None or not asked.isdecimal() or not 1 <= int(asked) <= limit:
            raise Refusal(400)
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._known[token] = (machine, time.monotonic() + int(asked))
        return token

    def require(self, machine: str, token: str | None) -> None:
        """Raises `Refusal` (401) unless the token was given to this machine and is still good."""
        owner, until = self._known.get(token or "", ("", 0.0))
        if owner != machine or time.monotonic() > until:
            raise Refusal(401)


def handler(account: Account) -> type[BaseHTTPRequestHandler]:
    """The handler of an account's machines."""
    tokens = Tokens()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "metadata"
        sys_version = ""
        timeout = _TIMEOUT

        def do_GET(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def _answer(self) -> None:
            try:
                text, kind = self._text()
                status = 200
            except Refusal as refusal:
                text, kind, status = "", "text/plain", refusal.status
            content = text if isinstance(text, bytes) else text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _text(self) -> tuple[str | bytes, str]:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name, machine, public = _by_address(account, self.client_address[0])
            path = self.path.partition("?")[0]
            if machine["cloud"] == DIGITALOCEAN:
                return _tree_or_json(self.command, path, droplet(name, machine, public))
            if machine["cloud"] == LINODE:
                return self._linode(name, machine, public, path)
            if machine["cloud"] in CLOUDS:
                return self._ec2(name, machine, public, path), "text/plain"
            raise Refusal(404)

        def _ec2(self, name: str, machine: Mapping[str, Any], public: list[str], path: str) -> str | bytes:
            settings = machine["metadata"]
            if settings.get("http_endpoint") == "disabled":
                raise Refusal(403)
            if self.command == "PUT":
                if path != "/latest/api/token":
                    raise Refusal(404)
                if self.headers.get("X-Forwarded-For"):
                    raise Refusal(403)
                hops = int(settings.get("http_put_response_hop_limit") or 1)
                self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
                return tokens.give(name, self.headers.get(_TTL_HEADER), 21600)
            token = self.headers.get("X-aws-ec2-metadata-token")
            if token is not None or settings.get("http_tokens", "required") == "required":
                tokens.require(name, token)
            return _branch(instance(name, machine, public), path)

        def _linode(
            self, name: str, machine: Mapping[str, Any], public: list[str], path: str
        ) -> tuple[str | bytes, str]:
            as_json = "json" in self.headers.get("Accept", "")
            if self.command == "PUT":
                if path != "/v1/token":
                    raise Refusal(404)
                token = tokens.give(name, self.headers.get(_EXPIRY_HEADER), 86400)
                return (json.dumps([token]), "application/json") if as_json else (token, "text/plain")
            tokens.require(name, self.headers.get("Metadata-Token"))
            found = linode(name, machine, public).get(path)
            if found is None:
                raise Refusal(404)
            if isinstance(found, str):
                return found, "text/plain"
            if as_json:
                return json.dumps(found), "application/json"
            return "".join(f"{key}: {value}\n" for key, value in found.items()), "text/plain"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is in http.server
            """Nothing: requests are no news."""

    return Handler


def _by_address(account: Account, address: str) -> tuple[str, dict[str, Any], list[str]]:
    """Name, record and public addresses of the machine that asks. Raises `Refusal` (404) for anybody else."""
    data = account.read()
    for name, machine in data["machines"].items():
        if machine["address"] == address:
            entries = [(entry["since"], key) for key, entry in data["addresses"].items() if entry["machine"] == name]
            return name, machine, [key for _, key in sorted(entries)]
    raise Refusal(404)


# -- what each cloud tells: nested names, of which a folder is a mapping


def instance(name: str, machine: Mapping[str, Any], public: list[str]) -> dict[str, Any]:
    """EC2's tree below /."""
    settings = machine["metadata"]
    data: dict[str, Any] = {
        "ami-id": settings.get("image"),
        "hostname": settings.get("hostname") or machine["hostname"],
        "local-hostname": settings.get("hostname") or machine["hostname"],
        "instance-id": settings.get("instance_id") or name,
        "instance-type": settings.get("type"),
        "local-ipv4": machine["address"],
        # An address that was attached later takes the place of the first
        "public-ipv4": public[-1] if public else None,
    }
    if settings.get("region"):
        data["placement"] = {"region": settings["region"]}
    if machine["public_keys"]:
        keys = {"openssh-key": "\n".join(machine["public_keys"]) + "\n"}
        data["public-keys"] = {f"0={settings.get('key_name') or 'key'}": keys}
    latest: dict[str, Any] = {"meta-data": {key: value for key, value in data.items() if value is not None}}
    if machine["user_data"]:
        latest["user-data"] = base64.b64decode(machine["user_data"])
    return {"latest": latest}


def droplet(name: str, machine: Mapping[str, Any], public: list[str]) -> dict[str, Any]:
    """DigitalOcean's metadata, as in its v1.json."""
    settings = machine["metadata"]
    interfaces: dict[str, Any] = {"private": [{"ipv4": {"ip_address": machine["address"]}}]}
    if public:
        interfaces["public"] = [{"ipv4": {"ip_address": public[0]}}]
    reserved = {"active": "true", "ip_address": public[1]} if len(public) > 1 else {"active": "false"}
    return {
        "droplet_id": _number(settings.get("instance_id") or name),
        "hostname": settings.get("hostname") or machine["hostname"],
        "user_data": base64.b64decode(machine["user_data"]).decode(errors="replace"),
        "public_keys": list(machine["public_keys"]),
        "region": settings.get("region") or "",
        "interfaces": interfaces,
        "reserved_ip": {"ipv4": reserved},
        "tags": list(settings.get("tags") or []),
    }


def linode(name: str, machine: Mapping[str, Any], public: list[str]) -> dict[str, Any]:
    """Linode's answers by path; text is text in any case."""
    settings = machine["metadata"]
    answers: dict[str, Any] = {
        "/v1/instance": {
            "id": _number(settings.get("instance_id") or name),
            "label": settings.get("label") or machine["hostname"],
            "region": settings.get("region") or "",
            "type": settings.get("type") or "",
        },
        "/v1/network": {
            "ipv4.public": ",".join(f"{address}/32" for address in public),
            "ipv4.private": f"{machine['address']}/32",
        },
        "/v1/ssh-keys": {"users.root": list(machine["public_keys"])},
    }
    if machine["user_data"]:
        answers["/v1/user-data"] = machine["user_data"]
    return answers


def _number(identity: str) -> int | str:
    return int(identity) if str(identity).isdecimal() else identity


def _branch(tree: Mapping[str, Any], path: str) -> str | bytes:
    """The text at a path, or the names in a folder; what is listed as `0=name` is reached as `0`."""
    found: Any = tree
    for part in filter(None, path.split("/")):
        inside = {key.partition("=")[0]: value for key, value in found.items()} if isinstance(found, Mapping) else {}
        if part not in inside:
            raise Refusal(404)
        found = inside[part]
    if not isinstance(found, Mapping):
        return found if isinstance(found, bytes) else str(found)
    folders = {key for key, value in found.items() if isinstance(value, Mapping) and "=" not in key}
    return "\n".join(f"{key}/" if key in folders else key for key in found)


def _tree_or_json(command: str, path: str, data: Mapping[str, Any]) -> tuple[str | bytes, str]:
    if command != "GET":
        raise Refusal(405)
    if path == "/metadata/v1.json":
        return json.dumps(data), "application/json"
    names = {"droplet_id": "id", "user_data": "user-data", "public_keys": "public-keys"}
    tree: dict[str, Any] = {names.get(key, key): value for key, value in data.items()}
    tree["public-keys"] = "\n".join(data["public_keys"])
    tree["tags"] = {str(index): tag for index, tag in enumerate(data["tags"])}
    tree["interfaces"] = {
        kind: {str(index): {"ipv4": {"address": one["ipv4"]["ip_address"]}} for index, one in enumerate(found)}
        for kind, found in data["interfaces"].items()
    }
    if path.strip("/").split("/")[:2] != ["metadata", "v1"]:
        raise Refusal(404)
    return _branch(tree, path.strip("/").removeprefix("metadata/v1")), "text/plain"
