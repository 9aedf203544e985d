"""Django's uploaded files: where they are, and whether anybody may have them by their address alone."""

from __future__ import annotations

import re

from .django import Project
from .recipe import Findings
from .tree import Tree
from .values import in_source


def find_media(tree: Tree, project: Project, found: Findings) -> None:
    """Have nginx serve MEDIA_ROOT at MEDIA_URL, unless a view of the app is there: it may ask who wants them."""
    folder, url = in_source(project.values.get("MEDIA_ROOT")), project.values.get("MEDIA_URL")
    if not folder or not isinstance(url, str) or "://" in url or url.startswith("//"):
        return
    path = f"/{url.strip('/')}/"
    if not re.fullmatch(r"/([\w.-]+/)+", path):
        return
    own = _own_route(tree, path)
    if own is not None:
        found.notes.append(f"{own} has a view at {path}: uploaded files are left to it; set media_url to have nginx")
        return
    found.media_url, found.media_folder = path, folder


def _own_route(tree: Tree, path: str) -> str | None:
    """The file that names a route which begins with it."""
    route = re.compile(rf"""["'][\^/]*{re.escape(path.strip("/"))}/""")
    return next((name for name in tree.sources if name.endswith("urls.py") and route.search(tree.text(name))), None)
