"""The self-signed certificate of a site: its key is made here and never leaves the server."""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from . import files, paths, request
from .errors import AgentError
from .request import Document
from .run import tool

DAYS = 398
"""The longest life that browsers accept."""

_DAY = 24 * 3600
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True)
class Subject:
    """What a certificate is for: host names and IP addresses; and how many days it lives."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    days: int = DAYS

    @classmethod
    def read(cls, document: Document) -> Subject:
        names, addresses = request.texts(document, "names"), request.texts(document, "addresses")
        for name in names:
            if not _NAME.fullmatch(name):
                raise AgentError(f"certificate: {name!r} is no host name")
        try:
            canonical = [str(ip_address(address)) for address in addresses]
        except ValueError as error:
            raise AgentError(f"certificate: {error}") from error
        if not names and not canonical:
            raise AgentError("certificate: no name and no address is given")
        days = request.integer(document, "days", DAYS)
        if not 1 <= days <= 3650:
            raise AgentError(f"certificate: 'days' must be 1 to 3650, not {days}")
        return cls(tuple(names), tuple(canonical), days)


def ensure(app: str, subject: Subject, now: float | None = None) -> str:
    """The certificate (PEM) for `subject`: the one there is, or a new one when that does not fit or ends soon."""
    note = _note(app)
    if note is None or not _fits(note, subject) or is_due(app, now):
        _make(app, subject)
    return pem(app)


def is_due(app: str, now: float | None = None) -> bool:
    """Whether the last third of its life has begun (or there is none)."""
    note = _note(app)
    if note is None:
        return True
    remaining = note["not_after"] - (time.time() if now is None else now)
    return bool(remaining < (note["not_after"] - note["not_before"]) / 3)


def pem(app: str) -> str:
    return (paths.tls(app) / "cert.pem").read_text()


def not_after(app: str) -> float | None:
    note = _note(app)
    return None if note is None else float(note["not_after"])


def _note(app: str) -> dict[str, Any] | None:
    """What is known of the certificate in use; None when it, its key or the note is missing."""
    place = paths.tls(app)
    if not (place / "cert.pem").is_file() or not (place / "key.pem").is_file():
        return None
    return files.read_json(place / "certificate.json")


def _fits(note: dict[str, Any], subject: Subject) -> bool:
    return (note["names"], note["addresses"], note["days"]) == (
        list(subject.names),
        list(subject.addresses),
        subject.days,
    )


def _make(app: str, subject: Subject) -> None:
    """A new key and certificate in a folder of their own; then one rename puts both in use."""
    link = paths.tls(app)
    for place in (link.parent.parent, link.parent):
        files.folder(place)
    place = link.with_name(f".{app}.{uuid.uuid4().hex[:12]}")
    place.mkdir(mode=0o700)
    try:
        _openssl(place, subject)
        now = int(time.time())
        note = {
            "names": list(subject.names),
            "addresses": list(subject.addresses),
            "days": subject.days,
            "not_before": now,
            "not_after": now + subject.days * _DAY,
        }
        files.write_json(place / "certificate.json", note)
        # What openssl wrote is on the disk before it is relied on.
        files.sync_filesystem(place)
        files.replace_link(link, place.name)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    for old in link.parent.glob(f".{app}.*"):
        if old.name != place.name:
            files.remove(old)


def _openssl(place: Path, subject: Subject) -> None:
    config = place / "openssl.cnf"
    config.write_text(_config(subject))
    tool(
        [
            *("openssl", "req", "-x509", "-sha256", "-nodes", "-config", str(config), "-days", str(subject.days)),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")),
        ]
    )
    config.unlink()
    (place / "key.pem").chmod(0o600)


def _config(subject: Subject) -> str:
    first = [*subject.names, *subject.addresses][0]
    common = first if len(first) <= _LONGEST_COMMON_NAME else "slipway"
    alternatives: Sequence[str] = [
        *(f"DNS:{name}" for name in subject.names),
        *(f"IP:{address}" for address in subject.addresses),
    ]
    return (
        "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n"
        f"[name]\nCN = {common}\n"
        "[extensions]\n"
        "basicConstraints = critical, CA:FALSE\n"
        "keyUsage = critical, digitalSignature\n"
        "extendedKeyUsage = serverAuth\n"
        "subjectKeyIdentifier = hash\n"
        f"subjectAltName = {', '.join(alternatives)}\n"
    )
