"""What Linode's API refuses, as far as it is seen from the request alone; and firewall rules as what they let pass.

Each check raises ServiceError in the API's form `[field] reason`. The sources stand with the rules; "API" is the
reference at techdocs.akamai.com/linode-api.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..network import Opening
from ..rented import EVERYBODY, ServiceError, is_network, key_material
from . import catalog

USER_DATA_LIMIT = 16 * 1024
"""API, "Create a Linode", `metadata.user_data`: "Unencoded data must not exceed 65535 bytes, or about 16kb encoded".
The two say different things; the rig holds to the smaller, as it is what works either way."""
PIECES = 15
"""API, firewall rules, `ports`: at most 15 pieces, where a range counts as two."""
RULES = 25
"""API, firewalls: "A Firewall may have up to 25 rules across its inbound and outbound rulesets"."""
PORTED = ("TCP", "UDP")
_KNOWN = ("tcp", "udp", "icmp")


def refuse(field: str, reason: str, status: int = 400) -> ServiceError:
    """The API's answer to a request in which a field is wrong."""
    return ServiceError(status, f"[{field}] {reason}" if field else reason)


def label(text: str, least: int, most: int, letter_first: bool = False) -> None:
    """API, `label` of Linodes, firewalls and databases: "Must begin and end with an alphanumeric character. May only
    consist of alphanumeric characters, hyphens, underscores or periods. Cannot have two hyphens, underscores or
    periods in a row"; firewalls and databases begin with a letter, by their pattern."""
    if not least <= len(text) <= most:
        raise refuse("label", f"Length must be {least}-{most} characters")
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9\-_.]*[A-Za-z0-9])", text) or (letter_first and text[0].isdigit()):
        first = "a letter" if letter_first else "an alphanumeric character"
        raise refuse("label", f"Must begin with {first}, and have only letters, numbers, hyphens, underscores, periods")
    if any(twice in text for twice in ("--", "__", "..")):
        raise refuse("label", "Cannot have two hyphens, underscores or periods in a row")


def place(region: str, plan: str) -> catalog.Region:
    """Region and plan; answers the region."""
    if region not in catalog.REGIONS:
        raise refuse("region", "region is not valid")
    if plan not in catalog.PLANS:
        raise refuse("type", "A valid plan type by that ID was not found")
    return catalog.REGIONS[region]


def image(text: str) -> catalog.Image:
    """The image of this id."""
    if text not in catalog.IMAGES:
        raise refuse("image", "image is not valid")
    return catalog.IMAGES[text]


def user_data(encoded: str, region: catalog.Region, on: catalog.Image) -> str:
    """The user data in clear. API, "Create a Linode": base64, the limit, and "limited to certain Regions and
    distributions" (`capabilities`: Metadata of the region, cloud-init of the image)."""
    try:
        clear = base64.b64decode(encoded, validate=True)
        text = clear.decode()
    except (binascii.Error, UnicodeDecodeError):
        raise refuse("metadata.user_data", "Must be base64-encoded") from None
    if len(clear) > USER_DATA_LIMIT:
        raise refuse("metadata.user_data", f"Must not exceed {USER_DATA_LIMIT} bytes, is {len(clear)}")
    if "Metadata" not in region.capabilities:
        raise refuse("metadata", f"Metadata is not available in the region {region.id}")
    if not on.cloud_init:
        raise refuse("metadata", f"Metadata needs an image with cloud-init, which {on.id} is not")
    return text


def keys(texts: Sequence[str]) -> list[str]:
    """Public keys for root; one line each (the plug-in's examples all `chomp` what they read from a file)."""
    for index, text in enumerate(texts):
        if "\n" in text or key_material(text) is None:
            raise refuse("authorized_keys", f"SSH Key {index + 1} is not a valid key: one line, `type key [comment]`")
    return list(texts)


def allow_list(texts: Sequence[str]) -> None:
    """API, `allow_list` of databases: "a single IP address or a range in CIDR format"."""
    for text in texts:
        if not is_network(text):
            raise refuse("allow_list", f"Must contain only valid IPv4 or IPv6 addresses or ranges, not {text!r}")


