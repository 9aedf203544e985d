"""A Procfile's web line: the set-up before its server, the server, and the application that it serves."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from .gunicorn import read_options
from .shell import Command, split_chain, without_runner
from .tree import Tree

_WRAPPERS = ("newrelic-admin", "ddtrace-run", "opentelemetry-instrument", "start-nginx", "start-pgbouncer")
_BEFORE = re.compile(r"^(?:(?:exec|env)\s+|[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|\S)*\s+)*")
"""What stands before a program: its variables are set for all of the release."""
_DEVELOPMENT = "a server for development"


@dataclass
class WebLine:
    """What a web line says."""

    line: str
    setup: list[str] = field(default_factory=list)
    """Commands before its server."""
    serve: str = ""
    """The command of its server."""
    server: str = ""
    """Name of the server; empty where the line is not understood."""
    target: str | None = None
    """What it serves, as gunicorn takes it; None: the line does not say so."""
    kind: str | None = None
    folder: str = ""
    """Where its server runs, relative to the source."""
    options: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_web_line(text: str, tree: Tree) -> WebLine:
    """The web line `text` of the source `tree`; one that is not understood has no server, and is all there is in
    `serve`."""
    web = WebLine(line=text, serve=without_runner(text))
    chain = split_chain(web.serve)
    if not chain:
        return web
    *before, server = chain
    for command in before:
        _note_setup(web, command)
    web.variables.update(server.variables)
    words = _without_wrapper(web, list(server.words))
    name, rest = _program(words)
    if name in _READERS:
        web.server = name
        web.serve = _in(web.folder, _BEFORE.sub("", server.text))
        _READERS[name](web, [*rest, *(_of_ini(tree, web.folder, rest) if name == "uwsgi" else [])])
    elif before:
        web.serve = _in(web.folder, _BEFORE.sub("", server.text))
    return web


def _note_setup(web: WebLine, command: Command) -> None:
    words = command.words
    if words[:1] == ("cd",) and len(words) == 2 and not words[1].startswith(("/", "~", "$")):
        web.folder = os.path.normpath(f"{web.folder}/{words[1]}").lstrip("/")
    elif words[:1] == ("export",):
        assigned = [word.partition("=") for word in words[1:]]
        web.variables.update({name: value for name, equals, value in assigned if equals})
    elif words and words[0] not in ("set", "echo"):
        web.setup.append(_in(web.folder, command.text))
    elif not words:
        web.variables.update(command.variables)


def _in(folder: str, command: str) -> str:
    return f"cd {folder} && {command}" if folder not in ("", ".") else command


def _without_wrapper(web: WebLine, words: list[str]) -> list[str]:
    while words and words[0] in _WRAPPERS:
        taken = 2 if words[0] == "newrelic-admin" else 1
        web.notes.append(
            f"`{' '.join(words[:taken])}` around its server is left out; server: own runs the line as it is"
        )
        words = words[taken:]
    return words


def _program(words: Sequence[str]) -> tuple[str, list[str]]:
    """Name and arguments of what runs: also of `python -m uvicorn` and `python manage.py runserver`."""
    if not words:
        return "", []
    name, rest = PurePosixPath(words[0]).name, list(words[1:])
    if re.fullmatch(r"python(3(\.\d+)?)?", name):
        rest = [word for word in rest if word not in ("-u", "-O")]
        if rest[:1] == ["-m"] and len(rest) > 1:
            return _program(rest[1:])
        if rest and PurePosixPath(rest[0]).name == "manage.py" and rest[1:2] in (["runserver"], ["runserver_plus"]):
            return "runserver", rest[2:]
        return "", []
    if name in ("flask", "fastapi"):
        return _subcommand(name, rest)
    return name, rest


def _subcommand(name: str, words: list[str]) -> tuple[str, list[str]]:
    """`flask --app shop run` and `fastapi run main.py`."""
    for command in ("run", "dev"):
        if command in words:
            place = words.index(command)
            return f"{name} run", words[:place] + words[place + 1 :]
    return "", []


def _gunicorn(web: WebLine, words: list[str]) -> None:
    options = read_options(words)
    web.options, web.notes = options.settings, web.notes + options.notes
    web.variables.update(options.variables)
    folder = str(options.settings.pop("chdir", ""))
    if folder:
        web.folder = os.path.normpath(f"{web.folder}/{folder}").lstrip("/")
    web.target = _target(options.application)
    worker = str(options.settings.get("worker_class", ""))
    if worker:
        web.kind = "asgi" if "uvicorn" in worker or worker == "asgi" else "wsgi"


def _uwsgi(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    module = values.get("--module") or values.get("-w") or values.get("--wsgi")
    file = values.get("--wsgi-file") or values.get("--file") or values.get("--mount", "").rpartition("=")[2]
    folder = values.get("--chdir", "")
    if folder and not folder.startswith("/"):
        web.folder = os.path.normpath(f"{web.folder}/{folder}").lstrip("/")
    web.kind = "wsgi"
    callable_ = values.get("--callable", "application")
    if module:
        web.target = module if ":" in module else f"{module}:{callable_}"
    elif file:
        web.target = f"{_module_of(file)}:{callable_}"
    _instead(web)


def _of_ini(tree: Tree, folder: str, words: Sequence[str]) -> list[str]:
    """The options in uwsgi's configuration file, as words of a command line."""
    files = [word.partition("=")[2] if word.startswith("--ini=") else word for word in words]
    found = []
    for file in (os.path.normpath(f"{folder}/{name}").lstrip("/") for name in files if name.endswith(".ini")):
        for line in tree.text(file).splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith(("#", ";")):
                found.append(f"--{name.strip()}={value.strip()}")
    return found


