"""The arguments of a `WebApp`: what each means, and what it is by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from .processes import CronArgs, WorkerArgs
from .steps import BuildFilesArgs


class HealthArgs(TypedDict):
    """When a release counts as healthy; asked on its own socket, before it gets any visitor."""

    path: NotRequired[str]
    """Default: "/"."""
    status: NotRequired[int]
    """The status that the answer must have; default: 200."""
    text: NotRequired[str]
    """Text that the answer must hold; default: any answer will do."""
    timeout: NotRequired[int]
    """Seconds from start to the first good answer; default: 60."""


class MigrationArgs(TypedDict):
    """How the release commands are run."""

    force: NotRequired[bool]
    """Run them also when nothing that decides what they do has changed; default: false."""


class AppArgs(TypedDict):
    """The application, whatever server it is on. `path` is required."""

    path: str
    """Folder of the application, relative to the project."""
    ref: NotRequired[str]
    """Branch, tag or commit of the folder's git repository that is released; default: the folder as it is."""
    name: NotRequired[str]
    """Name of the app on the server; default: the folder's name."""
    entry: NotRequired[str]
    """`module:variable` or `module:factory()`; default: found in the source."""
    kind: NotRequired[str]
    """"wsgi" or "asgi"; default: found in the source, else "wsgi"."""
    server: NotRequired[str]
    """"gunicorn" (default), or "own": the app's own server, which listens on 127.0.0.1 at the port in $PORT."""
    command: NotRequired[str]
    """Command of its own server, for server "own"; default: the Procfile's web line."""
    domains: NotRequired[Sequence[str]]
    """Host names that the app answers to; default: the server's address."""
    build: NotRequired[Sequence[str]]
    """Commands that make assets, run without secrets in a copy of the source; default: found in the source."""
    build_files: NotRequired[Mapping[str, BuildFilesArgs]]
    """By command: the files that it reads and makes. It is not run when it was run on the same ones. Default: known of
    translations and Django's collectstatic; others run in each release."""
    release: NotRequired[Sequence[str]]
    """Commands run once a release before it gets visitors, such as migrations; default: the Procfile's, else those of
    the migrations that are found."""
    release_inputs: NotRequired[Sequence[str]]
    """The files that decide what those commands do, in gitignore's syntax: while they are the same, the commands are
    not run again. Default: known of Flask-Migrate, Alembic and Django; else they are run at each release."""
    migration: NotRequired[MigrationArgs]
    setup: NotRequired[Sequence[str]]
    """Commands run once per database, as "flask init-db"; default: none, or found where that is certain to do no
    harm."""
    setup_answer: NotRequired[str]
    """"done NUMBER" or "run NUMBER", where a release asked whether such a command may run on a database in use."""
    snapshot_before_migrate: NotRequired[bool]
    """Dump the database on the server before the release commands run; default: false."""
    persistent: NotRequired[Sequence[str]]
    """Files and folders in `path` that the app writes, and that outlive a release; default: found in the source."""
    workers: NotRequired[Mapping[str, WorkerArgs]]
    """Programs that run beside the web server, by name; default: the Procfile's."""
    cron: NotRequired[Mapping[str, CronArgs]]
    """Commands that run at certain times, by name; default: the Procfile's."""
    memory: NotRequired[int]
    """MiB that the web server of a release may have, all its processes together; default: no limit."""
    static_url: NotRequired[str]
    """Where nginx serves the static files; default: what the source says, else "/static/"."""
    static_folder: NotRequired[str]
    """Their folder, relative to `path`; default: Flask's, or Django's STATIC_ROOT, if there is one."""
    media_url: NotRequired[str]
    """Where nginx serves uploaded files, as "/media/", or "" for nowhere; default: Django's MEDIA_URL, if no view of
    the app is there."""
    media_folder: NotRequired[str]
    """Their folder, which is persistent; default: Django's MEDIA_ROOT, else "media"."""
    environment: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Variables of the app; all treated as secrets. `DATABASE_URL` (SQLite) and `SECRET_KEY` have defaults."""
    health: NotRequired[HealthArgs]
    strategy: NotRequired[str]
    """"start-first" (default): a release starts beside the one it replaces, and no request fails. "stop-first", for a
    server whose memory does not hold two: the old one stops first, and for some seconds nothing answers."""
    drain: NotRequired[int]
    """Seconds that the old release may take to finish its requests; default: 30."""
    keep: NotRequired[int]
    """Releases kept on the server, the live one included; default: 5."""
    lock_wait: NotRequired[int]
    """Seconds that a release waits for another one of the same app to end, 0: it fails at once; default: 60."""
    archive_limit: NotRequired[int]
    """MiB that the source may hold; default: 200."""
    dependencies: NotRequired[str]
    """The file that says what the app needs, relative to `path`; default: the one that is found."""
    python: NotRequired[str]
    """Version of Python, as "3.12": the server's own where it is of that version, else one that uv manages; default:
    the server's own."""
    python_mirror: NotRequired[str]
    """URL where uv finds the Pythons that it manages; default: uv's own."""
    system_packages: NotRequired[Sequence[str]]
    """Packages of the server's distribution that the app needs to run, as "libpq5"; default: none."""
    build_packages: NotRequired[Sequence[str]]
    """Packages of the distribution that are there while the environment is made, besides a compiler and Python's
    headers; an empty list: these alone. Default: nothing that needs a compiler is installed."""
    database_driver: NotRequired[str]
    """Form of `DATABASE_URL`: "psycopg", "psycopg2", "asyncpg", "pymysql" (SQLAlchemy's) or "plain"; default: found in
    the app's requirements."""
    database_moved_from: NotRequired[str]
    """The database whose rows you have brought to the present one, as the refusal to change it silently names it."""
    observe: NotRequired[bool]
    """Ask the server what is on it in each preview and up; default: true."""


class WebAppArgs(AppArgs):
    """`host`, `private_key` and `path` are required."""

    host: pulumi.Input[Mapping[str, Any]]
    """`server.host` of any Slipway server."""
    private_key: pulumi.Input[str]
    """`server.private_key`."""
    machine: NotRequired[pulumi.Resource]
    """`server.machine`: what is on it need not be removed when it goes itself. Default: the machine stays, and
    destroying the app removes it there."""
    image: NotRequired[str]
    """What the server is made from, as "debian-13" or "ubuntu-24.04-arm64": tells, before it is there, whether the
    app's packages can be had. Default: that is only told of a server that is there."""
    database: NotRequired[pulumi.Input[Mapping[str, Any]]]
    """`database.database` of any Slipway database, or a mapping with the keys of `Database`; default: a file of
    SQLite in the app's `shared/data`."""
    database_password: NotRequired[pulumi.Input[str]]
    """`database.password`."""
