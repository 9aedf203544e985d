"""SSH keys of the profile, and Linodes: machines that boot from the user data of their metadata service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

from ...resources import Call, RefusedError
from ...values import UNKNOWN, Properties
from .. import machines, network
from ..account import Account
from ..rented import Thing, key_material, now
from . import addresses, catalog, rules, service


class SshKey(service.LinodeResource):
    """A public key of the user's profile; a Linode is given keys as text, so this only keeps it."""

    failures: ClassVar = {"creating": "Failed to create SSH Key", "deleting": "Failed to delete SSH Key"}
    replacing = ("sshKey",)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        if key_material(inputs["sshKey"]) is None:
            raise rules.refuse("ssh_key", "SSH Key is not valid")
        identity = str(service.number(account))
        thing = {"label": inputs["label"], "ssh_key": inputs["sshKey"], "created": now()}
        service.put(account, identity, service.SSH_KEY, thing)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.SSH_KEY)
        return thing and {"label": thing["label"], "sshKey": thing["ssh_key"], "created": thing["created"]}

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        with service.changing(account, identity, service.SSH_KEY) as thing:
            thing["label"] = inputs["label"]

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        account.drop(identity)


class Instance(service.LinodeResource):
    """A machine with a public address of its own, or with reserved ones that it is given when it is made."""

    failures: ClassVar = {
        "creating": "Error creating a Linode Instance",
        "reading": "Error finding the specified Linode instance",
        "updating": "Error updating Instance",
        "deleting": "Error deleting Linode instance",
    }
    # `instance/schema_resource.go`
    defaults: ClassVar = {
        "type": "g6-standard-1",
        "resizeDisk": False,
        "watchdogEnabled": True,
        "migrationType": "cold",
    }
    takes = (
        "authorizedKeys", "backupsEnabled", "booted", "diskEncryption", "firewallId", "image", "interfaceGeneration",
        "ipv4s", "label", "maintenancePolicy", "metadatas", "migrationType", "networkHelper", "privateIp", "region",
        "resizeDisk", "rootPass", "swapSize", "tags", "type", "watchdogEnabled",
    )  # fmt: skip
    unordered = ("tags", "ipv4s")
    replacing = (
        "authorizedKeys", "diskEncryption", "firewallId", "image", "interfaceGeneration", "ipv4s",
        "metadatas.userData", "networkHelper",
    )  # fmt: skip

    def recomputed(self, state: Properties, inputs: Properties) -> tuple[str, ...]:
        return ("privateIpAddress",) if inputs.get("privateIp") and not state.get("privateIp") else ()

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """`instance/schema_resource.go`."""
        if inputs.get("label", UNKNOWN) != UNKNOWN and not 3 <= len(inputs["label"]) <= 64:
            yield "label", f"expected length of label to be in the range (3 - 64), got {inputs['label']}"
        if inputs.get("rootPass", UNKNOWN) != UNKNOWN and not 11 <= len(inputs["rootPass"]) <= 128:
            yield "rootPass", "expected length of root_pass to be in the range (11 - 128)"
        if inputs["migrationType"] not in ("cold", "warm", UNKNOWN):
            yield (
                "migrationType",
                f'expected migration_type to be one of ["cold" "warm"], got {inputs["migrationType"]}',
            )
        if inputs.get("diskEncryption", "enabled") not in ("enabled", "disabled", UNKNOWN):
            yield "diskEncryption", 'expected disk_encryption to be one of ["enabled" "disabled"]'
        if inputs.get("interfaceGeneration", "linode") not in ("linode", "legacy_config", UNKNOWN):
            yield "interfaceGeneration", 'expected interface_generation to be one of ["linode" "legacy_config"]'
        for name in ("authorizedKeys", "swapSize"):
            if name in inputs and "image" not in inputs:
                yield name, "all of `image` must be specified"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        region = rules.place(inputs["region"], inputs["type"])
        if "image" not in inputs:
            raise RefusedError("this stand-in makes Linodes from an image only")
        if inputs.get("interfaceGeneration") == "linode":
            # SDK: "Linode interfaces must be created using a separate resource before this Linode can be booted"
            raise RefusedError("this stand-in has no Linode interfaces: set interface_generation to legacy_config")
        image = rules.image(inputs["image"])
        keys = rules.keys(inputs.get("authorizedKeys", []))
        if not keys and "rootPass" not in inputs:
            # SDK, `authorized_keys`: "When `image` is provided, at least one of ... must be specified"
            raise rules.refuse("root_pass", "One of root_pass, authorized_keys or authorized_users is required")
        encoded = _encoded(inputs)
        text = rules.user_data(encoded, region, image) if encoded else ""
        identity = service.number(account)
        label = inputs.get("label", f"linode{identity}")
        rules.label(label, 3, 64)
        service.check_label(account, service.INSTANCE, label)
        firewalls = _firewall(account, inputs, identity)
        reserved = inputs.get("ipv4s", [])
        for address in reserved:
            addresses.check_free(account, address, region.id)
        if not image.debian:
            raise RefusedError(f"the rig boots Debian only, not {image.id}: take linode/debian13 or linode/debian12")
        incoming, outgoing = service.filters(firewalls, identity)
        with ExitStack() as undone:
            own = "" if reserved else network.reserve(account)
            undone.callback(network.release, account, own) if own else None
            machine = machines.create(
                account,
                cloud=service.CLOUD,
                user_data=text,
                debian=image.debian,
                login="root",
                public_keys=keys,
                hostname=label,
                metadata={
                    "instance_id": str(identity),
                    "label": label,
                    "region": region.id,
                    "type": inputs["type"],
                    "image": image.id,
                    "tags": inputs.get("tags", []),
                },
                incoming=incoming,
                outgoing=outgoing,
            )
            undone.callback(machines.remove, account, machine.name)
            for address in [own] if own else reserved:
                network.assign(account, address, machine.name)
            thing: Thing = {
                "machine": machine.name,
                "address": own,
                "private_address": machine.address,
                "label": label,
                "region": region.id,
                "image": image.id,
                "with_user_data": bool(encoded),
                "password": "rootPass" in inputs,
                "created": now(),
                **_settings(inputs),
            }
            service.put(account, str(identity), service.INSTANCE, thing)
            undone.pop_all()
        for address in reserved:
            with service.changing(account, address, service.RESERVED_IP) as kept:
                kept.update(linode=str(identity), pending=False)
        if firewalls:
            with service.changing(account, str(inputs["firewallId"]), service.FIREWALL) as firewall:
                firewall["linodes"].append(identity)
        if inputs.get("booted") is False:
            machines.stop(account, machine.name)
        return str(identity)

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.INSTANCE)
        machine = machines.get(account, thing["machine"]) if thing else None
        if thing is None or machine is None:
            return None
        plan = catalog.PLANS[thing["plan"]]
        private = thing["private_address"] if thing["private_ip"] else ""
        public = public_addresses(account, identity, thing)
        told: Properties = {
            "label": thing["label"],
            "region": thing["region"],
            "type": thing["plan"],
            "status": "running" if machine.running else "offline",
            "booted": machine.running,
            "ipAddress": public[0] if public else "",
            "ipv4s": [*public, *([private] if private else [])],
            "ipv6": f"2001:db8::f03c:{int(identity) % 65536:x}/128",
            "privateIp": bool(private),
            "privateIpAddress": private or None,
            "sharedIpv4s": [],
            "hasUserData": thing["with_user_data"],
            "hostUuid": "",
            "watchdogEnabled": thing["watchdog"],
            "backupsEnabled": thing["backups"],
            "tags": thing["tags"],
            "capabilities": [],
            "locks": [],
            "specs": [_specs(plan)],
            "backups": [{"enabled": thing["backups"], "available": False}],
            "lkeClusterId": 0,
            "bootConfigLabel": f"My {thing['label']} Disk Profile",
            "swapSize": 512,
            "interfaceGeneration": "legacy_config",
            "diskEncryption": state.get("diskEncryption", "enabled"),
            "maintenancePolicy": state.get("maintenancePolicy", "linode/migrate"),
        }
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        thing = service.needed(account, identity, service.INSTANCE)
        rules.place(inputs["region"], inputs["type"])
        if inputs["region"] != thing["region"]:
            raise RefusedError("this stand-in does not migrate Linodes to another region")
        label = inputs.get("label", thing["label"])
        rules.label(label, 3, 64)
        service.check_label(account, service.INSTANCE, label, identity)
        if thing["private_ip"] and inputs.get("privateIp") is False:
            # SDK, `private_ip`: "It can be enabled on an existing Linode but it can't be disabled"
            raise RefusedError("Error updating Instance: private_ip cannot be disabled")
        self._resize(thing, inputs)
        restart = inputs["type"] != thing["plan"] or (bool(inputs.get("privateIp")) and not thing["private_ip"])
        with service.changing(account, identity, service.INSTANCE) as kept:
            kept.update(_settings(inputs), label=label)
        machines.set_metadata(account, thing["machine"], {"label": label, "type": inputs["type"]})
        self._power(account, identity, thing, inputs.get("booted"), restart)

    @staticmethod
    def _resize(thing: Thing, inputs: Properties) -> None:
        """`instance/schema_resource.go`, `downsizeFailedMessage`: the disks do not become smaller by themselves."""
        if catalog.PLANS[inputs["type"]].disk < catalog.PLANS[thing["plan"]].disk:
            raise rules.refuse("", "Linode has too much disk allocated for that plan: did you try to resize a linode "
                               "with implicit, default disks to a smaller type?")  # fmt: skip

    @staticmethod
    def _power(account: Account, identity: str, thing: Thing, booted: bool | None, restart: bool) -> None:
        machine = machines.get(account, thing["machine"])
        running = machine is not None and machine.running
        if booted is False and running:
            machines.stop(account, thing["machine"])
        elif booted and not running:
            boot(account, identity)
        elif restart and running:
            reboot(account, identity)

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.found(account, identity, service.INSTANCE)
        if thing is None:
            return
        with account.change() as data:
            for other in data["things"].values():
                if other["type"] == service.FIREWALL and int(identity) in other["linodes"]:
                    other["linodes"].remove(int(identity))
        with account.locked(service.CLOUD):  # not while filters are derived
            machines.remove(account, thing["machine"])
            if thing["address"]:
                network.release(account, thing["address"])
            account.drop(identity)
        service.settle(account)


