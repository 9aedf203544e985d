"""Questions to AWS: regions and zones, images, instance types, networks, public parameters, database engines.

What each takes and how it chooses: hashicorp/terraform-provider-aws, `internal/service/*/*_data_source.go`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...resources import Call, RefusedError
from ...values import UNKNOWN, Properties
from . import catalog
from .catalog import Image
from .common import ACCOUNT_ID, AwsFunction, arn, opened
from .places import Places, vpc_arn

Facts = Mapping[str, Any]


def matching(candidates: Iterable[Facts], filters: Iterable[Facts], what: str) -> list[Facts]:
    """The candidates that all filters admit: one of a filter's values, with wildcards, is the fact of that name.

    Raises RefusedError for a filter that the candidates have no fact for.
    """
    chosen = list(candidates)
    for wanted in filters:
        name = wanted["name"]
        if chosen and name not in chosen[0] and not name.startswith("tag:"):
            text = f"The filter '{name}' is invalid; of {what} this stand-in knows {', '.join(sorted(chosen[0]))}"
            raise RefusedError(f"api error InvalidParameterValue: {text}")
        chosen = [one for one in chosen if any(fnmatch.fnmatchcase(_text(one, name), v) for v in wanted["values"])]
    return chosen


def _text(facts: Facts, name: str) -> str:
    value = facts["tags"].get(name.removeprefix("tag:"), "") if name.startswith("tag:") else facts[name]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(inputs: Properties) -> Properties:
    if UNKNOWN in inputs.values():
        raise RefusedError("a function was called with an input that is not known yet")
    return inputs


class GetRegion(AwsFunction):
    """The provider's region, or another one."""

    takes = ("region", "name")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region({"region": inputs.get("region") or inputs.get("name")}, call)
        return {
            "id": region,
            "name": region,
            "region": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
            "description": region,
        }


class GetCallerIdentity(AwsFunction):
    """Who asks."""

    takes = ("id",)

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        user = f"arn:aws:iam::{ACCOUNT_ID}:user/rig"
        return {"id": ACCOUNT_ID, "accountId": ACCOUNT_ID, "arn": user, "userId": "AIDACKCEVSQ6C2EXAMPLE"}


class GetAvailabilityZones(AwsFunction):
    """The zones of a region."""

    takes = ("allAvailabilityZones", "excludeNames", "region", "state")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(inputs, call)
        names = [zone for zone in catalog.zones(region) if zone not in inputs.get("excludeNames", [])]
        if inputs.get("state", "available") != "available":
            names = []
        zone_ids = [catalog.zone_id(zone) for zone in names]
        return {**inputs, "id": region, "region": region, "names": names, "zoneIds": zone_ids, "groupNames": [region]}


class GetParameter(AwsFunction):
    """A public parameter: the newest image of a distribution."""

    takes = ("name", "region", "withDecryption")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(inputs, call)
        name = inputs["name"]
        value = catalog.parameters(region).get(name)
        if value is None:
            raise RefusedError(f"reading SSM Parameter ({name}): couldn't find resource")
        return {
            **inputs,
            "id": name,
            "region": region,
            "arn": f"arn:aws:ssm:{region}::parameter{name}",
            "type": "String",
            "value": value,
            "insecureValue": value,
            "version": 1,
            "withDecryption": inputs.get("withDecryption", True),
        }


class GetAmi(AwsFunction):
    """One image, by owner and filters."""

    takes = ("allowUnsafeFilter", "filters", "includeDeprecated", "mostRecent", "nameRegex", "owners", "region")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        filters = inputs.get("filters", [])
        owned = {"owner-id", "owner-alias", "image-id"} & {wanted["name"] for wanted in filters}
        if inputs.get("mostRecent") and not (inputs.get("owners") or owned or inputs.get("allowUnsafeFilter")):
            raise RefusedError(
                'Most Recent Image Not Filtered: "most_recent" is true, and results are not filtered by owner or image'
                " ID. With this configuration, a third party may introduce a new image which will be returned by this"
                " data source."
            )
        owners = {{"self": ACCOUNT_ID}.get(owner, owner) for owner in inputs.get("owners", [])}
        candidates = [_image_facts(image, region) for image in catalog.images()
                      if not owners or image.owner in owners]  # fmt: skip
        found = [facts["image"] for facts in matching(candidates, filters, "images")]
        if "nameRegex" in inputs:
            found = [image for image in found if re.search(inputs["nameRegex"], image.name)]
        if not found:
            raise RefusedError("Your query returned no results. Please change your search criteria and try again.")
        if len(found) > 1 and not inputs.get("mostRecent"):
            raise RefusedError(
                "Your query returned more than one result. Please try a more specific search criteria, or set "
                "`most_recent` attribute to true."
            )
        return {**inputs, **_image_outputs(max(found, key=lambda image: image.created), region)}


