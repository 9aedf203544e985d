"""The entry point of an application: where its source makes the object that a server calls."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .code import assignments, bare_name, calls, functions, imported_from
from .recipe import DetectionError, Entry
from .tree import Tree

_LIKELY = ("wsgi", "asgi", "app", "application", "main", "server", "run")
_VARIABLES = ("app", "application")
FACTORIES = ("create_app", "make_app")
_WSGI_MAKERS = {
    "Flask": "Flask",
    "APIFlask": "Flask",
    "get_wsgi_application": "Django",
    "Bottle": "Bottle",
    "make_wsgi_app": "Pyramid",
}
_ASGI_MAKERS = {
    "FastAPI": "FastAPI",
    "Starlette": "Starlette",
    "Quart": "Quart",
    "Litestar": "Litestar",
    "get_asgi_application": "Django",
}
_SHOWN = 10
"""Files that an error lists."""
_MAKERS = _WSGI_MAKERS | _ASGI_MAKERS


@dataclass(frozen=True)
class Found:
    """An entry point, the framework that it is made by ("" where that is not seen), and the file that says so."""

    entry: Entry
    framework: str
    file: str


def find_entry(tree: Tree) -> Found:
    """The entry point of the application; raises `DetectionError` with what to set."""
    looked_at = []
    for module, file in _candidates(tree):
        looked_at.append(file)
        found = entry_in(tree, module, file)
        if found:
            return found
    shown = ", ".join(looked_at[:_SHOWN]) + (f" and {len(looked_at) - _SHOWN} more" if looked_at[_SHOWN:] else "")
    raise DetectionError(
        f"entry: no entry point found in {os.fspath(tree.folder)!r} (looked for an app or a create_app in "
        f"{shown or 'Python files, of which there are none'}); {_elsewhere(tree, looked_at)}"
        'set entry, for example entry: "mypackage:create_app()" or "wsgi:application"'
    )


def _elsewhere(tree: Tree, looked_at: Sequence[str]) -> str:
    """A hint at an application that lies deeper, in a folder with requirements of its own."""
    for file in tree.sources:
        if file not in looked_at and entry_in(tree, "", file):
            folders = [str(parent) for parent in PurePosixPath(file).parents][:-1]
            for folder in reversed(folders):
                if any(tree.has(f"{folder}/{name}") for name in ("pyproject.toml", "requirements.txt", "Pipfile")):
                    return f"{file} makes one: set path to {os.fspath(tree.folder / folder)!r}, or "
    return ""


def entry_in(tree: Tree, module: str, file: str) -> Found | None:
    """The entry point that a module has: `app` or `application` before any other variable that holds an application,
    and those before a factory."""
    parsed = tree.module(file)
    if parsed is None:
        return None
    made = {name: framework for name, value in assignments(parsed) if (framework := _made_by(tree, file, value))}
    for variable in (*_VARIABLES, *made):
        if variable in made:
            return _found(f"{module}:{variable}", made[variable], file)
    for function in functions(parsed):
        if function.name in FACTORIES and _needs_nothing(function):
            return _found(f"{module}:{function.name}()", maker_of(tree, file)[0], file)
    return None


def maker_of(tree: Tree, file: str, seen: frozenset[str] = frozenset()) -> tuple[str, str]:
    """By what a module makes its application, and the file that does: itself, or the module of this source that its
    application or its factory comes from. Empty where that is not seen."""
    parsed = tree.module(file)
    if parsed is None or file in seen:
        return "", ""
    for name in sorted(calls(parsed)):
        if name in _MAKERS:
            return _MAKERS[name], file
    for name, source in imported_from(parsed, package_of(file)).items():
        inner = tree.file_of(source) if name in (*FACTORIES, *_VARIABLES) else None
        if inner:
            framework, maker = maker_of(tree, inner, seen | {file})
            if framework:
                return framework, maker
    return "", ""


def kind_of(framework: str, target: str = "") -> str:
    """ "wsgi" or "asgi"."""
    if framework == "Django":
        return "asgi" if target.split(":", maxsplit=1)[0].endswith("asgi") else "wsgi"
    return "asgi" if framework in _ASGI_MAKERS.values() else "wsgi"


def package_of(file: str) -> str:
    """The dotted package that a file lies in, or is."""
    return ".".join(file.removeprefix("src/").split("/")[:-1])


def _candidates(tree: Tree) -> Iterator[tuple[str, str]]:
    """Modules by likelihood: wsgi.py, app.py, … at the top, then packages, then any other module at the top; and the
    same in src/."""
    for root in ("", "src/") if tree.has_folder("src") else ("",):
        for name in _LIKELY:
            if tree.has(f"{root}{name}.py"):
                yield name, f"{root}{name}.py"
        for package in tree.children(root.rstrip("/")):
            if tree.has(f"{root}{package}/__init__.py"):
                yield package, f"{root}{package}/__init__.py"
            for name in _LIKELY:
                if tree.has(f"{root}{package}/{name}.py"):
                    yield f"{package}.{name}", f"{root}{package}/{name}.py"
        for file in tree.sources:
            name = file.removeprefix(root)
            if "/" not in name and file.startswith(root) and name.removesuffix(".py") not in _LIKELY:
                yield name.removesuffix(".py"), file


def _made_by(tree: Tree, file: str, value: ast.expr) -> str:
    """The framework of an application that this expression makes; "Python" for a factory's of an unseen one."""
    called = {bare_name(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    for name in called:
        if name in _MAKERS:
            return _MAKERS[name]
    return (maker_of(tree, file)[0] or "Python") if called & set(FACTORIES) else ""


def _needs_nothing(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A server calls a factory without arguments."""
    arguments = function.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required == 0 and all(default is not None for default in arguments.kw_defaults)


def _found(target: str, framework: str, file: str) -> Found:
    framework = "" if framework == "Python" else framework
    return Found(Entry(target, kind_of(framework, target)), framework, file)