def database(text: str, engine: str, version: str, plan: str, region: str, nodes: int) -> None:
    """API, "Create a managed database": label of 3 to 32 characters, engine, plan, region, 1, 2 or 3 nodes ("2-node
    clusters are only available with dedicated plans")."""
    label(text, 3, 32, letter_first=True)
    where = place(region, plan)
    if version not in catalog.ENGINES[engine]:
        raise refuse("engine", f"Engine {engine}/{version} is not valid")
    if "Managed Databases" not in where.capabilities:
        raise refuse("region", f"Managed Databases are not available in {region}")
    if nodes not in (1, 2, 3) or (nodes == 2 and catalog.PLANS[plan].kind != "dedicated"):
        raise refuse("cluster_size", f"{nodes} nodes are not available for the type {plan}")


def firewall_rule(rule: Mapping[str, Any]) -> None:
    """API, firewall rules: label, ports only with TCP and UDP, addresses in CIDR notation, at least one."""
    label(rule["label"], 3, 32, letter_first=True)
    if rule["ports"] and rule["protocol"] not in PORTED:
        raise refuse("ports", f"Ports are not allowed for {rule['protocol']}")
    ports(rule["ports"])
    if not rule["ipv4"] and not rule["ipv6"]:
        raise refuse("addresses", "Must have at least one IPv4 or IPv6 address")
    for field in ("ipv4", "ipv6"):
        for text in rule[field]:
            if "/" not in text or not is_network(text) or ipaddress.ip_network(text, False).version != int(field[-1]):
                raise refuse(f"addresses.{field}", f"Must be in IP/mask format, not {text!r}")


def ports(text: str) -> list[tuple[int, int]]:
    """The ranges of ports of a rule, as in "443" or "80-90, 91"; none: all ports."""
    ranges, pieces = [], 0
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 65535:
            raise refuse("ports", f"Must be ports or ranges of ports between 1 and 65535, not {part!r}")
        pieces += 2 if first != last else 1
        ranges.append((first, last))
    if pieces > PIECES:
        raise refuse("ports", f"Must have at most {PIECES} pieces")
    return ranges or [(0, 65535)]


# -- what a list of rules lets pass ------------------------------------------------------------------------------------


class Box(NamedTuple):
    """Some traffic: one protocol, a range of ports, and where it comes from or goes to."""

    protocol: str
    first: int
    last: int
    network: ipaddress.IPv4Network


def passing(rules: Sequence[Mapping[str, Any]], policy: str) -> list[Opening] | None:
    """What these rules let pass, in the substrate's terms; None: everything.

    API, firewalls: "Multiple rules are applied in order. If two rules conflict, the first rule takes precedence"; what
    no rule says anything of is by the policy.
    """
    if policy == "ACCEPT" and all(rule["action"] == "ACCEPT" for rule in rules):
        return None
    undecided = [Box(name, 0, 65535, ipaddress.IPv4Network(EVERYBODY)) for name in _KNOWN]
    accepted: list[Box] = []
    for rule in rules:
        for box in _boxes(rule):
            if rule["action"] == "ACCEPT":
                accepted += [common for left in undecided if (common := _common(left, box))]
            undecided = [rest for left in undecided for rest in _without(left, box)]
    if policy == "ACCEPT":
        accepted += undecided
    return [Opening(box.protocol, box.first, box.last, [str(box.network)]) for box in accepted]


def _boxes(rule: Mapping[str, Any]) -> Iterator[Box]:
    """The traffic that a rule is about; protocols that machines of the rig do not speak are not in it."""
    for name in _KNOWN if rule["protocol"] == "ALL" else (rule["protocol"].lower(),):
        if name in _KNOWN:
            for first, last in ports(rule["ports"]):
                for text in rule["ipv4"]:
                    yield Box(name, first, last, ipaddress.IPv4Network(text, strict=False))


def _common(one: Box, other: Box) -> Box | None:
    first, last = max(one.first, other.first), min(one.last, other.last)
    if one.protocol != other.protocol or first > last or not one.network.overlaps(other.network):
        return None
    return Box(one.protocol, first, last, max(one.network, other.network, key=lambda network: network.prefixlen))


def _without(whole: Box, part: Box) -> Iterator[Box]:
    common = _common(whole, part)
    if common is None:
        yield whole
        return
    if whole.first < common.first:
        yield whole._replace(last=common.first - 1)
    if common.last < whole.last:
        yield whole._replace(first=common.last + 1)
    if common.network != whole.network:
        for network in whole.network.address_exclude(common.network):
            yield Box(whole.protocol, common.first, common.last, network)
