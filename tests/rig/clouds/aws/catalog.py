"""What AWS offers: regions, zones, instance types, images, database engines.

Instance types and where they are offered come from moto, which collects them from the service. Images and engine
versions are those of Debian and Canonical (AMI) and of Amazon's release notes (RDS), as of late 2025.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DEBIAN = "136693071363"
"""The account of Debian's cloud team, https://wiki.debian.org/Cloud/AmazonEC2Image."""
CANONICAL = "099720109477"


@cache
def _moto() -> Path:
    spec = importlib.util.find_spec("moto")  # finds it without importing it
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package moto, of the development group, is not installed")
    return Path(spec.origin).parent / "ec2" / "resources"


def _document(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


@cache
def regions() -> tuple[str, ...]:
    """All regions."""
    folder = _moto() / "instance_type_offerings" / "region"
    return tuple(sorted(path.name.removesuffix(".json.gz") for path in folder.glob("*.json.gz")))


@cache
def _offerings(region: str, kind: str) -> list[dict[str, str]]:
    path = _moto() / "instance_type_offerings" / kind / f"{region}.json.gz"
    return list(_document(path)) if path.exists() else []


@cache
def zones(region: str) -> tuple[str, ...]:
    """The availability zones of a region."""
    names = {offer["Location"] for offer in _offerings(region, "availability-zone")}
    return tuple(sorted(name for name in names if name.removeprefix(region).isalpha()))


def zone_id(zone: str) -> str:
    """`eu-central-1a` as `euc1-az1`: a name that means the same zone in every account."""
    area, place, number = zone[:-1].split("-")
    initials = "".join(word[0] for word in place.replace("south", "s-").replace("north", "n-").split("-") if word)
    return f"{area}{initials or place[0]}{number}-az{ord(zone[-1]) - ord('a') + 1}"


def zones_offering(region: str, instance_type: str) -> tuple[str, ...]:
    """The zones of a region in which an instance type can be had."""
    offers = _offerings(region, "availability-zone")
    return tuple(sorted(offer["Location"] for offer in offers if offer["InstanceType"] == instance_type))


def offered_types(region: str) -> tuple[str, ...]:
    """The instance types that a region offers."""
    return tuple(sorted(offer["InstanceType"] for offer in _offerings(region, "region")))


@cache
def _types() -> dict[str, dict[str, Any]]:
    return dict(_document(_moto() / "instance_types.json.gz"))


def instance_type(name: str) -> dict[str, Any] | None:
    """What DescribeInstanceTypes says of a type; None: there is none of that name."""
    return _types().get(name)


@dataclass(frozen=True)
class Image:
    """A machine image, whose id is another one in each region."""

    name: str
    owner: str
    architecture: str
    created: str
    description: str
    root_device: str
    login: str
    debian: int
    """The Debian that the rig boots: the image's own, or what stands in for another distribution."""

    @property
    def genuine(self) -> bool:
        """Whether the rig boots what the image says."""
        return self.owner == DEBIAN

    def id(self, region: str) -> str:
        """The image's id in a region."""
        return "ami-0" + hashlib.sha256(f"{region}/{self.name}".encode()).hexdigest()[:16]


_DEBIAN = (
    ("debian-12-{}-20250814-2204", 12, "2025-08-14T07:04:39.000Z"),
    ("debian-12-{}-20251112-2294", 12, "2025-11-12T07:11:23.000Z"),
    ("debian-13-{}-20250814-2205", 13, "2025-08-14T07:06:24.000Z"),
    ("debian-13-{}-20251117-2299", 13, "2025-11-17T07:09:01.000Z"),
)
_UBUNTU = (
    ("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{}-server-20251015", 12, "2025-10-15T02:11:07.000Z"),
    ("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-20251022", 13, "2025-10-22T02:33:41.000Z"),
)
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


@cache
def images() -> tuple[Image, ...]:
    """All machine images."""
    found = []
    for short, architecture in _ARCHITECTURES.items():
        for name, debian, created in _DEBIAN:
            text = f"Debian {debian} ({name.format(short).rsplit('-', 2)[1]})"
            found.append(Image(name.format(short), DEBIAN, architecture, created, text, "/dev/xvda", "admin", debian))
        for name, debian, created in _UBUNTU:
            release = name.split("-{}")[0].rsplit("-", 1)[1]
            text = f"Canonical, Ubuntu, {release}, {short} image"
            found.append(
                Image(name.format(short), CANONICAL, architecture, created, text, "/dev/sda1", "ubuntu", debian)
            )
    return tuple(found)


def image(region: str, identity: str) -> Image | None:
    """The image of this id in a region."""
    return next((image for image in images() if image.id(region) == identity), None)


def parameters(region: str) -> dict[str, str]:
    """The public SSM parameters that name the newest images, as Debian and Canonical keep them."""
    found: dict[str, str] = {}
    for image in sorted(images(), key=lambda image: image.created):
        short = next(short for short, architecture in _ARCHITECTURES.items() if architecture == image.architecture)
        if image.owner == DEBIAN:
            found[f"/aws/service/debian/release/{image.debian}/latest/{short}"] = image.id(region)
        else:
            release = image.name.split(f"-{short}")[0].rsplit("-", 1)[1]
            volume = "ebs-gp3" if "gp3" in image.name else "ebs-gp2"
            path = f"/aws/service/canonical/ubuntu/server/{release}/stable/current/{short}/hvm/{volume}/ami-id"
            found[path] = image.id(region)
    return found


# -- databases -------------------------------------------------------------------------------------------------

VERSIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "postgres": {
        "14": ("14.18", "14.19", "14.20"),
        "15": ("15.13", "15.14", "15.15"),
        "16": ("16.9", "16.10", "16.11"),
        "17": ("17.5", "17.6", "17.7"),
    },
    "mysql": {
        "8.0": ("8.0.42", "8.0.43", "8.0.44"),
        "8.4": ("8.4.5", "8.4.6", "8.4.7"),
    },
}
"""Minor versions by engine and major version, the newest last."""
DEFAULT_MAJOR = {"postgres": "17", "mysql": "8.4"}
CLASS_FAMILIES = ("t3", "t4g", "m5", "m5d", "m6g", "m6gd", "m6i", "m6id", "m7g", "m7i", "m8g", "r5", "r5d", "r6g",
                  "r6gd", "r6i", "r6id", "r7g", "r7i", "r8g", "x2g", "x2idn", "x2iedn")  # fmt: skip
"""The families of instances that both engines of today run on; older ones are being retired."""


def database_class(name: str) -> dict[str, Any] | None:
    """The instance type behind a class of database instances; None: there is no such class."""
    prefix, _, kind = name.partition(".")
    return instance_type(kind) if prefix == "db" and kind.split(".")[0] in CLASS_FAMILIES else None


def engine_version(engine: str, version: str | None) -> str | None:
    """The full version that an engine's version means: itself, or the newest of a major one. None: there is none."""
    majors = VERSIONS[engine]
    wanted = version or DEFAULT_MAJOR[engine]
    if wanted in majors:
        return majors[wanted][-1]
    return wanted if any(wanted in minors for minors in majors.values()) else None


def family(engine: str, version: str) -> str:
    """The family of parameter groups of a full version."""
    major = next(major for major, minors in VERSIONS[engine].items() if version in minors)
    return f"{engine}{major}"


def families() -> tuple[str, ...]:
    """All families of parameter groups."""
    return tuple(f"{engine}{major}" for engine, majors in VERSIONS.items() for major in majors)
