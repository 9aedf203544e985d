"""What Linode has to offer: regions, plans, images and database engines by their ids.

Sources: the Linode API's public lists (`/v4/regions`, `/v4/linode/types`, `/v4/images`, `/v4/databases/engines`) as
its documentation and guides show them; linode/manager for what a distributed region is capable of. An id that is
missing here is refused as the API refuses one that it does not have, so a new one is to be added by whoever wants it.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE = ("Linodes", "Cloud Firewall", "Managed Databases", "Metadata", "Reserved IPs", "Vlans", "VPCs")
DISTRIBUTED = ("Linodes", "Cloud Firewall", "Disk Encryption")
"""linode/manager, its tests' `us-den-edge-1`: no metadata service, hence no user data."""


@dataclass(frozen=True)
class Region:
    """A region and what it is capable of."""

    id: str
    label: str
    country: str
    capabilities: tuple[str, ...] = CORE


REGIONS = {
    region.id: region
    for region in (
        Region("us-east", "Newark, NJ", "us"),
        Region("us-central", "Dallas, TX", "us"),
        Region("us-west", "Fremont, CA", "us"),
        Region("us-southeast", "Atlanta, GA", "us"),
        Region("us-ord", "Chicago, IL", "us"),
        Region("us-iad", "Washington, DC", "us"),
        Region("us-sea", "Seattle, WA", "us"),
        Region("us-mia", "Miami, FL", "us"),
        Region("us-lax", "Los Angeles, CA", "us"),
        Region("ca-central", "Toronto, CA", "ca"),
        Region("eu-west", "London, UK", "gb"),
        Region("gb-lon", "London 2, UK", "gb"),
        Region("eu-central", "Frankfurt, DE", "de"),
        Region("de-fra-2", "Frankfurt 2, DE", "de"),
        Region("fr-par", "Paris, FR", "fr"),
        Region("nl-ams", "Amsterdam, NL", "nl"),
        Region("se-sto", "Stockholm, SE", "se"),
        Region("es-mad", "Madrid, ES", "es"),
        Region("it-mil", "Milan, IT", "it"),
        Region("ap-south", "Singapore, SG", "sg"),
        Region("sg-sin-2", "Singapore 2, SG", "sg"),
        Region("ap-northeast", "Tokyo, JP", "jp"),
        Region("jp-tyo-3", "Tokyo 3, JP", "jp"),
        Region("jp-osa", "Osaka, JP", "jp"),
        Region("ap-west", "Mumbai, IN", "in"),
        Region("in-maa", "Chennai, IN", "in"),
        Region("ap-southeast", "Sydney, AU", "au"),
        Region("au-mel", "Melbourne, AU", "au"),
        Region("id-cgk", "Jakarta, ID", "id"),
        Region("br-gru", "Sao Paulo, BR", "br"),
        Region("us-den-edge-1", "Denver, CO", "us", DISTRIBUTED),
    )
}


@dataclass(frozen=True)
class Plan:
    """A type of Linodes: memory in MB, disk in GB, dollars a month."""

    id: str
    label: str
    memory: int
    vcpus: int
    disk: int
    price: float
    kind: str = "standard"


PLANS = {
    plan.id: plan
    for plan in (
        Plan("g6-nanode-1", "Nanode 1GB", 1024, 1, 25, 5, "nanode"),
        Plan("g6-standard-1", "Linode 2GB", 2048, 1, 50, 12),
        Plan("g6-standard-2", "Linode 4GB", 4096, 2, 80, 24),
        Plan("g6-standard-4", "Linode 8GB", 8192, 4, 160, 48),
        Plan("g6-standard-6", "Linode 16GB", 16384, 6, 320, 96),
        Plan("g6-dedicated-2", "Dedicated 4GB", 4096, 2, 80, 36, "dedicated"),
        Plan("g6-dedicated-4", "Dedicated 8GB", 8192, 4, 160, 72, "dedicated"),
        Plan("g6-dedicated-8", "Dedicated 16GB", 16384, 8, 320, 144, "dedicated"),
    )
}


@dataclass(frozen=True)
class Image:
    """A public image: whether it reads user data, and the Debian that the rig boots for it (0: it has none)."""

    id: str
    label: str
    vendor: str
    cloud_init: bool = True
    debian: int = 0


IMAGES = {
    image.id: image
    for image in (
        Image("linode/debian12", "Debian 12", "Debian", True, 12),
        Image("linode/debian13", "Debian 13", "Debian", True, 13),
        Image("linode/ubuntu22.04", "Ubuntu 22.04 LTS", "Ubuntu"),
        Image("linode/ubuntu24.04", "Ubuntu 24.04 LTS", "Ubuntu"),
        Image("linode/rocky9", "Rocky Linux 9", "Rocky"),
        Image("linode/alpine3.21", "Alpine 3.21", "Alpine", False),
        Image("linode/arch", "Arch Linux", "Arch", False),
        Image("linode/slackware15.0", "Slackware 15.0", "Slackware", False),
    )
}

# A guide of Akamai's shows what `GET /v4/databases/engines` answers; the releases still supported are kept.
ENGINES = {"mysql": ("8",), "postgresql": ("14", "15", "16", "17")}
