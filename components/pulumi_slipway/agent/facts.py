"""What kind of machine this is: information for people, quickly."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import files, paths

_DUMP_TOOLS = ("pg_dump", "mariadb-dump", "mysqldump")


def facts() -> dict[str, Any]:
    """Facts as of now; what cannot be found out is None."""
    release = _os_release()
    return {
        "os": release.get("PRETTY_NAME"),
        "os_id": release.get("ID"),
        "version": release.get("VERSION_ID"),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": _memory() // (1024 * 1024),
        "disk_free_mb": _disk_free() // (1024 * 1024),
        "python": platform.python_version(),
        "glibc": _glibc(),
        "nginx": _first_version(["nginx", "-v"]),
        "openssl": _first_version(["openssl", "version"]),
        "dump_tools": [name for name in _DUMP_TOOLS if shutil.which(name)],
        "boot_id": _boot_id(),
    }


def agent_digest() -> str:
    """SHA-256 of the agent that is running: of its one file."""
    own = Path(sys.argv[0]).resolve()
    return files.sha256_file(own) if own.is_file() else ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _glibc() -> str | None:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[2] or None
    except (OSError, ValueError):
        return None


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _disk_free() -> int:
    state = os.statvfs(paths.rooted("/srv"))
    return state.f_bavail * state.f_frsize


def _first_version(command: list[str]) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    for word in (result.stdout + result.stderr).replace("/", " ").split():
        if word[0].isdigit():
            return word
    return None


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
