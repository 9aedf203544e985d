"""No credentials: the message names the variables of that provider, before anything else fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.servers.credentials import missing_credentials

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "of-no-worth"}
REGION = {"AWS_REGION": "eu-central-1"}


def aws_file(home: Path, name: str, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / name).write_text(text)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("ec2", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]),
        ("lightsail", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"]),
        ("droplet", ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "digitalocean:token"]),
        ("linode", ["LINODE_TOKEN", "linode:token"]),
    ],
)
def test_without_credentials_all_ways_to_give_them_are_named(target: str, named: list[str], tmp_path: Path) -> None:
    message = missing_credentials(target, {}, {}, tmp_path)
    assert message is not None
    assert f"target {target} needs" in message
    assert [name for name in named if name not in message] == []


@pytest.mark.parametrize("target", ["local", "existing"])
def test_machines_of_ones_own_need_no_credentials(target: str, tmp_path: Path) -> None:
    assert missing_credentials(target, {}, {}, tmp_path) is None


@pytest.mark.parametrize(
    ("target", "config", "environment"),
    [
        ("ec2", {}, KEYS | REGION),
        ("ec2", {"aws:region": "us-gov-west-1"}, KEYS),
        ("ec2", {"aws:accessKey": "AKIAEXAMPLE", "aws:secretKey": "x", "aws:region": "eu-west-1"}, {}),
        ("ec2", {"aws:skipMetadataApiCheck": "false"}, REGION),
        ("lightsail", {}, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn:x"} | REGION),
        ("lightsail", {}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"} | {"AWS_DEFAULT_REGION": "eu-west-1"}),
        ("droplet", {}, {"DIGITALOCEAN_TOKEN": "x"}),
        ("droplet", {}, {"DIGITALOCEAN_ACCESS_TOKEN": "x"}),
        ("droplet", {"digitalocean:token": "x"}, {}),
        ("linode", {}, {"LINODE_TOKEN": "x"}),
        ("linode", {"linode:token": "x"}, {}),
    ],
)
def test_each_way_to_give_them_is_enough(
    target: str, config: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    assert missing_credentials(target, config, environment, tmp_path) is None


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    assert "LINODE_TOKEN" in str(missing_credentials("linode", {}, {"LINODE_TOKEN": ""}, tmp_path))


def test_the_file_of_linodes_own_command_line_is_enough(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "linode").write_text("[default]\ntoken = x\n")
    assert missing_credentials("linode", {}, {}, tmp_path) is None


# --------------------------------------------------------------------------------------------------------------- AWS


def test_half_a_pair_of_keys_names_the_other_half(tmp_path: Path) -> None:
    message = missing_credentials("ec2", {}, {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"} | REGION, tmp_path)
    assert message is not None
    assert "AWS_SECRET_ACCESS_KEY is not" in message


def test_the_shared_files_are_enough_and_may_have_the_region(tmp_path: Path) -> None:
    aws_file(tmp_path, "credentials", "[default]\naws_access_key_id = a\naws_secret_access_key = b%\n")
    assert "aws:region" in str(missing_credentials("ec2", {}, {}, tmp_path))
    aws_file(tmp_path, "config", "[default]\nregion = eu-north-1\n")
    assert missing_credentials("ec2", {}, {}, tmp_path) is None


def test_a_region_alone_is_no_credential(tmp_path: Path) -> None:
    aws_file(tmp_path, "config", "[default]\nregion = eu-north-1\n")
    assert "AWS_ACCESS_KEY_ID" in str(missing_credentials("ec2", {}, {}, tmp_path))


@pytest.mark.parametrize("line", ["sso_session = work", "role_arn = arn:x", "credential_process = tool"])
def test_a_profile_that_signs_in_otherwise_is_enough(line: str, tmp_path: Path) -> None:
    aws_file(tmp_path, "config", f"[profile work]\n{line}\nregion = eu-west-1\n")
    assert missing_credentials("ec2", {"aws:profile": "work"}, {}, tmp_path) is None
    assert missing_credentials("ec2", {}, {"AWS_PROFILE": "work"}, tmp_path) is None


def test_a_profile_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    aws_file(tmp_path, "credentials", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    message = missing_credentials("ec2", {}, {"AWS_PROFILE": "wrok"} | REGION, tmp_path)
    assert message is not None
    assert "there is no profile 'wrok'" in message


def test_files_in_other_places_are_looked_at(tmp_path: Path) -> None:
    elsewhere = tmp_path / "keys"
    elsewhere.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(elsewhere)} | REGION
    assert missing_credentials("ec2", {}, environment, tmp_path) is None


def test_a_missing_region_is_told_with_an_example(tmp_path: Path) -> None:
    message = missing_credentials("ec2", {}, KEYS, tmp_path)
    assert message is not None
    assert "pulumi config set aws:region eu-central-1" in message
    assert "AWS_REGION" in message


@pytest.mark.parametrize("where", ["aws:region", "AWS_REGION"])
def test_a_region_of_the_wrong_form_is_told_with_its_key_and_value(where: str, tmp_path: Path) -> None:
    config = {where: "frankfurt"} if ":" in where else {}
    environment = KEYS | ({} if config else {where: "frankfurt"})
    message = missing_credentials("ec2", config, environment, tmp_path)
    assert message == f"{where}: 'frankfurt' is no region of AWS; give one as eu-central-1"
