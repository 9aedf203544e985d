"""The one contract between servers and everything that runs on them."""

from __future__ import annotations

import json
from typing import TypedDict, cast

import pulumi

READY_TIMEOUT = 600
"""Seconds that a server may take by default, from the first connection attempt until it is ready."""


class Host(TypedDict):
    """How to reach one server. Plain data without a secret: the key that opens it travels beside it."""

    id: str
    """Changes when the machine is another one; everything on it is then made anew."""
    name: str
    address: str
    """Address or host name that the operator (and the public) reaches it by."""
    private_address: str
    """Address within the server's own network; equal to `address` where there is none."""
    port: int
    """Port of sshd."""
    user: str
    """The user that releases log in as."""
    host_key: str
    """The permanent host key, one line in authorized_keys format; the only one that is ever accepted."""
    proxy: str
    """Address of the host to jump through; empty: none."""


def host_from(stdout: pulumi.Output[str]) -> pulumi.Output[Host]:
    """The host that a program prints as its one line of output."""
    return stdout.apply(_parse)


def _parse(text: str) -> Host:
    document = json.loads(text)
    return cast("Host", {key: document[key] for key in Host.__annotations__})
