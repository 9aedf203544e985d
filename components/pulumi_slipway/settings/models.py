"""What a stack can set, each key with its type, its default and what it is for.

The sections of targets hold what that target's server can be told (`servers/`); what is left out there takes the
server's own default.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Target = Literal["local", "existing", "ec2", "lightsail", "droplet", "linode"]
DatabaseKind = Literal[
    "sqlite",
    "postgresql",
    "mariadb",
    "rds-postgresql",
    "rds-mysql",
    "digitalocean-postgresql",
    "digitalocean-mysql",
    "lightsail-postgresql",
    "lightsail-mysql",
    "linode-postgresql",
]


# With the first model, pydantic would look for plug-ins of its own in all packages that are installed, which takes as
# long as all of these models together.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HealthSettings(Strict):
    """`slipway:app.health`: when a release counts as healthy."""

    path: str = Field(default="/", description="path that is asked")
    status: int = Field(default=200, description="status that the answer must have")
    text: str | None = Field(default=None, description="text that the answer must hold")
    timeout: int = Field(default=60, description="seconds from start to the first good answer")


class BuildSettings(Strict):
    """An item of `slipway:app.build`: a command, alone or with what it reads and makes."""

    run: str = Field(description="the command")
    inputs: list[str] = Field(default=[], description="files that it reads, in gitignore's syntax")
    outputs: list[str] = Field(default=[], description="files that it makes")

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: Any) -> Any:
        return {"run": given} if isinstance(given, str) else given


class MigrationSettings(Strict):
    """`slipway:app.migration`: how the release commands are run."""

    force: bool = Field(default=False, description="run them also when nothing that they depend on has changed")


class WorkerSettings(Strict):
    """An item of `slipway:app.workers`; a text is its command."""

    command: str | None = Field(default=None, description="a command of bash; default: the Procfile's")
    count: int | None = Field(default=None, description="how many of it run; default: 1")
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] | None = Field(
        default=None, description="what it is told to end by; default: TERM"
    )
    stop_timeout: int | None = Field(default=None, description="seconds to finish its job; default: 60")
    overlap: bool | None = Field(
        default=None, description="new ones start while old ones finish their jobs; default: true"
    )
    memory: int | None = Field(default=None, description="MiB that each may have; default: no limit")

    @model_validator(mode="before")
    @classmethod
    def _command(cls, value: Any) -> Any:
        return {"command": value} if isinstance(value, str) else value


class CronSettings(Strict):
    """An item of `slipway:app.cron`."""

    schedule: str | None = Field(default=None, description="cron's five fields, @daily, or a calendar event of systemd")
    command: str | None = Field(default=None, description="a command of bash; default: the Procfile's")
    missed: Literal["run", "skip"] | None = Field(
        default=None, description="run once, or skip, after times at which the server was off; default: skip"
    )
    timeout: int | None = Field(default=None, description="seconds after which it is ended; default: 3600")
    memory: int | None = Field(default=None, description="MiB that it may have; default: no limit")


class AppSettings(Strict):
    """`slipway:app`: the application. Only `path` is required."""

    path: str = Field(description="folder of the application, relative to the project")
    ref: str | None = Field(default=None, description="branch, tag or commit to release; default: the folder as it is")
    name: str | None = Field(default=None, description="name on the server; default: the folder's name")
    entry: str | None = Field(default=None, description="module:variable or module:factory(); default: found")
    kind: Literal["wsgi", "asgi"] | None = Field(default=None, description="default: found")
    server: Literal["gunicorn", "own"] = Field(
        default="gunicorn", description="gunicorn, or own: the app's own server, at the port in $PORT"
    )
    command: str | None = Field(default=None, description="command of its own server; default: the Procfile's web line")
    domains: list[str] = Field(default=[], description="host names; default: the server's address")
    build: list[BuildSettings] | None = Field(default=None, description="commands that make assets, without secrets")
    release: list[str] | None = Field(default=None, description="commands before the switch, once a release")
    workers: dict[str, WorkerSettings] = Field(default={}, description="programs beside the web server, by name")
    cron: dict[str, CronSettings] = Field(default={}, description="commands at certain times, by name")
    memory: int | None = Field(default=None, description="MiB that the web server may have; default: no limit")
    release_inputs: list[str] | None = Field(
        default=None, description="files that decide what those commands do, in gitignore's syntax"
    )
    migration: MigrationSettings = MigrationSettings()
    setup: list[str] | None = Field(default=None, description="commands that run once per database")
    setup_answer: str | None = Field(default=None, description="answer to a release that asked about one of them")
    persistent: list[str] | None = Field(default=None, description="what the app writes in its folder; default: found")
    static_url: str | None = Field(default=None, description="where nginx serves the static files; default: found")
    static_folder: str | None = Field(default=None, description="their folder; default: found")
    media_url: str | None = Field(
        default=None, description='where nginx serves uploaded files, as /media/; "": nowhere'
    )
    media_folder: str | None = Field(default=None, description="their folder; default: found")
    health: HealthSettings = HealthSettings()
    strategy: Literal["start-first", "stop-first"] = Field(
        default="start-first", description="start-first, or stop-first where memory is too small for two releases"
    )
    drain: int = Field(default=30, description="seconds for the old release to finish its requests")
    keep: int = Field(default=5, description="releases kept on the server")
    lock_wait: int = Field(default=60, description="seconds to wait for another release; 0: fail at once")
    archive_limit: int = Field(default=200, description="MiB that the source may hold")
    dependencies: str | None = Field(default=None, description="file that says what the app needs; default: found")
    python: str | None = Field(default=None, description='version of Python, as "3.12"; default: the server\'s own')
    python_mirror: str | None = Field(default=None, description="where uv finds the Pythons that it manages")
    system_packages: list[str] = Field(default=[], description="apt packages that the app needs to run, as libpq5")
    build_packages: list[str] | None = Field(
        default=None, description="apt packages for compiling, besides a compiler; default: nothing is compiled"
    )


class LocalSettings(Strict):
    """`slipway:local`: the machine of target `local`."""

    debian: Literal[12, 13] | None = Field(default=None, description="release of Debian, 12 or 13; default: 13")
    memory: int | None = Field(default=None, ge=256, description="limit in MiB; default: none")


class Ec2Settings(Strict):
    """`slipway:ec2`: the instance of target `ec2`. The region is `aws:region` or AWS_REGION."""

    instance_type: str | None = Field(default=None, description="as t4g.micro; its architecture decides the image's")
    image: str | None = Field(default=None, description="debian-13, debian-12 or ubuntu-24.04")
    ami: str | None = Field(default=None, description="id of an image of your own, in place of image")
    disk: int | None = Field(default=None, description="GiB of the root disk")
    subnet_id: str | None = Field(default=None, description="public subnet; default: one of the default VPC")
    tags: dict[str, str] | None = Field(default=None, description="tags of all that is made")


class LightsailSettings(Strict):
    """`slipway:lightsail`: the instance of target `lightsail`. The region is `aws:region` or AWS_REGION."""

    availability_zone: str | None = Field(default=None, description="as eu-central-1a; default: the region's a")
    bundle: str | None = Field(default=None, description="size, as micro_3_0")
    blueprint: str | None = Field(default=None, description="image, as debian_12")
    tags: dict[str, str] | None = Field(default=None, description="tags of all that is made")


class DropletSettings(Strict):
    """`slipway:droplet`: the droplet of target `droplet`."""

    region: str | None = Field(default=None, description="as fra1")
    size: str | None = Field(default=None, description="as s-1vcpu-1gb")
    image: str | None = Field(default=None, description="as debian-13-x64")
    vpc_uuid: str | None = Field(default=None, description="id of a VPC; default: the region's default VPC")
    own_vpc: bool | None = Field(default=None, description="true: a VPC of its own; default: false")
    project_id: str | None = Field(default=None, description="id of the project to be in; default: the account's")
    tags: list[str] | None = Field(default=None, description="tags of the droplet")


class LinodeSettings(Strict):
    """`slipway:linode`: the instance of target `linode`."""

    region: str | None = Field(default=None, description="as eu-central")
    type: str | None = Field(default=None, description="as g6-nanode-1")
    image: str | None = Field(default=None, description="as linode/debian13")
    reserved_address: bool | None = Field(
        default=None, description="true: an address that stays; only for accounts that may reserve one; default: false"
    )
    tags: list[str] | None = Field(default=None, description="tags of all that is made")


class ExistingSettings(Strict):
    """`slipway:existing`: the machine of target `existing`, which you have already."""

    address: str = Field(description="address or host name")
    host_key: str = Field(description="the key that sshd shows; `python -m pulumi_slipway.hostkey ADDRESS` prints it")
    port: int | None = Field(default=None, ge=1, le=65535, description="port of sshd; default: 22")
    user: str | None = Field(default=None, description="who logs in and may sudo; default: root")
    private_key: str | None = Field(default=None, description="that user's key, OpenSSH text without a passphrase")
    ssh_agent: bool | None = Field(default=None, description="use the keys of the running ssh-agent instead")
    sudo_password: str | None = Field(default=None, description="where sudo asks for one")
    harden: bool | None = Field(default=None, description="close sshd and the firewall as on machines of Slipway's own")
    other_sites: bool | None = Field(default=None, description="others' sites are served there, and stay")
    on_destroy: Literal["remove", "keep"] | None = Field(
        default=None, description="remove what Slipway put there, or keep it"
    )


class DatabaseSettings(Strict):
    """`slipway:database`: where the app's rows are."""

    kind: DatabaseKind = Field(default="sqlite", description="what runs it, and where")
    driver: Literal["psycopg", "psycopg2", "asyncpg", "pymysql", "plain"] | None = Field(
        default=None, description="form of DATABASE_URL; default: found in the app's requirements"
    )
    name: str | None = Field(default=None, description="name of the database; default: the app's, with _ for -")
    version: str | None = Field(default=None, description="major version, as 17")
    size: str | None = Field(default=None, description="instance class, size, bundle or type of a managed database")
    storage: int | None = Field(default=None, description="GiB of a database on RDS")
    ca_certificate: str | None = Field(default=None, description="PEM in place of the CA that the cloud is known by")
    snapshot_before_migrate: bool = Field(default=False, description="dump it before the release commands run")
    moved_from: str | None = Field(default=None, description="the database whose rows you have brought to this one")


