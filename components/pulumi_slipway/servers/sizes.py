"""Which machine each cloud gives by default, and how much memory the name of a size stands for.

The defaults are the smallest that run the stack in all its parts: 1 GiB holds two releases side by side while one
takes over from the other, and a database beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

INSTANCE_TYPE = "t3.micro"
BUNDLE = "micro_3_0"
DROPLET_SIZE = "s-1vcpu-1gb"
LINODE_TYPE = "g6-nanode-1"

LEAST_MIB = 512
"""Less does not hold nginx, supervisor and one worker of an app, not to speak of installing its packages."""

_KEYS = {
    "ec2": ("instance_type", INSTANCE_TYPE),
    "lightsail": ("bundle", BUNDLE),
    "droplet": ("size", DROPLET_SIZE),
    "linode": ("type", LINODE_TYPE),
}
_STEPS = {"nano": 512, "micro": 1024, "small": 2048, "medium": 4096, "large": 8192}
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}
_LINODE_STANDARD = {1: 2, 2: 4, 4: 8, 6: 16, 8: 32, 16: 64, 20: 96, 24: 128, 32: 192}  # GiB


def memory_mib(target: str, args: Mapping[str, Any]) -> int | None:
    """MiB of the machine that a server of `target` with these arguments gets; None where its name does not tell."""
    if target in ("local", "existing"):
        memory = args.get("memory")
        return memory if isinstance(memory, int) else None
    key, default = _KEYS[target]
    return _MEMORY[target](str(args.get(key, default)))


def check_memory(target: str, args: Mapping[str, Any]) -> None:
    """Raises `ValueError` naming the size that is too small for any app."""
    memory = memory_mib(target, args)
    if memory is not None and memory < LEAST_MIB:
        key, default = _KEYS[target]
        raise ValueError(
            f"{key}: {args.get(key, default)!r} has {memory} MiB of memory, too little for a web server and an app; "
            f"take one with at least {LEAST_MIB} MiB, as {default}"
        )


def _instance_type(name: str) -> int | None:
    family, _, size = name.partition(".")
    burstable = re.fullmatch(r"t[234][a-z]*", family)
    if burstable and size in _STEPS:
        return _STEPS[size]
    large = re.fullmatch(r"(\d*)xlarge", size)
    vcpus = {"medium": 1, "large": 2}.get(size) or (4 * int(large[1] or 1) if large else None)
    general = re.fullmatch(r"([cmr])([5-9])[a-z-]*", family)
    gib = 4 if burstable else _GIB_PER_VCPU[general[1]] if general else None
    return vcpus * gib * 1024 if vcpus and gib else None


def _bundle(name: str) -> int | None:
    size = name.split("_", maxsplit=1)[0]
    large = re.fullmatch(r"(\d*)xlarge", size)
    return 16384 * int(large[1] or 1) if large else _STEPS.get(size)


def _droplet_size(name: str) -> int | None:
    memory = re.search(r"(?:^|-)(\d+)(mb|gb)(?:-|$)", name)
    if memory:
        return int(memory[1]) * (1024 if memory[2] == "gb" else 1)
    optimized = re.fullmatch(r"c-(\d+)(-[a-z]+)?", name)
    return 2048 * int(optimized[1]) if optimized else None


def _linode_type(name: str) -> int | None:
    kind = re.fullmatch(r"g\d+-(nanode|standard|dedicated|premium)-(\d+)", name)
    if not kind:
        return None
    number = int(kind[2])
    if kind[1] == "nanode":
        return 1024 * number
    gib = _LINODE_STANDARD.get(number) if kind[1] == "standard" else 2 * number
    return gib * 1024 if gib else None


_MEMORY = {"ec2": _instance_type, "lightsail": _bundle, "droplet": _droplet_size, "linode": _linode_type}
