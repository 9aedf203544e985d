"""What a program of the package printed when Pulumi ran it last, for a command that `remembers` (see `remote.py`)."""

from __future__ import annotations

import json
import os
from typing import Any


def previous_output() -> dict[str, Any]:
    """The JSON object of the last run; empty when this is the first one.

    pulumi-command puts it into the environment of an update, and of nothing else.
    """
    text = os.environ.get("PULUMI_COMMAND_STDOUT", "").strip()
    return dict(json.loads(text)) if text else {}
