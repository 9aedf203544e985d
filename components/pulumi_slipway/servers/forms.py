"""What ids and slugs of the clouds look like, so that a misspelt one is told in the preview.

Only the form is known here: which regions and sizes there are changes too often, and the cloud itself says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Form:
    """A pattern, what it is the form of, and an example of it."""

    pattern: str
    what: str
    example: str

    def check(self, key: str, value: Any) -> None:
        """Raises `ValueError` naming `key` for a text of another form; what is not known yet (an Output) passes."""
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{key}: {value!r} is no {self.what}; give one as {self.example}")


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HEX_ID = r"[0-9a-f]{8}([0-9a-f]{9})?"

AWS_REGION = Form(r"[a-z]{2}(-[a-z]+)+-\d", "region of AWS", "eu-central-1")
AWS_ZONE = Form(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "availability zone of AWS", "eu-central-1a")
AMI = Form(rf"ami-{_HEX_ID}", "id of an AMI", "ami-0123456789abcdef0")
SUBNET = Form(rf"subnet-{_HEX_ID}", "id of a subnet", "subnet-0123456789abcdef0")
INSTANCE_TYPE = Form(
    r"[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|\d*xlarge|metal(-\d+xl)?)", "instance type of EC2", "t3.micro"
)
BUNDLE = Form(r"[a-z0-9]+(_[a-z0-9]+)*_\d+_\d+", "bundle of Lightsail", "micro_3_0")
BLUEPRINT = Form(r"debian_\d+(_\d+)*|ubuntu_\d+(_\d+)*", "blueprint of Lightsail with Debian or Ubuntu", "debian_12")
DO_REGION = Form(r"[a-z]{3}\d", "region of DigitalOcean", "fra1")
DO_SIZE = Form(r"[a-z0-9_]+(-[a-z0-9_]+)+|\d+(mb|gb)", "droplet size", "s-1vcpu-1gb")
DO_IMAGE = Form(
    r"(debian|ubuntu)-\d+(-\d+)*-x64|\d+", "image with Debian or Ubuntu, nor the id of one of your own", "debian-13-x64"
)
DO_TAG = Form(r"[A-Za-z0-9:_-]{1,255}", "tag of DigitalOcean", "production")
VPC_UUID = Form(_UUID, "id of a VPC", "5a4981aa-9653-4bd1-bef5-d6bff52042e4")
PROJECT = Form(_UUID, "id of a project", "4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679")
LINODE_REGION = Form(r"[a-z]{2}-[a-z]+(-\d+)?", "region of Linode", "eu-central")
LINODE_TYPE = Form(r"g\d+(-[a-z0-9]+)+", "type of Linode", "g6-nanode-1")
LINODE_IMAGE = Form(
    r"linode/(debian|ubuntu)\d+(\.\d+)?|private/\d+",
    "image with Debian or Ubuntu, nor one of your own",
    "linode/debian13",
)
LINODE_TAG = Form(r".{3,50}", "tag of Linode (3 to 50 characters)", "production")