def _image_facts(image: Image, region: str) -> dict[str, Any]:
    return {
        "image": image,
        "name": image.name,
        "image-id": image.id(region),
        "owner-id": image.owner,
        "architecture": image.architecture,
        "description": image.description,
        "virtualization-type": "hvm",
        "root-device-type": "ebs",
        "root-device-name": image.root_device,
        "state": "available",
        "is-public": True,
        "image-type": "machine",
        "hypervisor": "xen",
        "ena-support": True,
        "tags": {},
    }


def _image_outputs(image: Image, region: str) -> Properties:
    snapshot = "snap-" + image.id(region).removeprefix("ami-")
    volume = {"volume_size": "8", "volume_type": "gp2", "snapshot_id": snapshot, "encrypted": "false"}
    return {
        "id": image.id(region),
        "imageId": image.id(region),
        "arn": f"arn:aws:ec2:{region}::image/{image.id(region)}",
        "region": region,
        "name": image.name,
        "ownerId": image.owner,
        "architecture": image.architecture,
        "description": image.description,
        "creationDate": image.created,
        "deprecationTime": "",
        "rootDeviceName": image.root_device,
        "rootDeviceType": "ebs",
        "rootSnapshotId": snapshot,
        "blockDeviceMappings": [
            {"deviceName": image.root_device, "ebs": volume, "noDevice": "", "virtualName": ""},
        ],
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "state": "available",
        "public": True,
        "imageType": "machine",
        "imageLocation": f"{image.owner}/{image.name}",
        "imageOwnerAlias": "",
        "bootMode": "uefi-preferred" if image.architecture == "x86_64" else "uefi",
        "enaSupport": True,
        "sriovNetSupport": "simple",
        "platformDetails": "Linux/UNIX",
        "usageOperation": "RunInstances",
        "kernelId": "",
        "ramdiskId": "",
        "platform": "",
        "imdsSupport": "",
        "tpmSupport": "",
        "lastLaunchedTime": "",
        "productCodes": [],
        "stateReason": {"code": "UNSET", "message": "UNSET"},
        "tags": {},
    }


class GetInstanceType(AwsFunction):
    """What an instance type is."""

    takes = ("instanceType", "region")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        name = inputs["instanceType"]
        facts = catalog.instance_type(name)
        if facts is None or name not in catalog.offered_types(region):
            text = f"The following supplied instance types do not exist: [{name}]"
            raise RefusedError(f"reading EC2 Instance Type: api error InvalidInstanceType: {text}")
        processor, cpus, net = facts["ProcessorInfo"], facts["VCpuInfo"], facts["NetworkInfo"]
        return {
            "id": name,
            "instanceType": name,
            "region": region,
            "bareMetal": facts["BareMetal"],
            "burstablePerformanceSupported": facts["BurstablePerformanceSupported"],
            "currentGeneration": facts["CurrentGeneration"],
            "dedicatedHostsSupported": facts["DedicatedHostsSupported"],
            "defaultCores": cpus.get("DefaultCores"),
            "defaultThreadsPerCore": cpus.get("DefaultThreadsPerCore"),
            "defaultVcpus": cpus["DefaultVCpus"],
            "ebsEncryptionSupport": facts["EbsInfo"]["EncryptionSupport"],
            "ebsNvmeSupport": facts["EbsInfo"]["NvmeSupport"],
            "ebsOptimizedSupport": facts["EbsInfo"]["EbsOptimizedSupport"],
            "enaSupport": net["EnaSupport"],
            "freeTierEligible": facts["FreeTierEligible"],
            "hibernationSupported": facts["HibernationSupported"],
            "hypervisor": facts.get("Hypervisor", ""),
            "instanceStorageSupported": facts["InstanceStorageSupported"],
            "ipv6Supported": net["Ipv6Supported"],
            "maximumNetworkInterfaces": net["MaximumNetworkInterfaces"],
            "memorySize": facts["MemoryInfo"]["SizeInMiB"],
            "networkPerformance": net["NetworkPerformance"],
            "supportedArchitectures": processor["SupportedArchitectures"],
            "supportedRootDeviceTypes": facts["SupportedRootDeviceTypes"],
            "supportedUsagesClasses": facts["SupportedUsageClasses"],
            "supportedVirtualizationTypes": facts["SupportedVirtualizationTypes"],
            "sustainedClockSpeed": processor.get("SustainedClockSpeedInGhz"),
        }


