"""Tags as things of their own, so that a firewall can name one before anything has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ...resources import Call
from ...values import Properties
from ..account import Account
from . import rules, service, traffic


class Tag(service.DigitalOceanResource):
    """A tag; its id is its name (`tag/resource_tag.go`)."""

    noun = "tag"
    path = "/v2/tags"
    autoname: ClassVar = {"name": 255}

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from service.tags_failures({"tags": [inputs["name"]]})

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        # openapi, `tags_create_new.yml`: creating a tag that is there already answers it
        service.put(account, _identity(inputs["name"]), service.TAG, {"tags": [inputs["name"]]})
        return str(inputs["name"])

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        if service.found(account, _identity(identity), service.TAG) is None:
            return None
        droplets = sum(identity in thing["tags"] for thing in account.things(service.DROPLET).values())
        counts = {"imagesCount": 0, "volumesCount": 0, "volumeSnapshotsCount": 0, "databasesCount": 0}
        return {"name": identity, "dropletsCount": droplets, "totalResourceCount": droplets, **counts}

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        """openapi, `tags_delete.yml`: it "also untags all the resources that have previously been tagged"."""
        if service.found(account, _identity(identity), service.TAG) is None:
            raise rules.refuse(f"The tag you were looking for could not be found: {identity}", 404)
        account.drop(_identity(identity))
        for droplet, thing in account.things(service.DROPLET).items():
            if identity in thing["tags"]:
                left = [tag for tag in thing["tags"] if tag != identity]
                service.put(account, droplet, service.DROPLET, {**thing, "tags": left})
        traffic.settle(account)


def _identity(name: str) -> str:
    """Under which the account keeps it: tags and other things have names of their own."""
    return f"tag:{name}"
