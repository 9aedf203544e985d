"""Flask: which application its command works on, its static files, its instance folder, how its tables are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .assets import translation_commands
from .code import bare_name, functions, text_of
from .entry import FACTORIES, Found, entry_in, kind_of, maker_of
from .migrations import find_migrations
from .placeholders import NEUTRAL
from .recipe import Entry, Findings, Said
from .tree import Tree

_RELATIVE_SQLITE = re.compile(r"sqlite:///(?!/|:memory:)[\w.-]")
_INIT = ("init-db", "initdb", "init_db", "create-db", "create-tables", "create_tables")


def flask_findings(tree: Tree, entry: Entry, maker: str | None, flask_app: str | None, said: Said) -> Findings:
    """What Flask's ways tell of an application that is made in the file `maker`."""
    variables = {"FLASK_APP": flask_app or entry.target}
    static = find_static(tree, maker, entry.module)
    found = Findings(
        variables=variables,
        build_variables={**NEUTRAL, **variables},
        build=translation_commands(tree, said.packages),
        static_url=static.url,
        static_folder=static.folder,
        migrations=find_migrations(tree),
    )
    instance = instance_folder(tree, maker or "")
    if instance:
        found.persistent.append(instance)
    command = init_command(tree) if found.migrations is None else None
    if command and said.setup is None:  # on a database that is not empty, the server asks first
        found.setup.append(f"flask {command}")
        found.notes.append(f"`flask {command}` makes its tables, once for each database")
    return found


@dataclass(frozen=True)
class Static:
    """Where Flask has its static files, and at which URL."""

    folder: str | None
    url: str = "/static/"


def find_flask_app(tree: Tree, said: str) -> Found | None:
    """The application that FLASK_APP names, as the flask command would find it; None: it is not of this source."""
    name, _, attribute = said.partition(":")
    module = name.strip().removesuffix(".py").strip("/").replace("/", ".").removesuffix(".__init__")
    module = module.removeprefix("src.")
    file = tree.file_of(module) or next((f for m in ("wsgi", "app") if not module and (f := tree.file_of(m))), None)
    if file is None:
        return None
    if not attribute:
        return entry_in(tree, module, file)
    target = f"{module}:{attribute}"
    made = tree.module(file)
    is_function = made is not None and any(function.name == attribute for function in functions(made))
    framework, _ = maker_of(tree, file)
    call = "()" if attribute in FACTORIES or is_function else ""
    return Found(Entry(f"{target}{call}", kind_of(framework)), framework, file)


def find_static(tree: Tree, file: str | None, module: str) -> Static:
    """The static files of the application that is made in `file`, where Flask looks for them."""
    arguments = _arguments(tree, file)
    url = arguments.get("static_url_path")
    folder = arguments.get("static_folder", "static")
    if folder is None or url == "":  # none, or at the root, among the app's own pages
        return Static(None)
    base = file.rpartition("/")[0] if file else ""
    package = module.replace(".", "/")
    inside = [f"{base}/{folder}", f"{package}/{folder}", f"{package.rpartition('/')[0]}/{folder}", folder]
    found = next((name.strip("/") for name in inside if tree.has_folder(name.strip("/"))), None)
    name = (url or folder.rstrip("/").rpartition("/")[2]).strip("/")
    return Static(found, f"/{name}/") if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) else Static(None)


def instance_folder(tree: Tree, file: str) -> str | None:
    """Flask's folder for what an app writes, beside its top package; None: the source does not use it."""
    uses = any(
        "instance_relative_config" in text
        or "instance_path" in text
        or ("DATABASE_URL" not in text and _RELATIVE_SQLITE.search(text))
        for text in (tree.text(source) for source in tree.sources)
    )
    return ("src/instance" if file.startswith("src/") else "instance") if uses else None


def init_command(tree: Tree) -> str | None:
    """The command of the app that makes its tables, as `init-db`; None: it has none."""
    for source in tree.sources:
        module = tree.module(source) if "command" in tree.text(source) else None
        for function in ast.walk(module) if module else ():
            if isinstance(function, ast.FunctionDef):
                for name in _command_names(function):
                    if name in _INIT:
                        return name
    return None


def _command_names(function: ast.FunctionDef) -> list[str]:
    """What click calls a function that is decorated as a command."""
    names = []
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if bare_name(call.func if call else decorator) == "command":
            said = call.args[0] if call and call.args else None
            names.append(text_of(said) or function.name.replace("_", "-"))
    return names


def _arguments(tree: Tree, file: str | None) -> Mapping[str, str | None]:
    """The arguments of `Flask(…)` about static files, as far as they are texts or None."""
    module = tree.module(file) if file else None
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Call) and bare_name(node.func) in ("Flask", "APIFlask"):
            return {
                keyword.arg: keyword.value.value
                for keyword in node.keywords
                if keyword.arg in ("static_folder", "static_url_path")
                and isinstance(keyword.value, ast.Constant)
                and (keyword.value.value is None or isinstance(keyword.value.value, str))
            }
    return {}
