"""What DigitalOcean's API refuses, as far as it is seen from the request alone.

Each function raises ServiceError with the status that the API answers; the sources stand with the rules. What the
plug-in itself refuses, already in a preview, is in the `check` of the resources.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from ..rented import ServiceError, is_network
from . import catalog

UNPROCESSABLE = 422
USER_DATA_LIMIT = 64 * 1024
TAG = re.compile(r"[a-zA-Z0-9:\-_]{1,255}")
"""terraform-provider-digitalocean, `tag/tags.go`."""
PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def refuse(message: str, status: int = UNPROCESSABLE) -> ServiceError:
    """The API's answer to a request that it cannot process."""
    return ServiceError(status, message)


def droplet(name: str, region: str, size: str, image: str) -> catalog.Image:
    """Name, region, size and image of a droplet; answers the image.

    The messages are the API's, as users report them: api-v2 and terraform-provider-digitalocean #60, #1035.
    """
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.\-]*[a-zA-Z0-9])?", name) or len(name) > 255:
        raise refuse("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if region not in catalog.REGIONS:
        raise refuse("You specified an invalid region for Droplet creation.")
    if size not in catalog.SIZES:
        raise refuse("You specified an invalid size for Droplet creation.")
    found = catalog.image(image)
    if found is None:
        raise refuse("You specified an invalid image for Droplet creation.")
    return found


def user_data(text: str) -> None:
    """openapi, `droplet_create.yml`: "It must be plain text and may not exceed 64 KiB in size"."""
    if len(text.encode()) > USER_DATA_LIMIT:
        raise refuse(f"User data is too large: {len(text.encode())} bytes, the limit is {USER_DATA_LIMIT}.")
    if any(ord(character) < 32 and character not in "\t\r\n" for character in text):
        raise refuse("User data must be plain text.")


def name_of_firewall(name: str) -> None:
    """openapi, `firewall.yml`: the pattern of `name`."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9.\-]+", name):
        raise refuse("name must begin with an alphanumeric character, then alphanumeric characters, periods or dashes")


def ports(protocol: str, text: str) -> tuple[int, int]:
    """The first and last port of a firewall rule.

    openapi, `firewall_rule.yml`: "a single port, a range (e.g. "8000-9000"), or "0" when all ports are open"; the
    plug-in calls the latter `all` (`firewall/firewalls.go`), its documentation "1-65535".
    """
    if protocol == "icmp" or text in ("all", "0"):
        return 0, 65535
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise refuse(f'invalid ports: {text!r} is neither a port, a range of ports nor "all"')
    return first, last


def addresses(texts: Sequence[str]) -> None:
    """openapi, `firewall_rule.yml`: IPv4 and IPv6 addresses and CIDRs; the message: provider issue #33."""
    for text in texts:
        if not is_network(text):
            raise refuse(f"invalid address: {text!r}")


def trusted_address(text: str) -> None:
    """openapi, `databases_update_firewall_rules.yml`: "You cannot add IPv6 addresses as trusted sources"."""
    if not is_network(text) or ipaddress.ip_network(text, strict=False).version != 4:
        raise refuse(f"invalid ip_addr: {text!r} is no IPv4 address")


def vpc(name: str, region: str, ip_range: str, others: Sequence[str]) -> None:
    """openapi, `vpc.yml`: the pattern of `name`; "Network ranges cannot overlap with other networks in the same
    account and must be in range of private addresses as defined in RFC1918. It may not be smaller than `/24` nor
    larger than `/16`"."""
    if not re.fullmatch(r"[a-zA-Z0-9\-.]+", name):
        raise refuse("name may only contain alphanumeric characters, dashes, and periods")
    if region not in catalog.REGIONS:
        raise refuse(f"region {region!r} does not exist")
    if not ip_range:
        return
    try:
        network = ipaddress.ip_network(ip_range)
    except ValueError:
        raise refuse(f"ip_range {ip_range!r} is no network in CIDR notation") from None
    if not 16 <= network.prefixlen <= 24:
        raise refuse(f"ip_range {ip_range!r} may not be smaller than /24 nor larger than /16")
    if network.version != 4 or not any(network.subnet_of(private) for private in PRIVATE):
        raise refuse(f"ip_range {ip_range!r} is not within the private addresses of RFC 1918")
    for other in others:
        if network.overlaps(ipaddress.ip_network(other)):
            raise refuse(f"ip_range {ip_range!r} overlaps with another VPC network in your account ({other})")


def cluster(name: str, engine: str, version: str, plan: str, region: str, nodes: int) -> None:
    """A database cluster. Names: api-v2 #194 (no underscores) and the control panel's "Names must be lowercase and
    start with a letter. They can be between 3 and 63 characters and may contain dashes". "invalid cluster engine
    version": provider #1014; "invalid size": as users report it. Plans and nodes: `options.yml`."""
    if not re.fullmatch(r"[a-z][a-z0-9\-]{2,62}", name):
        raise refuse("invalid cluster name: 3 to 63 lowercase letters, digits and dashes, beginning with a letter")
    if engine not in catalog.ENGINES:
        raise refuse("invalid cluster engine")
    if version not in catalog.ENGINES[engine].versions:
        raise refuse("invalid cluster engine version")
    if plan not in catalog.PLANS:
        raise refuse("invalid size")
    if region not in catalog.DATABASE_REGIONS:
        raise refuse("invalid region")
    if nodes not in catalog.PLANS[plan].nodes:
        raise refuse("invalid number of nodes for this size")


def name_in_cluster(what: str, name: str, taken: Sequence[str]) -> None:
    """The name of a database or user; PostgreSQL cuts names at 63 bytes, MySQL's users have 32 characters."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.\-]{0,62}", name):
        raise refuse(f"invalid {what} name")
    if name in taken:
        raise refuse(f"{what} name is not available")
