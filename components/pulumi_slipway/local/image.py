"""Images: plain folders, built once by mmdebstrap, kept by recipe, shared by machines through overlays."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from pulumi_slipway.local import hostconfig
from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.locks import held
from pulumi_slipway.local.process import run, say
from pulumi_slipway.local.recipe import CODENAMES, Recipe, codename, family
from pulumi_slipway.local.requirements import TO_BUILD, require_keyring, require_programs
from pulumi_slipway.local.state import UID_BASE, UID_COUNT, State, read_json, remove_tree, write_json

_BUILD_TIMEOUT = 1800  # seconds; a slow mirror may need most of it

# Installs packages in the root folder $1 and takes back what they enable (units are enabled by links). By the apt of
# that root, inside it: one outside is only a setting away from the host's own packages
_INSTALL_DISABLED = """set -eu
enabled() {{ find "$1/etc/systemd/system" -type l | sort; }}
enabled "$1" >"$1/tmp/enabled"
chroot "$1" apt-get --yes --no-install-recommends install {packages}
enabled "$1" | comm -13 "$1/tmp/enabled" - | xargs --no-run-if-empty rm
rm "$1/tmp/enabled"
"""


def host_recipe(debian: int, extra: Sequence[str] = ()) -> Recipe:
    """The recipe of a Debian release with `extra` packages on this host. Raises `LocalError` for an unknown release."""
    return Recipe(
        debian=debian,
        sources=hostconfig.apt_sources(codename(debian)),
        apt_options=tuple(hostconfig.apt_options()),
        certificates=hostconfig.ca_certificates(),
        extra=tuple(sorted(set(extra))),
    )


def rootfs(state: State, key: str) -> Path:
    """Where the image `key` lies."""
    return state.images / key / "rootfs"


@contextmanager
def ensured(state: State, recipe: Recipe, *, rebuild: bool = False) -> Iterator[str]:
    """Have an image of the recipe and give its key; `rebuild` makes a new one (with today's packages).

    Until the end of the `with`, nobody takes the image away: time to write down who uses it. Safe to interrupt and to
    run twice at once: an image gets its name when it is complete.
    """
    with held(_lock_file(state, recipe.debian), f"building the image {recipe.key}", timeout=_BUILD_TIMEOUT):
        state.prepare()  # whoever held the lock before may have removed everything
        key = None if rebuild else _newest(state, recipe)
        if key is None:
            key = _build(state, recipe)
            _prune(state, recipe, keep=key)
        yield key


def remove(state: State, debian: int, extra: Sequence[str] = ()) -> list[str]:
    """Remove the images of a Debian release and return their keys; with `extra`, only those with these packages.

    Raises `LocalError` while machines use one.
    """
    pattern = f"{family(debian, tuple(extra))}-*" if extra else f"debian{debian}[+-]*"
    with held(_lock_file(state, debian), "removing images"):
        found = [folder.name for folder in _images(state, pattern)]
        users = [record.name for record in state.records() if record.image in found]
        if users:
            raise LocalError(f"the machines {', '.join(users)} stand on this image: remove them first")
        for key in found:
            remove_tree(state.images / key)
        return found


@contextmanager
def none_in_the_making(state: State) -> Iterator[None]:
    """Until the end of the `with`, nobody builds an image, or writes down a machine that stands on one."""
    with ExitStack() as stack:
        for debian in CODENAMES:
            stack.enter_context(held(_lock_file(state, debian), "removing images", timeout=_BUILD_TIMEOUT))
        yield


def _lock_file(state: State, debian: int) -> Path:
    return state.locks / f"images-{debian}"


def _images(state: State, pattern: str) -> list[Path]:
    return [folder for folder in sorted(state.images.glob(pattern)) if folder.is_dir()]


def _newest(state: State, recipe: Recipe) -> str | None:
    """The last built image of the recipe (a rebuilt one has a number behind the recipe's key)."""
    found = _images(state, f"{recipe.key}*")
    return max(found, key=lambda folder: folder.stat().st_mtime).name if found else None


def _prune(state: State, recipe: Recipe, keep: str) -> None:
    used = {record.image for record in state.records()} | {keep}
    for folder in _images(state, f"{recipe.family}-*"):
        if folder.name not in used:
            remove_tree(folder)


def _build(state: State, recipe: Recipe) -> str:
    require_programs(TO_BUILD)
    require_keyring()
    for left_over in state.images.glob(f".building-debian{recipe.debian}[+-]*"):
        remove_tree(left_over)
    key = recipe.key
    while (state.images / key).exists():
        key = f"{recipe.key}-{secrets.token_hex(2)}"
    folder = state.images / f".building-{key}"
    folder.mkdir(mode=0o700)
    more = f" with {', '.join(recipe.extra)}" if recipe.extra else ""
    say(f"building the image of Debian {recipe.debian} ({recipe.codename}){more}; once, in about a minute")
    started = time.monotonic()
    _bootstrap(recipe, folder)
    _finish(recipe, folder / "rootfs")
    _shift_owners(folder / "rootfs")
    write_json(folder / "recipe.json", asdict(recipe))
    folder.rename(state.images / key)
    say(f"the image {key} is built ({time.monotonic() - started:.0f} s)")
    return key


def _bootstrap(recipe: Recipe, folder: Path) -> None:
    """Let mmdebstrap fill `folder`/rootfs; its log is `folder`/build.log."""
    certificates = folder / "certificates"
    certificates.mkdir()
    for name, text in recipe.certificates.items():
        (certificates / name).write_text(text)
    options = ["--mode=root", "--format=directory", "--variant=apt", f"--include={','.join(recipe.packages)}",
               "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']  # fmt: skip
    options += [f"--aptopt={option.rstrip(';')}" for option in recipe.apt_options]
    if recipe.certificates:
        target = f'"$1{hostconfig.CA_FOLDER}"'
        options.append(f"--customize-hook=cp '{certificates}'/*.crt {target} && chroot \"$1\" update-ca-certificates")
    options.append('--customize-hook=chroot "$1" systemctl enable systemd-networkd.service')
    if recipe.extra:
        options.append(f"--customize-hook={_INSTALL_DISABLED.format(packages=' '.join(recipe.extra))}")
    mirror = ["-"] if recipe.sources else []
    # Its own mount and process namespaces, and death with us: whatever happens, no mount and no process is left
    command = ["setpriv", "--pdeathsig=KILL", "--",
               "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
               "mmdebstrap", *options, recipe.codename, str(folder / "rootfs"), *mirror]  # fmt: skip
    log = folder / "build.log"
    with log.open("w") as output:
        try:
            done = subprocess.run(command, input=recipe.sources, text=True, stdout=output, stderr=output,
                                  timeout=_BUILD_TIMEOUT, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise LocalError(f"mmdebstrap did not end within {_BUILD_TIMEOUT} s; its log: {log}") from None
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LocalError(f"mmdebstrap could not build Debian {recipe.codename}; the end of {log}:\n{tail}")


def _finish(recipe: Recipe, root: Path) -> None:
    """Leave to each machine what must be its own, and write the recipe's files."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    for name, text in recipe.files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _shift_owners(root: Path) -> None:
    """Give every file to UID_BASE + its owner: a machine's users in the eyes of the host."""
    entries = [str(root)]
    for folder, folders, files in os.walk(root):
        entries += [os.path.join(folder, name) for name in folders + files]  # noqa: PTH118 - 20,000 of them
    seen: set[int] = set()
    for path in entries:
        status = os.lstat(path)
        if status.st_ino in seen:
            continue
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            seen.add(status.st_ino)
        if status.st_uid >= UID_COUNT or status.st_gid >= UID_COUNT:
            raise LocalError(f"{path} has an owner above {UID_COUNT}")
        capability = _capability(path)
        os.chown(path, UID_BASE + status.st_uid, UID_BASE + status.st_gid, follow_symlinks=False)
        # A change of owner takes set-user-id bits and file capabilities away
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(path, stat.S_IMODE(status.st_mode))  # noqa: PTH101
        if capability is not None:
            os.setxattr(path, "security.capability", capability, follow_symlinks=False)


def _capability(path: str) -> bytes | None:
    """The file's capabilities, in the form that is bound to the machines' root (VFS_CAP_REVISION_3)."""
    try:
        data = os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:
        return None
    flags = int.from_bytes(data[:4], "little") & 0xFF
    return (0x03000000 | flags).to_bytes(4, "little") + data[4:20] + UID_BASE.to_bytes(4, "little")


def describe(state: State, key: str) -> dict[str, object]:
    """What the command line prints of an image."""
    recipe = read_json(state.images / key / "recipe.json")
    size = run(["du", "-sm", str(state.images / key)], timeout=120).split()[0]
    return {"image": key, "debian": recipe["debian"], "path": str(rootfs(state, key)), "size_mib": int(size)}
