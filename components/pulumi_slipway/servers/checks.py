"""Checks that the arguments of several servers share."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterable, Sequence

KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def check_known(given: Iterable[str], shape: type) -> None:
    """Raises `ValueError` for an argument that `shape` (a `TypedDict`) has no key for: it would have no effect."""
    known = sorted(shape.__annotations__)
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "remove it."
            raise ValueError(f"{key}: unknown argument; {hint} Known here: {', '.join(known)}")


def check_keys(key: str, lines: Sequence[str]) -> None:
    """Raises `ValueError`, naming `key`, for a line that is no public SSH key (a private one is not quoted)."""
    for number, line in enumerate(lines):
        parts = line.split()
        where = f"{key}[{number}]"
        if "PRIVATE KEY" in line:
            raise ValueError(f"{where}: this is a private key; give the public one (the file that ends in .pub)")
        if len(parts) < 2 or parts[0] not in KEY_TYPES or "\n" in line.strip() or not _is_base64(parts[1]):
            raise ValueError(f"{where}: {line[:40]!r} is no public SSH key; give a line as in ~/.ssh/id_ed25519.pub")


def check_url(key: str, value: str | None) -> None:
    """Raises `ValueError`, naming `key`, for what is no http(s) URL; it becomes a line of a file on the server."""
    if value is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError(f"{key}: {value!r} is no URL; give one as in https://packages.example.org/simple")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
