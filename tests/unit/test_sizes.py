"""What the names of sizes tell, and what ids and slugs look like."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_slipway.servers import forms
from pulumi_slipway.servers.sizes import check_memory, memory_mib


@pytest.mark.parametrize(
    ("target", "args", "mib"),
    [
        ("ec2", {}, 1024),
        ("ec2", {"instance_type": "t4g.nano"}, 512),
        ("ec2", {"instance_type": "t3a.xlarge"}, 16384),
        ("ec2", {"instance_type": "c7g.medium"}, 2048),
        ("ec2", {"instance_type": "m7i-flex.large"}, 8192),
        ("ec2", {"instance_type": "r6i.4xlarge"}, 131072),
        ("ec2", {"instance_type": "m3.medium"}, None),
        ("ec2", {"instance_type": "c7g.metal"}, None),
        ("lightsail", {}, 1024),
        ("lightsail", {"bundle": "nano_3_0"}, 512),
        ("lightsail", {"bundle": "2xlarge_3_0"}, 32768),
        ("lightsail", {"bundle": "other_1_0"}, None),
        ("droplet", {}, 1024),
        ("droplet", {"size": "s-1vcpu-512mb-10gb"}, 512),
        ("droplet", {"size": "s-2vcpu-4gb-120gb-intel"}, 4096),
        ("droplet", {"size": "c-4"}, 8192),
        ("droplet", {"size": "512mb"}, 512),
        ("droplet", {"size": "other"}, None),
        ("linode", {}, 1024),
        ("linode", {"type": "g6-standard-6"}, 16384),
        ("linode", {"type": "g7-premium-4"}, 8192),
        ("linode", {"type": "g1-gpu-rtx6000-1"}, None),
        ("local", {"memory": 768}, 768),
        ("local", {}, None),
        ("existing", {"address": "203.0.113.5"}, None),
    ],
)
def test_the_name_of_a_size_tells_its_memory_where_it_can(target: str, args: dict[str, Any], mib: int | None) -> None:
    assert memory_mib(target, args) == mib


def test_a_size_too_small_for_any_app_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size: 's-1vcpu-256mb-5gb' has 256 MiB of memory, too little .* 512 MiB"):
        check_memory("droplet", {"size": "s-1vcpu-256mb-5gb"})
    check_memory("droplet", {"size": "s-1vcpu-512mb-10gb"})


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (forms.AWS_REGION, ["eu-central-1", "us-gov-west-1", "ap-southeast-2"], ["eu-central", "eu-central-1a", "EU"]),
        (forms.AWS_ZONE, ["eu-central-1a", "us-gov-west-1b"], ["eu-central-1", "a"]),
        (forms.INSTANCE_TYPE, ["t3.micro", "m7i-flex.large", "u-6tb1.metal", "c7g.metal-48xl"], ["t3", "micro", "t3."]),
        (forms.BUNDLE, ["micro_3_0", "nano_ipv6_3_0", "2xlarge_3_1"], ["micro", "micro-3-0", "Micro_3_0"]),
        (forms.BLUEPRINT, ["debian_12", "ubuntu_24_04"], ["amazon_linux_2023", "debian-12", "wordpress"]),
        (forms.DO_REGION, ["fra1", "nyc3"], ["fra", "frankfurt1", "FRA1"]),
        (forms.DO_SIZE, ["s-1vcpu-1gb", "c-2", "so1_5-2vcpu-16gb", "512mb"], ["small", "S-1", ""]),
        (forms.DO_IMAGE, ["debian-13-x64", "ubuntu-24-04-x64", "195932981"], ["debian-13", "fedora-42-x64"]),
        (forms.VPC_UUID, ["5a4981aa-9653-4bd1-bef5-d6bff52042e4"], ["vpc-1", "5a4981aa"]),
        (forms.LINODE_REGION, ["eu-central", "us-southeast", "de-fra-2"], ["chicago", "us_ord"]),
        (forms.LINODE_TYPE, ["g6-nanode-1", "g1-gpu-rtx6000-1"], ["nanode", "g6"]),
        (forms.LINODE_IMAGE, ["linode/debian13", "linode/ubuntu24.04", "private/123"], ["debian13", "linode/arch"]),
    ],
)
def test_forms_know_their_own(form: forms.Form, good: list[str], bad: list[str]) -> None:
    assert form.example in good
    for value in good:
        form.check("key", value)
    for value in bad:
        with pytest.raises(ValueError, match="key: .* is no .*; give one as "):
            form.check("key", value)
