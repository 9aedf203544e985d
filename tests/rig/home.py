"""Lay out a folder that makes the Pulumi CLI use the rig: `bin` for PATH and `plugins` for PULUMI_HOME.

Standard library only: `tools` calls it with the system's Python.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

RIG = Path(__file__).resolve().parent
PLUGINS = ("command", "random", "tls", "aws", "digitalocean", "linode")


def make(home: Path, engine: Path, venv: Path) -> None:
    """Make or renew `home/bin/{pulumi,pulumi-language-python}` and `home/plugins/...`.

    `engine` is the CLI's file; `venv` the virtual environment that the stand-ins run in, which has the Pulumi SDK and
    the SDKs of the plug-ins: their versions are the versions that the engine will ask for.
    """
    site_packages = next(iter(sorted(venv.glob("lib/python*/site-packages"))), None)
    if site_packages is None:
        raise FileNotFoundError(f"{venv} is no virtual environment: it has no site-packages")
    bin_folder = home / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True)
    _same_file(engine, bin_folder / "pulumi")
    # Beside the CLI a language host counts as bundled with it.
    language = _launcher("language-python", _sdk_version(site_packages), venv, site_packages)
    _write_program(bin_folder / "pulumi-language-python", language)
    plugins = home / "plugins"
    if plugins.is_symlink():  # an official engine was in use: what it leads to is not the rig's to change
        plugins.unlink()
    wanted = set()
    for name, version in _plugin_versions(site_packages):
        folder = plugins / f"resource-{name}-v{version}"
        wanted.add(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        _write_program(folder / f"pulumi-resource-{name}", _launcher(name, version, venv, site_packages))
    for folder in plugins.iterdir():
        if folder.is_dir() and folder.name not in wanted:
            shutil.rmtree(folder)


def _plugin_versions(site_packages: Path) -> Iterator[tuple[str, str]]:
    for name in PLUGINS:
        wish = site_packages / f"pulumi_{name}" / "pulumi-plugin.json"
        if wish.exists():
            yield name, json.loads(wish.read_text())["version"]


def _sdk_version(site_packages: Path) -> str:
    found = next(iter(site_packages.glob("pulumi-[0-9]*.dist-info")), None)
    if found is None:
        raise FileNotFoundError(f"the package pulumi is not installed in {site_packages}")
    return found.name.removeprefix("pulumi-").removesuffix(".dist-info")


def _launcher(name: str, version: str, venv: Path, site_packages: Path) -> str:
    # A shell script, as a shebang line has no room for a long path or for two options. -I -S: nothing of the user's
    # environment, and none of the start-up work that finds packages; the launcher is told where they are.
    words = [venv / "bin" / "python", "-I", "-S", RIG / "launch.py", site_packages, name, version]
    return f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n'


def _same_file(source: Path, target: Path) -> None:
    """A hard link, or a copy on another file system; a symbolic link is resolved by the CLI, which must not be."""
    if target.exists() and (target.samefile(source) or _alike(source, target)):
        return
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    try:
        scratch.hardlink_to(source)
    except OSError:
        shutil.copy2(source, scratch)
    scratch.replace(target)


def _alike(one: Path, other: Path) -> bool:
    first, second = one.stat(), other.stat()
    return (first.st_size, int(first.st_mtime)) == (second.st_size, int(second.st_mtime))


def _write_program(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.chmod(0o755)
    scratch.replace(path)
