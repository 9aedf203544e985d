"""What is alike in applications of any other framework."""

from __future__ import annotations

from .assets import translation_commands
from .flask import find_static
from .migrations import find_migrations
from .placeholders import NEUTRAL
from .recipe import Findings
from .tree import Tree


def other_findings(tree: Tree, module: str, packages: frozenset[str]) -> Findings:
    """Static files where most have them, translations and migrations."""
    static = find_static(tree, None, module)
    scripts = [name for name in tree.names if name.rpartition("/")[2] == "prestart.sh"]
    return Findings(
        build_variables=dict(NEUTRAL),
        build=translation_commands(tree, packages),
        static_url=static.url,
        static_folder=static.folder,
        migrations=find_migrations(tree),
        notes=[f"{name} is not run: what it does besides migrations belongs in release or setup" for name in scripts],
    )
