"""User data: first line, size, contents."""

from __future__ import annotations

import base64
import gzip
import random
import string
import subprocess

import pytest
import yaml

from pulumi_slipway.bootstrap import (
    ALWAYS_FITS,
    USER_DATA_LIMIT,
    HostKeyPair,
    Machine,
    UserDataTooLargeError,
    render_bootstrap_script,
    render_user_data,
)
from pulumi_slipway.firewall import FirewallRule

BOOT = HostKeyPair(private="-----BEGIN EC PRIVATE KEY-----\nboot\n-----END EC PRIVATE KEY-----\n", public="ecdsa AAA")


def machine(**changes: object) -> Machine:
    return Machine(**{"hostname": "guest", "boot_host_key": BOOT, "deploy_keys": ["ssh-ed25519 DEPLOY"], **changes})  # type: ignore[arg-type]


def test_the_first_line_is_what_cloud_init_looks_for() -> None:
    # with a space in it every server of another project once stayed open (algo #14800)
    assert render_user_data(machine()).splitlines()[0] == "#cloud-config"


def test_it_is_far_below_the_smallest_limit_of_all_clouds() -> None:
    assert len(render_user_data(machine())) < USER_DATA_LIMIT / 2


def test_it_is_the_same_each_time() -> None:
    assert render_user_data(machine()) == render_user_data(machine())


def test_the_boot_key_is_the_only_host_key_and_root_and_passwords_are_refused() -> None:
    config = yaml.safe_load(render_user_data(machine()))
    assert config["ssh_keys"] == {"ecdsa_private": BOOT.private, "ecdsa_public": BOOT.public}
    assert config["ssh_deletekeys"] is True
    assert config["disable_root"] is True
    assert config["ssh_pwauth"] is False


def test_it_carries_the_very_script_that_other_targets_run() -> None:
    config = yaml.safe_load(render_user_data(machine()))
    (file,) = config["write_files"]
    script = gzip.decompress(base64.b64decode(file["content"])).decode()
    assert script == render_bootstrap_script(machine())
    assert config["runcmd"] == [["/bin/sh", file["path"]]]


def test_people_get_a_user_of_their_own_only_when_they_have_keys() -> None:
    assert [user["name"] for user in yaml.safe_load(render_user_data(machine()))["users"]] == ["deploy"]
    users = yaml.safe_load(render_user_data(machine(admin_keys=["ssh-ed25519 ME me@home"])))["users"]
    assert [(user["name"], user["ssh_authorized_keys"]) for user in users][1] == ("admin", ["ssh-ed25519 ME me@home"])


def test_user_data_over_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(UserDataTooLargeError, match=r"is \d+ bytes, over the limit of 16384: shorten admin_keys"):
        render_user_data(machine(admin_keys=["ssh-ed25519 " + "x" * 20000]))


def test_what_is_taken_to_fit_fits() -> None:
    noise = random.Random(1)
    texts = ["".join(noise.choices(string.ascii_letters + string.digits + "+/", k=200)) for _ in range(11)]
    assert len("".join(texts)) > ALWAYS_FITS
    keys = [f"ssh-ed25519 {text}" for text in texts]
    rules = [FirewallRule(text[:50].replace("+", "-").replace("/", "_"), 65535) for text in texts for _ in range(3)]
    assert len(render_user_data(machine(hostname="x" * 63, admin_keys=keys))) < USER_DATA_LIMIT
    assert len(render_user_data(machine(hostname="x" * 63, firewall=rules))) < USER_DATA_LIMIT


@pytest.mark.parametrize("given", [{}, {"admin_keys": ["ssh-ed25519 ME"], "proxy": "http://proxy:3128"}])
def test_the_script_is_valid_for_a_posix_shell(given: dict[str, object]) -> None:
    subprocess.run(["sh", "-n"], input=render_bootstrap_script(machine(**given)), text=True, check=True, timeout=10)


def test_deploy_may_run_the_agent_as_root_and_nothing_else() -> None:
    rules = [line for line in render_bootstrap_script(machine()).splitlines() if "NOPASSWD" in line]
    assert rules == ["deploy ALL=(root) NOPASSWD: /usr/local/lib/slipway/agent"]


def test_the_firewall_is_rendered_from_the_one_list_of_rules() -> None:
    rules = [FirewallRule("ssh", 22), FirewallRule("metrics", 9100, sources=("10.0.0.0/8",))]
    script = render_bootstrap_script(machine(firewall=rules))
    assert "ufw allow 22/tcp" in script
    assert "ufw allow proto tcp from 10.0.0.0/8 to any port 9100" in script
    assert "443/tcp" not in script


@pytest.mark.parametrize("hostile", ["http://x/$(touch /tmp/owned)", "http://x/`id`", 'http://x/"; id; "'])
def test_a_setting_cannot_become_a_command_of_the_script(hostile: str, tmp_path: object) -> None:
    script = render_bootstrap_script(machine(package_index=hostile))
    start = script.index("put 0644 /etc/slipway/environment")
    part = script[start : script.index("\nEND\n", start) + 5]
    shown = subprocess.run(
        ["sh", "-s"],
        input='put() { cat; }\nenvironment=""\n' + part,
        text=True,
        capture_output=True,
        check=True,
        timeout=10,
    )
    assert f"PIP_INDEX_URL={hostile}\n" in shown.stdout


def test_a_firewall_rule_with_an_impossible_port_is_refused() -> None:
    with pytest.raises(ValueError, match="port 70000 is out of range; give one of 1 to 65535"):
        FirewallRule("web", 70000)
