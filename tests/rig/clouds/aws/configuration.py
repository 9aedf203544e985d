"""The provider's own settings: region and credentials, from the configuration or the environment, as pulumi-aws 7
finds them (`provider/config.go`): a missing one is told before anything else is done."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator
from pathlib import Path

from ...bridged import BridgedConfiguration
from ...values import UNKNOWN, Properties
from . import catalog

REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
NO_CREDENTIALS = (
    "No valid credential sources found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or the "
    "settings aws:accessKey and aws:secretKey (with --secret), or aws:profile"
)
NO_REGION = (
    "Missing region information: make sure you have set your AWS region, e.g. `pulumi config set aws:region us-west-2`,"
    " or AWS_REGION"
)


class AwsConfiguration(BridgedConfiguration):
    """The settings of pulumi-aws."""

    def filled(self, settings: Properties) -> Properties:
        region = settings.get("region") or _first(REGION) or _of_profile("config", settings).get("region")
        return {**settings, "region": region} if region else settings

    def check(self, settings: Properties) -> Iterator[tuple[str, str]]:
        if UNKNOWN in settings.values():
            return
        skip = settings.get("skipCredentialsValidation") or os.environ.get("AWS_SKIP_CREDENTIALS_VALIDATION")
        if not settings.get("region"):
            yield "", NO_REGION
        elif settings["region"] not in catalog.regions():
            host = f"sts.{settings['region']}.amazonaws.com"
            yield "", f"unable to validate AWS credentials.\nDetails: lookup {host}: no such host (Invalid AWS Region)"
        elif not skip and not _has_credentials(settings):
            yield "", NO_CREDENTIALS


def _first(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _has_credentials(settings: Properties) -> bool:
    key = settings.get("accessKey") or os.environ.get("AWS_ACCESS_KEY_ID")
    secret = settings.get("secretKey") or os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return True
    return bool(_of_profile("credentials", settings).get("aws_access_key_id"))


def _of_profile(kind: str, settings: Properties) -> dict[str, str]:
    """What the chosen profile has in `~/.aws/credentials` or `~/.aws/config`."""
    profile = str(settings.get("profile") or os.environ.get("AWS_PROFILE") or "default")
    variable = "AWS_SHARED_CREDENTIALS_FILE" if kind == "credentials" else "AWS_CONFIG_FILE"
    path = Path(os.environ.get(variable) or Path.home() / ".aws" / kind)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path)
    except (OSError, configparser.Error):
        return {}
    section = profile if kind == "credentials" or profile == "default" else f"profile {profile}"
    return dict(parser[section]) if parser.has_section(section) else {}
