"""Questions for machine images: hashicorp/terraform-provider-aws, `internal/service/ec2/ec2_ami_data_source.go`."""

from __future__ import annotations

import re
from typing import Any

from ...resources import Call, RefusedError
from ...values import Properties
from . import catalog
from .catalog import Image
from .common import ACCOUNT_ID, AwsFunction
from .questions import all_known, matching


class GetAmi(AwsFunction):
    """One image, by owner and filters."""

    takes = ("allowUnsafeFilter", "filters", "includeDeprecated", "mostRecent", "nameRegex", "owners", "region")

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
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
