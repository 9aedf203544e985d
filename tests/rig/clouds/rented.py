"""What the stand-ins of DigitalOcean and Linode share: how an operation reaches the account, and how it is refused."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from ..bridged import BridgedFunction, BridgedResource
from ..resources import Call, RefusedError
from ..values import Properties
from . import machines, network
from .account import Account, CloudError

Thing = dict[str, Any]
"""What an account keeps of something that is rented."""

EVERYBODY = "0.0.0.0/0"
KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


class ServiceError(Exception):
    """The service answers a request with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class UnauthenticatedError(ServiceError):
    """The request came without a token."""


class _Service:
    """How an operation of a plug-in reaches its service."""

    cloud: ClassVar[str]

    def authenticate(self, settings: Properties) -> None:
        """Raises ServiceError without a credential."""
        raise NotImplementedError

    def failure(self, doing: str, error: ServiceError) -> str:
        """What the plug-in says of a request that failed while it was `creating`, `updating`, `reading`, `deleting`."""
        raise NotImplementedError

    @contextmanager
    def _reached(self, doing: str, call: Call) -> Iterator[Account]:
        try:
            self.authenticate(call.settings)
            yield Account.open()
        except ServiceError as error:
            raise RefusedError(self.failure(doing, error)) from error
        except CloudError as error:
            raise RefusedError(str(error)) from error


class RentedResource(_Service, BridgedResource):
    """A resource that is in the account: a subclass says what is rented, looked at, changed and given back."""

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        with self._reached("creating", call) as account:
            identity = self.rent(account, inputs, call)
            outputs = self.look(account, identity, inputs)
        assert outputs is not None, f"{identity} is not there although it was just made"
        return identity, {**inputs, **outputs}

    def read(self, identity: str, state: Properties, call: Call) -> Properties | None:
        if not state:
            raise RefusedError("this stand-in cannot import what exists already")
        with self._reached("reading", call) as account:
            outputs = self.look(account, identity, state)
        return None if outputs is None else {**state, **outputs}

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        with self._reached("updating", call) as account:
            self.change(account, call.id, state, inputs)
            outputs = self.look(account, call.id, {**state, **inputs})
        if outputs is None:
            raise RefusedError(f"{call.id} is gone; `pulumi refresh` takes note of that")
        dropped = {name: None for name in self.inputs if name in state and name not in inputs}
        return {**state, **dropped, **inputs, **outputs}

    def delete(self, state: Properties, call: Call) -> None:
        with self._reached("deleting", call) as account:
            self.give_back(account, call.id, state)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        """Make it; answer its id."""
        raise NotImplementedError

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        """What the service tells of it now; None: it is gone. `state` is what the plug-in knows of it."""
        raise NotImplementedError

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        """Change it."""
        raise NotImplementedError

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        """Remove it; what is gone already is no error."""
        raise NotImplementedError


class RentedFunction(_Service, BridgedFunction):
    """A function that asks the service, in previews too."""

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        with self._reached("reading", call) as account:
            return self.answer(account, inputs)

    def answer(self, account: Account, inputs: Properties) -> Properties:
        """All outputs."""
        raise NotImplementedError


@contextmanager
def rented_machine(account: Account, **wishes: Any) -> Iterator[tuple[machines.Machine, str]]:
    """A new machine and a public address of its own; nothing of both is left when the block raises."""
    with ExitStack() as undone:
        address = network.reserve(account)
        undone.callback(network.release, account, address)
        machine = machines.create(account, **wishes)
        undone.callback(machines.remove, account, machine.name)
        network.assign(account, address, machine.name)
        yield machine, address
        undone.pop_all()


def now() -> str:
    """The time in the form in which both services tell it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical(value: Any) -> str:
    """The same text for the same value, whatever order its keys have come in."""
    return json.dumps(value, sort_keys=True)


def key_material(public_key: str) -> bytes | None:
    """The binary part of a public SSH key of the form `type key [comment]`; None: it is no such key."""
    words = public_key.strip().split()
    if len(words) < 2 or words[0] not in KEY_TYPES or len(public_key.strip().splitlines()) != 1:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return None
    name = words[0].encode()
    return blob if blob.startswith(len(name).to_bytes(4, "big") + name) else None


def networks(sources: Sequence[str]) -> list[str]:
    """Those of the addresses and networks that are IPv4; machines of the rig have no other."""
    return [source for source in sources if ipaddress.ip_network(source, strict=False).version == 4]


def is_network(text: str) -> bool:
    """Whether this is an address or a network in CIDR notation."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
