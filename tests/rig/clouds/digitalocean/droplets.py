"""SSH keys and droplets: machines that boot from the very user data, with the keys for root."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

from ...resources import Call, RefusedError
from ...values import Properties
from .. import machines, network
from ..account import Account
from ..rented import Thing, key_material, now, rented_machine
from . import catalog, rules, service, traffic


class SshKey(service.DigitalOceanResource):
    """A public key of the account; the same key cannot be in it twice."""

    noun = "SSH Key"
    path = "/v2/account/keys"
    autoname: ClassVar = {"name": 255}
    replacing = ("publicKey",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from service.empty_failures(inputs, "name", "publicKey")

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        material = key_material(inputs["publicKey"])
        if material is None:
            raise rules.refuse("Key invalid, key should be of the format `type key [comment]`")
        fingerprint = hashlib.md5(material, usedforsecurity=False).digest().hex(":")
        key = {"name": inputs["name"], "public_key": inputs["publicKey"].strip(), "fingerprint": fingerprint}
        with account.locked(service.CLOUD):
            if any(other["fingerprint"] == fingerprint for other in account.things(service.SSH_KEY).values()):
                raise rules.refuse("SSH Key is already in use on your account")
            identity = str(service.number(account))
            service.put(account, identity, service.SSH_KEY, key)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        key = service.found(account, identity, service.SSH_KEY)
        if key is None:
            return None
        same = state.get("publicKey", "").strip() == key["public_key"]  # white space around it is no difference
        return {
            "name": key["name"],
            "fingerprint": key["fingerprint"],
            "publicKey": state["publicKey"] if same else key["public_key"],
        }

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        with service.changing(account, identity, service.SSH_KEY, "SSH key") as key:
            key["name"] = inputs["name"]

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        service.needed(account, identity, service.SSH_KEY, "SSH key")
        account.drop(identity)


class Droplet(service.DigitalOceanResource):
    """A machine. Without a key it is made all the same, and its root password is sent by mail: see `password_mailed`
    of what the account keeps. An IPv6 address is told when it is asked for, but machines of the rig have none."""

    noun = "droplet"
    path = "/v2/droplets"
    autoname: ClassVar = {"name": 255}
    defaults: ClassVar = {
        "backups": False,
        "gracefulShutdown": False,
        "ipv6": False,
        "monitoring": False,
        "resizeDisk": True,
    }
    takes = (
        "backups", "backupPolicy", "dropletAgent", "gracefulShutdown", "image", "ipv6", "monitoring", "name", "region",
        "resizeDisk", "size", "sshKeys", "tags", "userData", "vpcUuid",
    )  # fmt: skip
    unordered = ("sshKeys", "tags")
    # `droplet/resource_droplet.go`: what is ForceNew there
    replacing = ("image", "region", "sshKeys", "userData", "monitoring", "dropletAgent", "vpcUuid")

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...]:
        """IPv6 can be switched on later, but not off (`CustomizeDiff` there)."""
        return (*self.replacing, "ipv6") if old.get("ipv6") and new.get("ipv6") is False else self.replacing

    def recomputed(self, state: Properties, inputs: Properties) -> tuple[str, ...]:
        return ("ipv6Address",) if inputs.get("ipv6") and not state.get("ipv6") else ()

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from service.empty_failures(inputs, "name", "image", "size", "region", "userData", "vpcUuid")
        yield from service.tags_failures(inputs)
        if "backupPolicy" in inputs and inputs["backups"] is False:
            yield "backupPolicy", "backup_policy can only be set when backups are enabled"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        region = inputs.get("region", catalog.DEFAULT_REGION).lower()
        image = rules.droplet(inputs["name"], region, inputs["size"].lower(), inputs["image"])
        rules.user_data(inputs.get("userData", ""))
        keys = _keys(account, inputs.get("sshKeys", []))
        vpc = service.vpc_of(account, inputs.get("vpcUuid"), region)
        if not image.debian:
            raise RefusedError(f"the rig boots Debian only, not {image.slug}: take debian-13-x64 or debian-12-x64")
        if not keys:
            call.log("no SSH key: the service makes a root password and sends it by mail")
        number = service.number(account)
        with rented_machine(
            account,
            cloud=service.CLOUD,
            user_data=inputs.get("userData", ""),
            debian=image.debian,
            login="root",
            public_keys=keys,
            hostname=inputs["name"],
            metadata={
                "instance_id": str(number),
                "hostname": inputs["name"],
                "region": region,
                "image": image.slug,
                "tags": inputs.get("tags", []),
            },
        ) as (machine, address):
            thing: Thing = {
                **_settings(inputs),
                "machine": machine.name,
                "address": address,
                "private_address": machine.address,
                "region": region,
                "image": image.slug,
                "vpc": vpc,
                "keys": len(keys),
                "password_mailed": not keys,
                "disk": catalog.SIZES[inputs["size"].lower()].disk,
                "created_at": now(),
            }
            service.put(account, str(number), service.DROPLET, thing)
        traffic.settle(account)
        return str(number)

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.DROPLET)
        machine = machines.get(account, thing["machine"]) if thing else None
        if thing is None or machine is None:
            return None
        size = catalog.SIZES[thing["size"]]
        told = {
            "name": thing["name"],
            "region": thing["region"],
            "size": thing["size"],
            "backups": thing["backups"],
            "ipv6": thing["ipv6"],
            "monitoring": thing["monitoring"],
            "vpcUuid": thing["vpc"],
            "privateNetworking": True,
            "ipv4Address": thing["address"],
            "ipv4AddressPrivate": thing["private_address"],
            "ipv6Address": f"2001:db8:{int(identity) % 65536:x}::1" if thing["ipv6"] else "",
            "dropletUrn": f"do:droplet:{identity}",
            "status": "active" if machine.running else "off",
            "locked": False,
            "memory": size.memory,
            "vcpus": size.vcpus,
            "disk": thing["disk"],
            "priceMonthly": size.price,
            "priceHourly": round(size.price / 672, 5),
            "createdAt": thing["created_at"],
            "volumeIds": [],
        }
        if thing["tags"] or state.get("tags"):
            told["tags"] = thing["tags"]
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        thing = service.needed(account, identity, service.DROPLET, "droplet")
        size = inputs["size"].lower()
        if size not in catalog.SIZES:
            raise rules.refuse("You specified an invalid size for Droplet creation.")
        rules.droplet(inputs["name"], thing["region"], size, thing["image"])
        if size != thing["size"]:
            disk = catalog.SIZES[size].disk
            if disk < thing["disk"] and inputs["resizeDisk"]:
                # "Increasing a Droplet's disk size is a permanent change": it cannot become smaller
                raise rules.refuse("This size is not available because it has a smaller disk.")
            machines.stop(account, thing["machine"])
            machines.start(account, thing["machine"])
            thing["disk"] = disk if inputs["resizeDisk"] else thing["disk"]
        with service.changing(account, identity, service.DROPLET, "droplet") as kept:
            kept.update(_settings(inputs), disk=thing["disk"])
        machines.set_metadata(account, thing["machine"], {"hostname": inputs["name"], "tags": inputs.get("tags", [])})
        traffic.settle(account)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.found(account, identity, service.DROPLET)
        if thing is None:
            return
        if state.get("gracefulShutdown"):
            machines.stop(account, thing["machine"])
        _remove(account, identity, thing)


def _remove(account: Account, identity: str, thing: Thing) -> None:
    """Take a droplet away; a reserved IP that it has stays, assigned to nothing."""
    with account.locked(service.CLOUD):  # not while filters are derived
        machines.remove(account, thing["machine"])
        network.release(account, thing["address"])
        account.drop(identity)
    traffic.settle(account)


def _settings(inputs: Properties) -> Thing:
    return {
        "name": inputs["name"],
        "size": inputs["size"].lower(),
        "backups": inputs["backups"],
        "ipv6": inputs["ipv6"],
        "monitoring": inputs["monitoring"],
        "tags": inputs.get("tags", []),
    }


def _keys(account: Account, wishes: list[str]) -> list[str]:
    """The public keys by id or fingerprint."""
    known = account.things(service.SSH_KEY)
    by_fingerprint = {key["fingerprint"]: key for key in known.values()}
    wrong = [wish for wish in wishes if wish not in known and wish not in by_fingerprint]
    if wrong:
        raise rules.refuse(f"{', '.join(wrong)} are invalid key identifiers for Droplet creation.")
    return [(known.get(wish) or by_fingerprint[wish])["public_key"] for wish in wishes]
