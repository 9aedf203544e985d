"""The images of EC2 by a name that stays: who publishes them, and what they are called there.

Owners and names: wiki.debian.org/Cloud/AmazonEC2Image (account 136693071363) and Canonical's "Find Ubuntu images on
AWS" (account 099720109477).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

DEFAULT_IMAGE = "debian-13"
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
"""EC2's names of them, and those in the names of images."""


@dataclass(frozen=True)
class Image:
    """A series of images; `name` has the architecture's place in it and ends in a wildcard for the date."""

    owner: str
    name: str


IMAGES = {
    "debian-13": Image("136693071363", "debian-13-{}-*"),
    "debian-12": Image("136693071363", "debian-12-{}-*"),
    "ubuntu-24.04": Image("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-*"),
}


def check_image(name: str) -> None:
    """Raises `ValueError` naming the images that there are."""
    if name not in IMAGES:
        raise ValueError(
            f"image: {name!r} is not known; take one of {', '.join(IMAGES)}, or give the id of an image as ami"
        )


def architecture_of(instance_type: str, supported: Sequence[str]) -> str:
    """The architecture that a machine of this type has; raises `ValueError` for one that no image is made for."""
    for architecture in ARCHITECTURES:
        if architecture in supported:
            return architecture
    raise ValueError(
        f"instance_type: {instance_type!r} has the architecture {', '.join(supported)}, for which there is no image; "
        "take a type with x86_64 or arm64, as t3.micro or t4g.micro"
    )


def newest_image(name: str, instance_type: str, opts: pulumi.InvokeOptions) -> pulumi.Output[str]:
    """The id of the newest image of this name that the instance type can boot: looked up in each preview and `up`."""
    image = IMAGES[name]
    kind = aws.ec2.get_instance_type_output(instance_type=instance_type, opts=opts)
    architecture = kind.supported_architectures.apply(lambda supported: architecture_of(instance_type, supported))
    filters = architecture.apply(lambda known: _filters(image, known))
    return aws.ec2.get_ami_output(most_recent=True, owners=[image.owner], filters=filters, opts=opts).id


def _filters(image: Image, architecture: str) -> list[aws.ec2.GetAmiFilterArgsDict]:
    wanted = {
        "name": image.name.format(ARCHITECTURES[architecture]),
        "architecture": architecture,
        "virtualization-type": "hvm",
        "root-device-type": "ebs",
    }
    return [{"name": name, "values": [value]} for name, value in wanted.items()]
