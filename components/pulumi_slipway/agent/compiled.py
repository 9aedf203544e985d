"""The agent's modules once more, compiled, in a folder beside its one file, which runs from there where it is.

Python keeps nothing of what it compiles out of a zip: each start would compile all anew, which takes longer than many
a thing that the agent is started for, the start of a web process among them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import files
from .lock import held
from .progress import say


def folder(program: Path) -> Path:
    """Where the modules of an agent's file lie; `__main__` in it looks there, too."""
    return program.with_suffix("")


def ensure() -> None:
    """Have this agent's modules there. Without them it is slower, so a failure is only told."""
    program = Path(sys.argv[0]).resolve()
    place = folder(program)
    if program.suffix != ".pyz" or place.is_dir():
        return
    new = program.with_suffix(".new")
    try:
        with held("modules", "compiling the agent's modules"):
            if place.is_dir():
                return
            files.remove(new)
            _make(program, new)
            files.sync_filesystem(program.parent)
            new.rename(place)
    except OSError as error:
        say(f"warning: the agent's modules are not kept compiled: {error}")


def _make(program: Path, new: Path) -> None:
    # both are needed once in an agent's life
    import compileall
    import py_compile
    import zipfile

    new.mkdir(mode=0o755)
    with zipfile.ZipFile(program) as archive:
        archive.extractall(new)
    # nobody but root can write there, so the sources need not be looked at
    compileall.compile_dir(new, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    for place, _, names in os.walk(new):
        Path(place).chmod(0o755)
        for name in names:
            Path(place, name).chmod(0o644)
