"""Finds out how an application starts, from its files alone; nothing is imported or run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LIKELY = ("wsgi", "asgi", "app", "application", "main", "server", "run")
_WSGI_MAKERS = {"Flask", "get_wsgi_application", "Bottle", "Pyramid", "make_wsgi_app"}
_ASGI_MAKERS = {"FastAPI", "Starlette", "Quart", "Litestar", "get_asgi_application"}
_FACTORIES = ("create_app", "make_app")
_VARIABLES = ("app", "application")


class DetectionError(ValueError):
    """Nothing was found, or a given entry point does not fit; the message says where it was looked for."""


@dataclass(frozen=True)
class Entry:
    """`target` as gunicorn takes it (`module:variable` or `module:factory()`), `kind` "wsgi" or "asgi"."""

    target: str
    kind: str


def find_entry(folder: Path) -> Entry:
    """The entry point of the application in `folder`; raises `DetectionError` with what to set."""
    looked_at = []
    for module, file in _candidates(folder):
        looked_at.append(file.relative_to(folder).as_posix())
        found = _entry_in(module, file)
        if found:
            return found
    raise DetectionError(
        f"entry: no entry point found in {os.fspath(folder)!r} (looked for an app or a create_app in "
        f"{', '.join(looked_at) or 'Python files, of which there are none'}); "
        'set entry, for example entry: "mypackage:create_app()" or "wsgi:application"'
    )


def find_static(folder: Path, entry: str) -> str | None:
    """The folder of static files, relative to `folder`, where Flask looks for it; None: there is none."""
    package = entry.split(":", maxsplit=1)[0].replace(".", "/")
    for candidate in (f"{package}/static", f"{Path(package).parent.as_posix()}/static", "static"):
        if (folder / candidate).is_dir():
            return Path(candidate).as_posix()
    return None


def procfile_release(folder: Path) -> list[str]:
    """The command of the `release:` line of a Procfile, as a list of none or one."""
    procfile = folder / "Procfile"
    if not procfile.is_file():
        return []
    for line in procfile.read_text().splitlines():
        process, colon, command = line.partition(":")
        if colon and process.strip() == "release" and command.strip():
            return [command.strip()]
    return []


def _candidates(folder: Path) -> Iterator[tuple[str, Path]]:
    """Modules by likelihood: wsgi.py, app.py, … at the top, then packages, then any other module at the top."""
    for name in _LIKELY:
        if (folder / f"{name}.py").is_file():
            yield name, folder / f"{name}.py"
    for package in sorted(path.parent for path in folder.glob("*/__init__.py") if path.parent.name != "tests"):
        yield package.name, package / "__init__.py"
        for name in _LIKELY:
            if (package / f"{name}.py").is_file():
                yield f"{package.name}.{name}", package / f"{name}.py"
    for file in sorted(folder.glob("*.py")):
        if file.stem not in _LIKELY:
            yield file.stem, file


def _entry_in(module: str, file: Path) -> Entry | None:
    try:
        tree = ast.parse(file.read_text())
    except (SyntaxError, ValueError):
        return None
    kind = "asgi" if _calls(tree) & _ASGI_MAKERS else "wsgi"
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            made = _calls(statement) & (_WSGI_MAKERS | _ASGI_MAKERS | set(_FACTORIES))
            for variable in _VARIABLES:
                if variable in names and made:
                    return Entry(f"{module}:{variable}", kind)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name in _FACTORIES:
            return Entry(f"{module}:{statement.name}()", kind)
    return None


def _calls(tree: ast.AST) -> set[str]:
    """The bare names of everything that is called within `tree`."""
    functions = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        function.id if isinstance(function, ast.Name) else function.attr
        for function in functions
        if isinstance(function, ast.Name | ast.Attribute)
    }
