"""What an image is made of. Pure: the same recipe has the same key, and an image is kept by that key."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Final

from pulumi_slipway.local.errors import LocalError

CODENAMES: Final = {13: "trixie", 12: "bookworm"}
DEFAULT_DEBIAN: Final = 13

# Raised when what `image.py` does with a recipe changes
FORMAT: Final = 1

_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian's rule for names

# What a Debian cloud image has, as far as a machine without hardware and kernel needs it
_CLOUD: Final = (
    "ca-certificates", "cloud-init", "dbus", "debian-archive-keyring", "iproute2", "iputils-ping",
    "less", "libpam-systemd", "locales", "openssh-server", "procps", "python3", "sudo", "systemd", "systemd-sysv",
    "vim-tiny",
)  # fmt: skip

# What bootstrap installs anyway: here already, so that a machine is ready in seconds
_STOCK: Final = (
    "git", "logrotate", "nginx", "python3-venv", "supervisor", "ufw", "unattended-upgrades",
)  # fmt: skip

_FILES: Final = {
    "/etc/cloud/cloud.cfg.d/90-slipway-local.cfg": (
        "# The address is set before the first boot, the package sources are the host's\n"
        "network: {config: disabled}\n"
        "apt: {preserve_sources_list: true}\n"
        "locale: C.UTF-8\n"
        "datasource_list: [NoCloud]\n"
    ),
    # What Debian's own setting says; its upper limit is no group of a machine
    "/etc/sysctl.d/60-slipway-local.conf": "net.ipv4.ping_group_range = 0 65534\n",
}


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in an image."""

    debian: int
    sources: str
    """deb822 text; empty for mmdebstrap's own choice."""
    apt_options: tuple[str, ...] = ()
    certificates: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = _CLOUD + _STOCK
    extra: tuple[str, ...] = ()
    """More packages; what they would start at boot is disabled in the image, until a machine enables it."""
    files: dict[str, str] = field(default_factory=lambda: dict(_FILES))
    format: int = FORMAT

    def __post_init__(self) -> None:
        for package in self.extra:
            if not _PACKAGE.fullmatch(package):
                raise LocalError(f"--package {package!r} is no name of a Debian package")

    @property
    def codename(self) -> str:
        """Debian's name for the release."""
        return codename(self.debian)

    @property
    def family(self) -> str:
        """What images of the same release and extra packages have in common: of these, a new one replaces the old."""
        return family(self.debian, self.extra)

    @property
    def key(self) -> str:
        """The image's name: family and a digest of all of the recipe."""
        return f"{self.family}-{_digest(asdict(self))[:12]}"


def family(debian: int, extra: tuple[str, ...]) -> str:
    """The beginning of the names of all images of a Debian release with these extra packages."""
    return f"debian{debian}" + (f"+{_digest(sorted(set(extra)))[:6]}" if extra else "")


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def codename(debian: int) -> str:
    """The code name of a Debian release. Raises `LocalError` for one that we do not build."""
    if debian not in CODENAMES:
        known = " or ".join(str(number) for number in CODENAMES)
        raise LocalError(f"--debian {debian}: this driver builds Debian {known}")
    return CODENAMES[debian]