def _uvicorn(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    web.target = _target(_positional(words), factory="--factory" in words)
    folder = values.get("--app-dir", "")
    if folder and not folder.startswith("/"):
        web.folder = os.path.normpath(f"{web.folder}/{folder}").lstrip("/")
    web.kind = "wsgi" if values.get("--interface") == "wsgi" else "asgi"
    workers = values.get("--workers", "")
    if workers.isdigit():
        web.options["workers"] = int(workers)
    if values.get("--root-path"):
        web.options["root_path"] = values["--root-path"]
    _instead(web)


def _hypercorn(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    web.target = _target(_positional(words))
    web.kind = "asgi"
    workers = values.get("--workers", values.get("-w", ""))
    if workers.isdigit():
        web.options["workers"] = int(workers)
    if (web.target or "").startswith("wsgi:"):
        web.target, web.kind = (web.target or "").removeprefix("wsgi:"), "wsgi"
    _instead(web)


def _daphne(web: WebLine, words: list[str]) -> None:
    web.target, web.kind = _target(_positional(words)), "asgi"
    _instead(web)


def _waitress(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    web.target = _target(_positional(words), factory="--call" in words)
    web.kind = "wsgi"
    threads = values.get("--threads", "")
    if threads.isdigit():
        web.options["threads"] = int(threads)
    _instead(web)


def _flask_run(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    application = values.get("--app") or values.get("-A")
    if application:
        web.variables.setdefault("FLASK_APP", application)
    web.kind = "wsgi"
    _instead(web, _DEVELOPMENT)


def _fastapi_run(web: WebLine, words: list[str]) -> None:
    values = _values(words)
    workers = values.get("--workers", "")
    if workers.isdigit():
        web.options["workers"] = int(workers)
    file, variable = _positional(words), values.get("--app", "app")
    if values.get("--entrypoint") or values.get("-e"):
        web.target = values.get("--entrypoint") or values.get("-e")
    elif file and file.endswith(".py"):
        web.target = f"{_module_of(file)}:{variable}"
    web.kind = "asgi"
    _instead(web)


def _runserver(web: WebLine, words: list[str]) -> None:
    for word in words:
        if word.startswith("--settings="):
            web.variables["DJANGO_SETTINGS_MODULE"] = word.partition("=")[2]
    _instead(web, _DEVELOPMENT)


_READERS: dict[str, Callable[[WebLine, list[str]], None]] = {
    "gunicorn": _gunicorn,
    "uwsgi": _uwsgi,
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "daphne": _daphne,
    "waitress-serve": _waitress,
    "waitress": _waitress,
    "flask run": _flask_run,
    "fastapi run": _fastapi_run,
    "runserver": _runserver,
}


def _instead(web: WebLine, what: str = "") -> None:
    web.notes.append(
        f"the Procfile's web line runs {web.server}{', ' + what if what else ''}: gunicorn serves the application in "
        "its place; server: own runs the line as it is"
    )


_WITHOUT_VALUE = {
    "--factory",
    "--call",
    "--reload",
    "--proxy-headers",
    "--no-proxy-headers",
    "--access-log",
    "--no-access-log",
    "--use-colors",
    "--no-use-colors",
    "--master",
    "--enable-threads",
    "--die-on-term",
    "--need-app",
    "--vacuum",
    "--single-interpreter",
    "--no-call",
    "--expose-tracebacks",
    "--clear-untrusted-proxy-headers",
    "--debug",
    "--no-debug",
    "--with-threads",
    "--without-threads",
}


def _values(words: Sequence[str]) -> dict[str, str]:
    """The options of another server: flag → value ("" for one without)."""
    values: dict[str, str] = {}
    pending = ""
    for word in words:
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            values[name] = value
            pending = "" if equals or name in _WITHOUT_VALUE else name
        elif pending:
            values[pending] = word
            pending = ""
    return values


def _positional(words: Sequence[str]) -> str | None:
    """What is no option and no value of one."""
    pending = False
    for word in words:
        if word.startswith("-"):
            pending = "=" not in word and word not in _WITHOUT_VALUE
        elif pending:
            pending = False
        else:
            return word
    return None


def _target(application: str | None, factory: bool = False) -> str | None:
    """An application as gunicorn takes it, with what servers leave out: the variable `application`, the call."""
    if application is None or "$" in application:
        return None
    target = application if ":" in application else f"{application}:{'create_app' if factory else 'application'}"
    return f"{target}()" if factory and not target.endswith(")") else target


def _module_of(file: str) -> str:
    return os.path.normpath(file).removesuffix(".py").replace("/", ".")
