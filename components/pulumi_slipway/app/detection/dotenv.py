"""Files of variables in a source (`.flaskenv`, `.env`): what they say, and which of it is for development only.

Whatever loads them (the flask command, python-dotenv, django-environ, python-decouple, pydantic-settings) leaves a
variable alone that is set already. So a development switch is turned off by setting it on the server. The one
exception is `load_dotenv(override=True)`; a file that is loaded so is left out of what is released.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .code import bare_name, text_of
from .tree import Tree

FILES = (".flaskenv", ".env")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")
_DEBUG = re.compile(r"(?:\w+_)?DEBUG(?:_MODE)?|FLASK_RELOAD|USE_RELOADER")
_STAGE = re.compile(r"(?:\w+_)?ENV(?:IRONMENT)?")
_OFF = {"1": "0", "true": "false", "on": "off", "yes": "no", "t": "f", "y": "n"}
_DEVELOPMENT = ("development", "develop", "dev", "local", "debug")
_OURS = ("SECRET_KEY", "DATABASE_URL", "FLASK_APP", "DJANGO_SETTINGS_MODULE")
"""What is always set on the server."""
_LOADERS = {"load_dotenv": "override", "read_env": "overwrite"}


@dataclass
class Switches:
    """What turns off the development switches of a source."""

    variables: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(tree: Tree, file: str) -> dict[str, str]:
    """The variables of a file; none where there is no such file."""
    found = {}
    for line in tree.text(file).splitlines():
        match = _LINE.fullmatch(line)
        if match:
            found[match[1]] = _value(match[2])
    return found


def production_switches(tree: Tree, environment: Mapping[str, str]) -> Switches:
    """What to set besides `environment`, the app's own variables, which win."""
    switches = Switches()
    override = next((file for file in tree.sources if _overrides(tree, file)), None)
    for file in FILES:
        said = read(tree, file)
        if override and file == ".env" and said:
            switches.left_out.append(file)
            switches.notes.append(
                f"{file} is left out: {override} loads it over the server's variables; "
                "what the app needs of it belongs in environment"
            )
            continue
        for name, value in said.items():
            off = _production_value(tree, name, value)
            if off is not None and name not in environment:
                switches.variables[name] = off
                now = repr(off) if off else "empty"
                switches.notes.append(
                    f"{file} sets {name}={value}, which is for development: on the server it is {now}"
                )
    return switches


def _production_value(tree: Tree, name: str, value: str) -> str | None:
    """What a variable is set to in place of a development value; None: it is none."""
    if _DEBUG.fullmatch(name) and value.lower() in _OFF:
        off = "" if any(_is_truth(tree, file, name) for file in tree.sources) else _OFF[value.lower()]
        return off.title() if value.istitle() else off
    return "production" if _STAGE.fullmatch(name) and value.lower() in _DEVELOPMENT else None


def _is_truth(tree: Tree, file: str, name: str) -> bool:
    """Whether a file takes any text in the variable for true, as `if os.environ.get(name)` and `bool(…)` do."""
    module = tree.module(file) if name in tree.text(file) else None
    if module is None:
        return False
    return any(_reads(tested, name) for node in ast.walk(module) for tested in _tested(node))


def _tested(node: ast.AST) -> list[ast.expr]:
    """The expressions that a node takes for true or false."""
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [node.test]
    if isinstance(node, ast.Call) and bare_name(node.func) == "bool":
        return list(node.args)
    return [node.operand] if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else []


def _reads(node: ast.expr, name: str) -> bool:
    """Whether an expression is the variable: `os.environ[name]`, `os.environ.get(name)`, `os.getenv(name)`."""
    if isinstance(node, ast.Subscript):
        return bare_name(node.value) == "environ" and text_of(node.slice) == name
    if not isinstance(node, ast.Call) or bare_name(node.func) not in ("get", "getenv"):
        return False
    return bool(node.args) and text_of(node.args[0]) == name


def _overrides(tree: Tree, file: str) -> bool:
    """Whether a file has the variables of a dotenv file replace those that are set."""
    module = tree.module(file) if any(loader in tree.text(file) for loader in _LOADERS) else None
    return module is not None and any(
        isinstance(node, ast.Call)
        and any(
            keyword.arg == _LOADERS.get(bare_name(node.func))
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
            for keyword in node.keywords
        )
        for node in ast.walk(module)
    )


def _value(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return re.sub(r"\s+#.*", "", text)
