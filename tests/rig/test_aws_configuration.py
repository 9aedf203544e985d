"""The AWS stand-in's own settings against pulumi/pulumi-aws, `provider/config.go` ("config.go") and `region.go`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .amazon import GROUP, REGION, VERSION, VPC, Amazon, refused
from .clouds import aws
from .direct import CallFailedError, Direct
from .paper_cloud import PaperCloud

CREDENTIALS = {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "test"}


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No region and no credentials but a test's own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def configured(**settings: Any) -> dict[str, str]:
    return Direct(aws.provider(VERSION), "").configure(**settings)


def test_without_a_region_nothing_begins_and_the_text_says_how_to_set_one() -> None:
    """config.go, errors/no_region.txt: shown at CheckConfig."""
    reason = configured(**CREDENTIALS)[""]
    assert "Missing region information" in reason
    assert "pulumi config set aws:region us-west-2" in reason


def test_without_credentials_nothing_begins_and_the_variables_are_named() -> None:
    """config.go, errors/no_credentials.txt."""
    for given in ({}, {"accessKey": "AKIA"}, {"secretKey": "x"}):
        reason = configured(region=REGION, **given)[""]
        assert reason.startswith("No valid credential sources found")
        assert all(word in reason for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"))


def test_the_environment_gives_what_the_settings_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """config.go: AWS_REGION, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    it = Direct(aws.provider(VERSION), "")
    assert it.configure() == {}
    assert it.provider.settings["region"] == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    it.configure()
    assert it.provider.settings["region"] == "eu-west-1"
    it.configure(region=REGION)
    assert it.provider.settings["region"] == REGION


def test_a_profile_gives_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.go: shared credentials and configuration files."""
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIA\naws_secret_access_key = x\n")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    assert "Missing region" in configured()[""]
    monkeypatch.setenv("AWS_PROFILE", "work")
    it = Direct(aws.provider(VERSION), "")
    assert it.configure() == {}
    assert it.provider.settings["region"] == "eu-north-1"
    assert "No valid credential" in configured(profile="play", region=REGION)[""]


def test_credentials_need_not_be_checked() -> None:
    """config.go: skipCredentialsValidation."""
    assert configured(region=REGION, skipCredentialsValidation="true") == {}


def test_a_region_that_there_is_not_has_no_endpoint() -> None:
    """config.go: the check of the credentials asks sts.REGION.amazonaws.com."""
    assert "sts.eu-nowhere-1.amazonaws.com: no such host" in configured(**CREDENTIALS, region="eu-nowhere-1")[""]


def test_a_setting_that_there_is_not_is_refused() -> None:
    """SDK: the arguments of aws.Provider."""
    assert "did you mean 'region'" in configured(**CREDENTIALS, regoin=REGION)["regoin"]


def test_a_resource_is_in_the_providers_region_or_in_its_own(paper: PaperCloud) -> None:
    """region.go, applyRegion: the resource's argument wins; pulumi-aws 7: a change of it replaces."""
    amazon = Amazon()
    group = amazon(GROUP)
    _, here = group.create(name="a")
    assert (here["region"], here["arn"].split(":")[3]) == (REGION, REGION)
    assert group.diff(here, name="a", region="us-east-1") == {"region": "UPDATE_REPLACE"}
    _, there = amazon(GROUP).create(name="a", region="us-east-1")
    assert there["arn"].split(":")[3] == "us-east-1"
    assert here["vpcId"] != there["vpcId"]
    assert "no AWS Region" in refused(amazon(GROUP), name="b", region="us-nowhere-1")


def test_default_tags_are_in_all_tags_beneath_the_resources_own(paper: PaperCloud) -> None:
    """SDK, Provider `default_tags`: "settings to default resource tags across all resources"."""
    amazon = Amazon(defaultTags='{"tags": {"owner": "us", "stage": "test"}}')
    _, vpc = amazon(VPC).create(cidrBlock="10.1.0.0/16", tags={"stage": "live"})
    assert (vpc["tags"], vpc["tagsAll"]) == ({"stage": "live"}, {"owner": "us", "stage": "live"})


def test_without_an_account_previews_work_and_creations_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_RIG_ACCOUNT", raising=False)
    amazon = Amazon()
    _, planned = amazon(GROUP).create(preview=True, name="a")
    assert planned["name"] == "a"
    with pytest.raises(CallFailedError, match="SLIPWAY_RIG_ACCOUNT"):
        amazon(GROUP).create(name="a")