class GetInstanceTypeOfferings(AwsFunction):
    """Which instance types are offered where."""

    takes = ("filters", "locationType", "region")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        kind = inputs.get("locationType", "region")
        if kind == "region":
            offers = [(name, region) for name in catalog.offered_types(region)]
        elif kind == "availability-zone":
            offers = [(name, zone) for name in catalog.offered_types(region)
                      for zone in catalog.zones_offering(region, name)]  # fmt: skip
        else:
            raise RefusedError("locationType must be region or availability-zone for this stand-in")
        candidates = [{"instance-type": name, "location": place, "tags": {}} for name, place in offers]
        found = matching(candidates, inputs.get("filters", []), "offerings")
        return {
            **inputs,
            "id": region,
            "region": region,
            "instanceTypes": [one["instance-type"] for one in found],
            "locations": [one["location"] for one in found],
            "locationTypes": [kind for _ in found],
        }


def _one(found: list[Facts], what: str) -> Facts:
    if not found:
        raise RefusedError(f"no matching EC2 {what} found")
    if len(found) > 1:
        raise RefusedError(
            f"multiple EC2 {what}s matched; use additional constraints to reduce matches to a single EC2 {what}"
        )
    return found[0]


def _vpc_facts(vpc: Facts) -> dict[str, Any]:
    return {
        "vpc": vpc,
        "vpc-id": vpc["id"],
        "cidr": vpc["cidrBlock"],
        "is-default": vpc["default"],
        "isDefault": vpc["default"],
        "state": "available",
        "tags": vpc["tags"],
    }


def _subnet_facts(subnet: Facts) -> dict[str, Any]:
    return {
        "subnet": subnet,
        "subnet-id": subnet["id"],
        "vpc-id": subnet["vpcId"],
        "cidr-block": subnet["cidrBlock"],
        "availability-zone": subnet["availabilityZone"],
        "availability-zone-id": catalog.zone_id(subnet["availabilityZone"]),
        "default-for-az": subnet["defaultForAz"],
        "defaultForAz": subnet["defaultForAz"],
        "map-public-ip-on-launch": subnet["mapPublicIpOnLaunch"],
        "state": "available",
        "tags": subnet["tags"],
    }


_FILTERS: dict[str, str] = {
    "id": "{}-id",
    "vpcId": "vpc-id",
    "cidrBlock": "cidr",
    "default": "isDefault",
    "defaultForAz": "defaultForAz",
    "availabilityZone": "availability-zone",
    "availabilityZoneId": "availability-zone-id",
    "state": "state",
}


def _filters(inputs: Properties, kind: str) -> list[Facts]:
    """The arguments of a question as filters, and the filters that it has."""
    found = []
    for name, label in _FILTERS.items():
        if inputs.get(name):  # the provider leaves `default: false` out, too
            value = str(inputs[name])
            wanted = "true" if inputs[name] is True else value
            name_of = label.format(kind) if name != "cidrBlock" else {"vpc": "cidr", "subnet": "cidr-block"}[kind]
            found.append({"name": name_of, "values": [wanted]})
    tags = [{"name": f"tag:{key}", "values": [value]} for key, value in inputs.get("tags", {}).items()]
    return [*found, *tags, *inputs.get("filters", [])]


class GetVpc(AwsFunction):
    """One VPC, the default one for instance."""

    takes = ("cidrBlock", "default", "filters", "id", "region", "state", "tags")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        with opened() as account:
            vpcs = Places.of(account).vpcs(region)
        vpc = _one(matching(map(_vpc_facts, vpcs.values()), _filters(inputs, "vpc"), "VPCs"), "VPC")["vpc"]
        association = {"associationId": f"vpc-cidr-assoc-{vpc['id'][4:]}", "cidrBlock": vpc["cidrBlock"]}
        return {
            "filters": inputs.get("filters"),
            "id": vpc["id"],
            "arn": vpc_arn(vpc["id"], region),
            "region": region,
            "cidrBlock": vpc["cidrBlock"],
            "cidrBlockAssociations": [{**association, "state": "associated"}],
            "default": vpc["default"],
            "dhcpOptionsId": vpc["dhcpOptionsId"],
            "enableDnsHostnames": vpc["enableDnsHostnames"],
            "enableDnsSupport": vpc["enableDnsSupport"],
            "enableNetworkAddressUsageMetrics": False,
            "instanceTenancy": "default",
            "ipv6AssociationId": "",
            "ipv6CidrBlock": "",
            "ipv6CidrBlockAssociations": [],
            "mainRouteTableId": vpc["mainRouteTableId"],
            "ownerId": ACCOUNT_ID,
            "state": "available",
            "tags": vpc["tags"],
        }


class GetSubnets(AwsFunction):
    """The ids of subnets."""

    takes = ("filters", "region", "tags")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        with opened() as account:
            subnets = Places.of(account).subnets(region)
        found = matching(map(_subnet_facts, subnets.values()), _filters(inputs, "subnet"), "subnets")
        ids = [facts["subnet-id"] for facts in found]
        return {**inputs, "id": region, "region": region, "ids": ids, "tags": inputs.get("tags", {})}


