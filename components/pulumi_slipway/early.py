"""Plug-ins that start while the program is still loading.

The engine starts a plug-in when something of its package is first asked for, and one after another; the SDK for Python
sends nothing before the program has run to its end. So the start of the plug-ins and the loading of the program waited
for each other, in every preview and every up.
"""

from __future__ import annotations

import contextlib
from threading import Thread
from typing import Any

import pulumi_command
import pulumi_random
import pulumi_tls
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

_PACKAGES = (pulumi_random, pulumi_command, pulumi_tls)
"""Those that each stack uses, and that need no settings and no credentials; in the order in which they are needed."""


def start_plugins() -> Thread:
    """Has the engine start the plug-ins that each stack uses, and does not wait for that: the thread returned does.

    They are asked for a function that they do not have: that is refused, once they run.
    """
    asking = Thread(target=_ask, args=(get_monitor(),), daemon=True)
    asking.start()
    return asking


def _ask(monitor: Any) -> None:
    for package in _PACKAGES:
        name, version = package.__name__.removeprefix("pulumi_"), package._utilities.get_version()
        with contextlib.suppress(Exception):  # whatever is wrong spoils a resource, which tells of it
            monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=f"{name}:slipway:started", version=version))
