"""Whether a target's cloud can be asked at all, found out before anything is: the plug-ins say it late and at length.

What is looked for is where the plug-ins look: the stack's configuration, the environment, the files of the cloud's own
command line. That credentials are there does not say that they are good; only the cloud does.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

from .forms import AWS_REGION

_AWS = ("ec2", "lightsail")


def missing_credentials(
    target: str, config: Mapping[str, str], environment: Mapping[str, str], home: Path
) -> str | None:
    """What is missing for the provider of `target`, and how to give it; None: nothing is.

    `config` is the stack's configuration with full keys (`aws:region`), `home` the user's folder.
    """
    if target in _AWS:
        found = _Aws(config, environment, home)
        return found.missing_credentials(target) or found.missing_region(target)
    if target == "droplet":
        return _missing_token(
            target, "DigitalOcean", "digitalocean:token",
            ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"), config, environment,
        )  # fmt: skip
    if target == "linode":
        file = Path(config.get("linode:configPath") or home / ".config" / "linode")
        if file.is_file():
            return None
        return _missing_token(target, "Linode", "linode:token", ("LINODE_TOKEN",), config, environment)
    return None


def _missing_token(
    target: str,
    cloud: str,
    key: str,
    variables: tuple[str, ...],
    config: Mapping[str, str],
    environment: Mapping[str, str],
) -> str | None:
    if config.get(key) or any(environment.get(variable) for variable in variables):
        return None
    return (
        f"target {target} needs a token of {cloud}: set the variable {' or '.join(variables)}, "
        f"or run `pulumi config set --secret {key}`"
    )


class _Aws:
    """AWS by the configuration, environment and files of one user.

    The order is that of the plug-in (`aws-sdk-go-base`): configuration, environment, shared files, web identity,
    container, metadata of the machine it runs on (which is asked only when the configuration says so).
    """

    def __init__(self, config: Mapping[str, str], environment: Mapping[str, str], home: Path) -> None:
        self.config, self.environment = config, environment
        self.profile = config.get("aws:profile") or environment.get("AWS_PROFILE") or "default"
        folder = home / ".aws"
        self.credentials_file = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or folder / "credentials")
        self.config_file = Path(environment.get("AWS_CONFIG_FILE") or folder / "config")
        self.in_credentials = _section(self.credentials_file, self.profile)
        named = "default" if self.profile == "default" else f"profile {self.profile}"
        self.in_config = _section(self.config_file, named)

    def missing_credentials(self, target: str) -> str | None:
        if self._elsewhere():
            return None
        key, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
        given = [name for name in (key, secret) if self.environment.get(name)]
        if len(given) == 1:
            absent = secret if given == [key] else key
            return (
                f"target {target} needs credentials of AWS: the variable {given[0]} is set, but {absent} is not; set it"
            )
        if given or self.in_credentials or any(_signs_in(name) for name in self.in_config):
            return None
        where = f"in {self.credentials_file} or {self.config_file}"
        if self.profile != "default":
            return (
                f"target {target} needs credentials of AWS: there is no profile {self.profile!r} {where}; "
                "make it (`aws configure --profile …`), or set aws:profile or AWS_PROFILE to one that is there"
            )
        return (
            f"target {target} needs credentials of AWS: set the variables {key} and {secret}, or AWS_PROFILE (a "
            f"profile {where}), or run `aws configure`; a role also does: AWS_WEB_IDENTITY_TOKEN_FILE with "
            "AWS_ROLE_ARN, or aws:skipMetadataApiCheck: false on a machine of EC2"
        )

    def missing_region(self, target: str) -> str | None:
        variables = ("AWS_REGION", "AWS_DEFAULT_REGION")
        given = {"aws:region": self.config.get("aws:region")}
        given |= {name: self.environment.get(name) for name in variables}
        given[f"region of profile {self.profile} in {self.config_file}"] = self.in_config.get("region")
        for key, region in given.items():
            if region:
                try:
                    AWS_REGION.check(key, region)
                except ValueError as error:
                    return str(error)
                return None
        return (
            f"target {target} needs to know a region of AWS: run `pulumi config set aws:region {AWS_REGION.example}` "
            f"(or another one), or set the variable {' or '.join(variables)}"
        )

    def _elsewhere(self) -> bool:
        """Credentials that are not the user's own keys."""
        config, environment = self.config, self.environment
        return bool(
            (config.get("aws:accessKey") and config.get("aws:secretKey"))
            or config.get("aws:sharedCredentialsFiles")
            or config.get("aws:sharedConfigFiles")
            or config.get("aws:assumeRoleWithWebIdentity")
            or (environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environment.get("AWS_ROLE_ARN"))
            or environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            or environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            or str(config.get("aws:skipMetadataApiCheck", "")).lower() == "false"
        )


def _signs_in(key: str) -> bool:
    """Whether this key of a profile leads to credentials (`region` and `output` do not)."""
    return key in ("aws_access_key_id", "role_arn", "credential_process", "login_session") or key.startswith("sso_")


def _section(file: Path, name: str) -> Mapping[str, str]:
    """A section of an INI file; empty when there is none."""
    parser = ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read(file)
    except (Error, UnicodeDecodeError):
        return {"unreadable": str(file)}  # the plug-in says what is wrong with it
    return dict(parser[name]) if parser.has_section(name) else {}