class FirewallSettings(Strict):
    """An item of `slipway:firewall`: a port that is open besides 22, 80 and 443."""

    name: str = Field(description="what it is for")
    port: int = Field(ge=1, le=65535, description="one of 1 to 65535")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp")
    sources: list[str] = Field(default=["0.0.0.0/0", "::/0"], description="CIDR blocks; default: anywhere")


class Settings(Strict):
    """All settings of a stack."""

    target: Target = Field(description="where the server is: local, existing, ec2, lightsail, droplet or linode")
    app: AppSettings
    environment: dict[str, str] = Field(default={}, description="variables of the app, kept as secrets")
    database: DatabaseSettings = DatabaseSettings()
    local: LocalSettings | None = None
    existing: ExistingSettings | None = None
    ec2: Ec2Settings | None = None
    lightsail: LightsailSettings | None = None
    droplet: DropletSettings | None = None
    linode: LinodeSettings | None = None
    firewall: list[FirewallSettings] = Field(default=[], description="ports that are open besides 22, 80 and 443")
    admin_keys: list[str] = Field(default=[], description="public SSH keys of people")
    package_index: str | None = Field(default=None, description="Python package index of the server")
    proxy: str | None = Field(default=None, description="HTTP proxy of the server's package clients")
    generation: int = Field(default=1, ge=1, description="raise it to replace the server")
    carry_data: bool | None = Field(default=None, description="bring the apps' data to the server's next generation")
    experiment: bool = Field(default=False, description="protect nothing, so that destroy leaves nothing billed")
    ready_timeout: int = Field(default=600, ge=10, description="seconds for a server to become ready")
    observe: bool = Field(default=True, description="ask the server what is on it in each preview and up")
