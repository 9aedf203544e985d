"""Questions to AWS: regions and zones, images, instance types, networks, public parameters, database engines.

What each takes and how it chooses: hashicorp/terraform-provider-aws, `internal/service/*/*_data_source.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...resources import Call, RefusedError
from ...values import Properties
from . import catalog
from .common import ACCOUNT_ID, AwsFunction
from .images import GetAmi
from .network_lookups import GetSubnet, GetSubnets, GetVpc
from .questions import all_known, matching
from .rds_lookups import GetEngineVersion


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


class GetInstanceType(AwsFunction):
    """What an instance type is."""

    takes = ("instanceType", "region")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
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
        region = self.region(all_known(inputs), call)
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
