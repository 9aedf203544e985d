"""What DigitalOcean has to offer: the slugs of regions, sizes, images and database plans.

Sources: digitalocean/openapi, `specification/resources/databases/responses/options.yml` (engines, plans and their
numbers of nodes) and `droplets/`; the SDK's enumerations `Region` and `DropletSlug`; docs.digitalocean.com,
"Regional Availability" and "Droplet Pricing". A slug that is missing here is refused as the API refuses one that it
does not have, so a new one is to be added by whoever wants to use it.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_REGION = "nyc3"
REGIONS = {
    "ams3": "Amsterdam 3",
    "atl1": "Atlanta 1",
    "blr1": "Bangalore 1",
    "fra1": "Frankfurt 1",
    "lon1": "London 1",
    "nyc1": "New York 1",
    "nyc2": "New York 2",
    "nyc3": "New York 3",
    "sfo2": "San Francisco 2",
    "sfo3": "San Francisco 3",
    "sgp1": "Singapore 1",
    "syd1": "Sydney 1",
    "tor1": "Toronto 1",
}


@dataclass(frozen=True)
class Size:
    """A plan of droplets: memory in MB, disk in GB, dollars a month."""

    slug: str
    memory: int
    vcpus: int
    disk: int
    price: float


SIZES = {
    size.slug: size
    for size in (
        Size("s-1vcpu-512mb-10gb", 512, 1, 10, 4),
        Size("s-1vcpu-1gb", 1024, 1, 25, 6),
        Size("s-1vcpu-1gb-amd", 1024, 1, 25, 7),
        Size("s-1vcpu-1gb-intel", 1024, 1, 25, 7),
        Size("s-1vcpu-2gb", 2048, 1, 50, 12),
        Size("s-1vcpu-2gb-amd", 2048, 1, 50, 14),
        Size("s-1vcpu-2gb-intel", 2048, 1, 50, 14),
        Size("s-2vcpu-2gb", 2048, 2, 60, 18),
        Size("s-2vcpu-4gb", 4096, 2, 80, 24),
        Size("s-2vcpu-4gb-amd", 4096, 2, 80, 28),
        Size("s-2vcpu-4gb-intel", 4096, 2, 80, 28),
        Size("s-4vcpu-8gb", 8192, 4, 160, 48),
        Size("s-8vcpu-16gb", 16384, 8, 320, 96),
        Size("c-2", 4096, 2, 25, 42),
        Size("c-4", 8192, 4, 50, 84),
        Size("g-2vcpu-8gb", 8192, 2, 25, 63),
        Size("g-4vcpu-16gb", 16384, 4, 50, 126),
        Size("m-2vcpu-16gb", 16384, 2, 50, 84),
    )
}


@dataclass(frozen=True)
class Image:
    """A public image; `debian` is the release that the rig boots for it, 0 when it has no such machine."""

    slug: str
    id: int
    name: str
    distribution: str
    debian: int = 0


IMAGES = {
    image.slug: image
    for image in (
        Image("debian-12-x64", 129211873, "12 x64", "Debian", 12),
        Image("debian-13-x64", 195932981, "13 x64", "Debian", 13),
        Image("ubuntu-22-04-x64", 129211874, "22.04 (LTS) x64", "Ubuntu"),
        Image("ubuntu-24-04-x64", 155133621, "24.04 (LTS) x64", "Ubuntu"),
        Image("fedora-42-x64", 183542312, "42 x64", "Fedora"),
        Image("rockylinux-9-x64", 129211875, "9 x64", "Rocky Linux"),
        Image("almalinux-9-x64", 129211876, "9 x64", "AlmaLinux"),
    )
}


def image(text: str) -> Image | None:
    """The image of this slug or id."""
    return IMAGES.get(text) or next((entry for entry in IMAGES.values() if str(entry.id) == text), None)


@dataclass(frozen=True)
class Engine:
    """A database engine: its name in the rig, versions on offer, connections for each GB, and those kept back."""

    name: str
    versions: tuple[str, ...]
    connections: int
    kept_back: int
    scheme: str
    tls: str


ENGINES = {
    # docs.digitalocean.com, PostgreSQL Limits: "25 connections per 1 GiB of RAM", three of them kept for maintenance;
    # versions that are on offer by their `end_of_availability`. The scheme is that of the API's own URIs.
    "pg": Engine("postgresql", ("15", "16", "17"), 25, 3, "postgresql", "sslmode=require"),
    # docs.digitalocean.com, MySQL Limits: "75 connections per 1 GiB of RAM".
    "mysql": Engine("mysql", ("8",), 75, 0, "mysql", "ssl-mode=REQUIRED"),
}


@dataclass(frozen=True)
class Plan:
    """A size of database nodes: memory in GB, disk in MiB, and how many nodes a cluster of it may have."""

    slug: str
    memory: int
    disk: int
    nodes: tuple[int, ...]


PLANS = {
    plan.slug: plan
    for plan in (
        Plan("db-s-1vcpu-1gb", 1, 10240, (1,)),
        Plan("db-amd-1vcpu-1gb", 1, 10240, (1,)),
        Plan("db-intel-1vcpu-1gb", 1, 10240, (1,)),
        Plan("db-s-1vcpu-2gb", 2, 30720, (1, 2, 3)),
        Plan("db-amd-1vcpu-2gb", 2, 30720, (1, 2, 3)),
        Plan("db-intel-1vcpu-2gb", 2, 30720, (1, 2, 3)),
        Plan("db-s-2vcpu-4gb", 4, 61440, (1, 2, 3)),
        Plan("db-s-4vcpu-8gb", 8, 143360, (1, 2, 3)),
        Plan("db-s-6vcpu-16gb", 16, 286720, (1, 2, 3)),
        Plan("gd-2vcpu-8gb", 8, 25600, (1, 2, 3)),
    )
}
DATABASE_REGIONS = tuple(region for region in REGIONS if region not in ("nyc2",))
