"""What a source has as text and its programs want compiled: translations."""

from __future__ import annotations

import re

from .tree import Tree

_CATALOGUE = re.compile(r"(.+)/[\w@-]+/LC_MESSAGES/([\w.-]+)\.po")
_BABEL = {"flask-babel", "flask-babelex", "babel", "fastapi-babel", "quart-babel"}


def translation_commands(tree: Tree, packages: frozenset[str]) -> list[str]:
    """The commands of Babel that compile the catalogues which the source has without their compiled form."""
    if not packages & _BABEL:
        return []
    missing = {
        (match[1], match[2])
        for name in tree.names
        if (match := _CATALOGUE.fullmatch(name)) and not tree.has(f"{name.removesuffix('.po')}.mo")
    }
    domains = ((folder, "" if domain == "messages" else f" -D {domain}") for folder, domain in sorted(missing))
    return [f"pybabel compile -d {folder}{domain}" for folder, domain in domains]
