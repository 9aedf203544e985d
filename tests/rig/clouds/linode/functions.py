"""What can be asked of the API without making anything: regions, types, images, database engines."""

from __future__ import annotations

from typing import Any, ClassVar

from ...values import Properties
from ..account import Account
from ..rented import ServiceError
from . import catalog, service


class _Question(service.LinodeFunction):
    failures: ClassVar = {"reading": "Failed to get what was asked for"}


class GetRegion(_Question):
    """A region by its id."""

    takes = ("id",)

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return _region(_one(catalog.REGIONS, inputs["id"]))


class GetRegions(_Question):
    """All regions."""

    takes = ()

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return {"id": "regions", "regions": [_region(region) for region in catalog.REGIONS.values()]}


class GetInstanceType(_Question):
    """A type of Linodes by its id."""

    takes = ("id",)

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return _plan(_one(catalog.PLANS, inputs["id"]))


class GetInstanceTypes(_Question):
    """All types of Linodes."""

    takes = ()

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return {"id": "types", "types": [_plan(plan) for plan in catalog.PLANS.values()]}


class GetImage(_Question):
    """A public image by its id."""

    takes = ("id",)

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return _image(_one(catalog.IMAGES, inputs["id"]))


class GetImages(_Question):
    """All public images."""

    takes = ()

    def answer(self, account: Account, inputs: Properties) -> Properties:
        return {"id": "images", "images": [_image(image) for image in catalog.IMAGES.values()]}


class GetDatabaseEngines(_Question):
    """All database engines."""

    takes = ()

    def answer(self, account: Account, inputs: Properties) -> Properties:
        engines = [
            {"id": f"{engine}/{version}", "engine": engine, "version": version}
            for engine, versions in catalog.ENGINES.items()
            for version in versions
        ]
        return {"id": "engines", "engines": engines}


def _one(entries: dict[str, Any], identity: str) -> Any:
    if identity not in entries:
        raise ServiceError(404, f"Not found: {identity}")
    return entries[identity]


def _region(region: catalog.Region) -> Properties:
    return {
        "id": region.id,
        "label": region.label,
        "country": region.country,
        "capabilities": list(region.capabilities),
        "status": "ok",
        "siteType": "core" if "Metadata" in region.capabilities else "distributed",
    }


def _plan(plan: catalog.Plan) -> Properties:
    return {
        "id": plan.id,
        "label": plan.label,
        "class": plan.kind,
        "memory": plan.memory,
        "vcpus": plan.vcpus,
        "disk": plan.disk * 1024,
        "transfer": 1000,
        "networkOut": 1000,
    }


def _image(image: catalog.Image) -> Properties:
    return {
        "id": image.id,
        "label": image.label,
        "vendor": image.vendor,
        "capabilities": ["cloud-init"] if image.cloud_init else [],
        "deprecated": False,
        "isPublic": True,
        "type": "manual",
        "status": "available",
        "size": 1500,
    }