class GetSubnet(AwsFunction):
    """One subnet."""

    takes = ("availabilityZone", "availabilityZoneId", "cidrBlock", "defaultForAz", "filters", "id", "region", "state",
             "tags", "vpcId")  # fmt: skip

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        with opened() as account:
            subnets = Places.of(account).subnets(region)
        found = matching(map(_subnet_facts, subnets.values()), _filters(inputs, "subnet"), "subnets")
        subnet = _one(found, "Subnet")["subnet"]
        return {
            "filters": inputs.get("filters"),
            "id": subnet["id"],
            "arn": arn("ec2", region, f"subnet/{subnet['id']}"),
            "region": region,
            "vpcId": subnet["vpcId"],
            "availabilityZone": subnet["availabilityZone"],
            "availabilityZoneId": catalog.zone_id(subnet["availabilityZone"]),
            "cidrBlock": subnet["cidrBlock"],
            "defaultForAz": subnet["defaultForAz"],
            "mapPublicIpOnLaunch": subnet["mapPublicIpOnLaunch"],
            "assignIpv6AddressOnCreation": False,
            "availableIpAddressCount": 4000,
            "ipv6CidrBlock": "",
            "ipv6CidrBlockAssociationId": "",
            "ipv6Native": False,
            "outpostArn": "",
            "ownerId": ACCOUNT_ID,
            "state": "available",
            "tags": subnet["tags"],
        }


class GetEngineVersion(AwsFunction):
    """One version of a database engine."""

    takes = ("defaultOnly", "engine", "includeAll", "latest", "parameterGroupFamily", "preferredVersions", "region",
             "version")  # fmt: skip

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(_known(inputs), call)
        engine = inputs["engine"]
        versions = [v for minors in catalog.VERSIONS.get(engine, {}).values() for v in minors]
        found = [version for version in versions if self._wanted(inputs, engine, version)]
        if not found:
            raise RefusedError(f"no RDS engine versions match the criteria: {engine} {inputs.get('version', '')}")
        preferred = [version for version in inputs.get("preferredVersions", []) if version in found]
        if not preferred and len(found) > 1 and not inputs.get("latest"):
            raise RefusedError(
                f"multiple RDS engine versions ({', '.join(found)}) match the criteria; try a different search or set "
                "`latest` to true"
            )
        version = preferred[0] if preferred else max(found, key=number)
        later = [other for other in versions if number(other) > number(version)]
        family = catalog.family(engine, version)
        minor = [other for other in later if catalog.family(engine, other) == family]
        return {
            **inputs,
            "id": version,
            "region": region,
            "version": version,
            "versionActual": version,
            "parameterGroupFamily": family,
            "engineDescription": {"postgres": "PostgreSQL", "mysql": "MySQL Community Edition"}[engine],
            "versionDescription": f"{engine} {version}",
            "status": "available",
            "defaultCharacterSet": "",
            "supportsReadReplica": True,
            "supportsLogExportsToCloudwatch": True,
            "supportsGlobalDatabases": False,
            "supportsParallelQuery": False,
            "validUpgradeTargets": later,
            "validMinorTargets": minor,
            "validMajorTargets": [other for other in later if other not in minor],
        }

    def _wanted(self, inputs: Properties, engine: str, version: str) -> bool:
        wanted = inputs.get("version")
        if wanted and version != wanted and not version.startswith(f"{wanted}."):
            return False
        family = inputs.get("parameterGroupFamily")
        if family and catalog.family(engine, version) != family:
            return False
        default = catalog.engine_version(engine, wanted if wanted in catalog.VERSIONS[engine] else None)
        return not inputs.get("defaultOnly") or version == default


def number(version: str) -> tuple[int, ...]:
    """A version as something to compare."""
    return tuple(map(int, version.split(".")))


FUNCTIONS: dict[str, Callable[[], AwsFunction]] = {
    "aws:index/getRegion:getRegion": GetRegion,
    "aws:index/getCallerIdentity:getCallerIdentity": GetCallerIdentity,
    "aws:index/getAvailabilityZones:getAvailabilityZones": GetAvailabilityZones,
    "aws:ssm/getParameter:getParameter": GetParameter,
    "aws:ec2/getAmi:getAmi": GetAmi,
    "aws:ec2/getInstanceType:getInstanceType": GetInstanceType,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": GetInstanceTypeOfferings,
    "aws:ec2/getVpc:getVpc": GetVpc,
    "aws:ec2/getSubnet:getSubnet": GetSubnet,
    "aws:ec2/getSubnets:getSubnets": GetSubnets,
    "aws:rds/getEngineVersion:getEngineVersion": GetEngineVersion,
}