def boot(account: Account, identity: str) -> None:
    """Start a Linode: Network Helper configures the addresses that it has been given meanwhile."""
    thing = service.needed(account, identity, service.INSTANCE)
    machines.start(account, thing["machine"])
    addresses.configure(account, identity, thing["machine"])


def reboot(account: Account, identity: str) -> None:
    """Stop and start a Linode by the service, which is when Network Helper does its work."""
    machines.stop(account, service.needed(account, identity, service.INSTANCE)["machine"])
    boot(account, identity)


def public_addresses(account: Account, identity: str, thing: Thing) -> list[str]:
    """The public addresses that are a Linode's, configured or not, its own one first."""
    reserved = account.things(service.RESERVED_IP)
    mine = [address for address, entry in reserved.items() if entry["linode"] == identity]
    return [*([thing["address"]] if thing["address"] else []), *mine]


def _encoded(inputs: Properties) -> str:
    metadata = inputs.get("metadatas") or [{}]
    return str(metadata[0].get("userData", ""))


def _firewall(account: Account, inputs: Properties, linode: int) -> list[Thing]:
    """The firewall that governs the Linode from its first packet on, as if it were in it already."""
    if "firewallId" not in inputs:
        return []
    thing = service.found(account, str(inputs["firewallId"]), service.FIREWALL)
    if thing is None:
        raise rules.refuse("firewall_id", "Firewall not found")
    return [{**thing, "linodes": [linode]}]


def _settings(inputs: Properties) -> dict[str, Any]:
    return {
        "plan": inputs["type"],
        "tags": inputs.get("tags", []),
        "watchdog": inputs["watchdogEnabled"],
        "backups": inputs.get("backupsEnabled", False),
        "private_ip": inputs.get("privateIp", False),
    }


def _specs(plan: catalog.Plan) -> dict[str, int]:
    disk = plan.disk * 1024
    return {"disk": disk, "memory": plan.memory, "vcpus": plan.vcpus, "transfer": 1000, "gpus": 0,
            "acceleratedDevices": 0}  # fmt: skip
