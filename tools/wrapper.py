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
command= stack= folder=. named=${{PULUMI_OPTION_CONFIG_FILE:-}}

# As the CLI itself reads its command line: before the command, whatever option it does not know takes the next word.
value=
for word in "$@"; do
    if [ -n "$value" ]; then
        case "$value" in
        -s | --stack) stack=$word ;;
        -C | --cwd) folder=$word ;;
        --config-file) named=$word ;;
        esac
        value=
        continue
    fi
    case "$word" in
    --) break ;;
    --stack=*) stack=${{word#*=}} ;;
    --cwd=*) folder=${{word#*=}} ;;
    --config-file=*) named=${{word#*=}} ;;
    -s | --stack | -C | --cwd | --config-file) value=$word ;;
    -m | --message | -c | --config | -t | --target | -p | --parallel | -v | --verbose) value=$word ;;
    --color | --exclude | --otel-traces | --profiling | --replace | --target-replace | --tracing) value=$word ;;
    -s?*) stack=${{word#-s}} stack=${{stack#=}} ;;
    -C?*) folder=${{word#-C}} folder=${{folder#=}} ;;
    --*=* | --disable-integrity-checking | --emoji | --fully-qualify-stack-names | --help | --version) ;;
    --logflow | --logtostderr | --non-interactive | -[eQh]) ;;
    --* | -?) [ -n "$command" ] || value=$word ;;
    -*) ;;
    *) command=${{command:-$word}} ;;
    esac
done

# The project is the nearest one above.
folder=$(CDPATH='' cd -- "$folder" 2>/dev/null && pwd -P)
while [ -n "$folder" ] && [ ! -e "$folder/Pulumi.yaml" ] && [ ! -e "$folder/Pulumi.yml" ]; do
    folder=${{folder%/*}}
done

if [ "$folder" != "$checkout" ]; then
    # The stack that `make env` has chosen is one of this project alone.
    [ "${{PULUMI_STACK:-}}" != "${{SLIPWAY_STACK:-}}" ] || unset PULUMI_STACK
elif [ -z "$named" ]; then
    case "$command" in
    up | update | preview | pre | refresh | destroy | down | dn | import | watch)
        stack=${{stack:-${{PULUMI_STACK:-}}}}
        [ -n "$stack" ] || stack=$(sed -n 's/.*"stack": *"\\([^"]*\\)".*/\\1/p' "$selection" 2>/dev/null)
        stack=${{stack##*/}}
        if [ -n "$stack" ] && [ -f "$checkout/Pulumi.$stack.yaml" ]; then
            mkdir -p "$copies" &&
                cp "$checkout/Pulumi.$stack.yaml" "$copies/.$stack.$$" &&
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
