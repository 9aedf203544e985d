"""What can be asked of the API without making anything: keys, images, VPCs, regions, sizes, a cluster's CA."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...values import Properties
from .. import databases
from ..account import Account
from ..rented import ServiceError
from . import catalog, service


class GetDatabaseCa(service.DigitalOceanFunction):
    """The certificate authority of a cluster, as PEM (`database/datasource_database_ca.go`)."""

    noun = "database CA"
    path = "/v2/databases"

    def answer(self, account: Account, inputs: Properties) -> Properties:
        service.needed(account, inputs["clusterId"], service.CLUSTER, "cluster")
        pem = databases.ca_certificate(account)
        return {"id": inputs["clusterId"], "clusterId": inputs["clusterId"], "certificate": pem}


class GetImage(service.DigitalOceanFunction):
    """A public image by its slug or id."""

    noun = "image"
    path = "/v2/images"
    takes = ("id", "slug", "name")

    def answer(self, account: Account, inputs: Properties) -> Properties:
        if len(inputs) != 1:
            raise ServiceError(400, "one of `id`, `name`, `slug` must be specified")
        ((name, wish),) = inputs.items()
        for image in catalog.IMAGES.values():
            if str(wish) == str(getattr(image, name)):
                return {
                    "id": image.id,
                    "slug": image.slug,
                    "name": image.name,
                    "distribution": image.distribution,
                    "image": image.slug,
                    "type": "distribution" if name == "slug" else "base",
                    "private": False,
                    "regions": sorted(catalog.REGIONS),
                    "minDiskSize": 7,
                    "sizeGigabytes": 0.5,
                    "status": "available",
                    "errorMessage": "",
                    "description": "",
                    "created": "2025-08-09T00:00:00Z",
                    "tags": [],
                }
        raise ServiceError(404, f"no image with the {name} {wish!r}")


class GetSshKey(service.DigitalOceanFunction):
    """A key of the account by its name."""

    noun = "SSH keys"
    path = "/v2/account/keys"

    def answer(self, account: Account, inputs: Properties) -> Properties:
        keys = [key for key in _keys(account) if key["name"] == inputs["name"]]
        if len(keys) != 1:
            raise ServiceError(404, f"{len(keys)} ssh keys found with name {inputs['name']}")
        return keys[0]


class GetSshKeys(service.DigitalOceanFunction):
    """All keys of the account."""

    noun = "SSH keys"
    path = "/v2/account/keys"
    takes = ("filters",)

    def answer(self, account: Account, inputs: Properties) -> Properties:
        filters = inputs.get("filters", [])
        found = [key for key in _keys(account) if _passes(key, filters)]
        return {"id": "all", "sshKeys": found, **({"filters": filters} if filters else {})}


class GetVpc(service.DigitalOceanFunction):
    """A VPC by its id or name, or a region's default one."""

    noun = "VPC"
    path = "/v2/vpcs"

    def answer(self, account: Account, inputs: Properties) -> Properties:
        every = account.things(service.VPC)
        if inputs.get("region"):
            if not service.has_default_vpc(account, inputs["region"]):
                raise ServiceError(404, f"unable to find default VPC in {inputs['region']} region")
            return _default_vpc(account, inputs["region"])
        for identity, thing in every.items():
            if inputs.get("id") == identity or inputs.get("name") == thing["name"]:
                return _vpc(identity, thing)
        for region in filter(lambda slug: service.has_default_vpc(account, slug), catalog.REGIONS):
            if inputs.get("id") == service.default_vpc(account, region) or inputs.get("name") == f"default-{region}":
                return _default_vpc(account, region)
        raise ServiceError(404, f"no VPC found with {inputs}")


class GetRegion(service.DigitalOceanFunction):
    """A region by its slug."""

    noun = "region"
    path = "/v2/regions"

    def answer(self, account: Account, inputs: Properties) -> Properties:
        slug = inputs["slug"]
        if slug not in catalog.REGIONS:
            raise ServiceError(404, f"Region does not exist: {slug}")
        return {
            "id": slug,
            "slug": slug,
            "name": catalog.REGIONS[slug],
            "available": True,
            "sizes": sorted(catalog.SIZES),
            "features": ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
        }


class GetSizes(service.DigitalOceanFunction):
    """The plans of droplets."""

    noun = "sizes"
    path = "/v2/sizes"
    takes = ("filters", "sorts")

    def answer(self, account: Account, inputs: Properties) -> Properties:
        filters, sorts = inputs.get("filters", []), inputs.get("sorts", [])
        sizes = [size for size in map(_size, catalog.SIZES.values()) if _passes(size, filters)]
        for wish in reversed(sorts):
            sizes.sort(key=lambda size: size[_camel(wish["key"])], reverse=wish.get("direction") == "desc")
        asked = {name: value for name, value in (("filters", filters), ("sorts", sorts)) if value}
        return {"id": "all", "sizes": sizes, **asked}


def _keys(account: Account) -> list[dict[str, Any]]:
    return [
        {"id": int(identity), "name": key["name"], "publicKey": key["public_key"], "fingerprint": key["fingerprint"]}
        for identity, key in account.things(service.SSH_KEY).items()
    ]


def _default_vpc(account: Account, region: str) -> Properties:
    identity = service.default_vpc(account, region)
    derived = {
        "name": f"default-{region}",
        "region": region,
        "ip_range": service.default_range(region),
        "description": "",
        "default": True,
        "created_at": "2025-01-01T00:00:00Z",
    }
    return _vpc(identity, service.found(account, identity, service.VPC) or derived)


def _vpc(identity: str, thing: dict[str, Any]) -> Properties:
    return {
        "id": identity,
        "name": thing["name"],
        "region": thing["region"],
        "ipRange": thing["ip_range"],
        "description": thing["description"],
        "urn": f"do:vpc:{identity}",
        "default": thing["default"],
        "createdAt": thing["created_at"],
    }


def _size(size: catalog.Size) -> dict[str, Any]:
    return {
        "slug": size.slug,
        "available": True,
        "transfer": 1.0,
        "priceMonthly": size.price,
        "priceHourly": round(size.price / 672, 5),
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "regions": sorted(catalog.REGIONS),
        "gpuInfos": [],
    }


def _passes(entry: Mapping[str, Any], filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an entry passes the filters of a list (`internal/datalist/filter.go`)."""
    return all(_matches(entry[_camel(wish["key"])], wish) for wish in filters)


def _matches(value: Any, wish: Mapping[str, Any]) -> bool:
    how = wish.get("matchBy", "exact")
    held = [str(item).lower() if isinstance(item, bool) else str(item) for item in _as_list(value)]
    several = all if wish.get("all") else any
    if how == "re":
        return several(any(re.search(want, item) for item in held) for want in wish["values"])
    if how == "substring":
        return several(any(want in item for item in held) for want in wish["values"])
    return several(want in held for want in wish["values"])


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
