"""The `pulumi` that stands first on PATH: the CLI, kept from writing into committed stack files.

Pulumi writes the salt of a stack's secrets into `Pulumi.<stack>.yaml`, and rewrites the file's layout as it does. The
salt belongs to one clone's passphrase, while the file is committed. So whatever deploys reads a fresh copy of the file
inside `.slipway/`; the salt is in the state file anyway, where the CLI finds it by
PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER. `pulumi config` works on the file itself: there, a change is wanted.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

from tools.common import CHECKOUT, LOCAL, ToolError, write_atomically

BIN = LOCAL / "bin"

_SCRIPT = """\
#!/bin/sh
# Made by tools/wrapper.py, which says why.
program={program}
checkout={checkout}
copies={copies}
selection="${{PULUMI_HOME:-}}"/workspaces/{workspace}
if [ -z "${{PULUMI_OPTION_CONFIG_FILE:-}}" ] && [ "$(pwd -P)" = "$checkout" ]; then
    case "${{1:-}}" in
    up | update | preview | pre | refresh | destroy | down | dn | import | watch)
        stack=${{PULUMI_STACK:-}}
        [ -n "$stack" ] || stack=$(sed -n 's/.*"stack": *"\\([^"]*\\)".*/\\1/p' "$selection" 2>/dev/null)
        previous=
        for word in "$@"; do
            case "$previous" in -s | --stack) stack=$word ;; esac
            case "$word" in
            --stack=*) stack=${{word#--stack=}} ;;
            --config-file | --config-file=*) exec "$program" "$@" ;;
            esac
            previous=$word
        done
        stack=${{stack##*/}}
        if [ -n "$stack" ] && [ -f "Pulumi.$stack.yaml" ]; then
            mkdir -p "$copies" &&
                cp "Pulumi.$stack.yaml" "$copies/.$stack.$$" &&
                mv "$copies/.$stack.$$" "$copies/Pulumi.$stack.yaml" || exit 1
            export PULUMI_OPTION_CONFIG_FILE="$copies/Pulumi.$stack.yaml"
        fi
        ;;
    esac
fi
exec "$program" "$@"
"""


def write(program: Path, checkout: Path = CHECKOUT) -> Path:
    """Write the script for the CLI at `program`; answer its path."""
    words = {
        "program": shlex.quote(str(program)),
        "checkout": shlex.quote(str(checkout)),
        "copies": shlex.quote(str(checkout / ".slipway" / "config")),
        "workspace": shlex.quote(_workspace(checkout)),
    }
    path = checkout / ".slipway" / "bin" / "pulumi"
    write_atomically(path, _SCRIPT.format(**words), mode=0o755)
    return path


def project(checkout: Path = CHECKOUT) -> str:
    """The project's name, from Pulumi.yaml. Raises ToolError."""
    found = re.search(r"^name: *(\S+)", (checkout / "Pulumi.yaml").read_text(), re.MULTILINE)
    if found is None:
        raise ToolError(f"{checkout / 'Pulumi.yaml'} names no project")
    return found[1]


def _workspace(checkout: Path) -> str:
    """The file in PULUMI_HOME in which the CLI keeps the selected stack of this project."""
    path = hashlib.sha1(str(checkout / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    return f"{project(checkout)}-{path}-workspace.json"
