"""The values that a settings module of Django ends up with, as far as its text alone tells.

Paths of the source are paths under `ROOT`. What depends on anything else (another machine's variables, a computation)
is unknown, and left out.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .code import absolute, bare_name
from .tree import Tree

ROOT = PurePosixPath("/source")
_UNKNOWN = object()
_SAME = ("resolve", "absolute", "abspath", "realpath", "normpath", "fspath", "str", "Path", "PurePath", "PosixPath")


def settings_values(tree: Tree, file: str, root: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The names that the module in `file` has at its end, with those known values; `root` is the folder that modules
    are imported from, `environment` what is known of the app's variables."""
    return _values(tree, file, root, environment, frozenset())


def settings_files(tree: Tree, file: str, root: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """The module in `file` and those of this source that it takes all names from."""
    module = tree.module(file)
    if module is None or file in seen:
        return []
    found = [file]
    for node in ast.walk(module):
        inner = _source_of(tree, node, file, root)
        if inner:
            found += [name for name in settings_files(tree, inner, root, seen | {file}) if name not in found]
    return found


def required_variables(tree: Tree, files: list[str]) -> list[str]:
    """The environment variables without which these modules cannot be imported."""
    names: set[str] = set()
    for file in files:
        for node in ast.walk(tree.module(file) or ast.Module([], [])):
            if isinstance(node, ast.Subscript) and bare_name(node.value) == "environ":
                names.update(_texts([node.slice]))
            elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords and _is_reader(node.func):
                names.update(_texts(node.args))
    return sorted(names)


def in_source(value: Any) -> str | None:
    """The path within the source that a value names ("" for its top); None: it names none."""
    if not isinstance(value, str | PurePosixPath) or not PurePosixPath(value).is_relative_to(ROOT):
        return None
    name = PurePosixPath(value).relative_to(ROOT).as_posix()
    return "" if name == "." else name


def _values(tree: Tree, file: str, root: str, environment: Mapping[str, str], seen: frozenset[str]) -> dict[str, Any]:
    module = tree.module(file)
    if module is None or file in seen:
        return {}
    scope: dict[str, Any] = {"__file__": str(ROOT / file)}
    _run(module.body, scope, _Source(tree, file, root, environment, seen | {file}))
    return {name: value for name, value in scope.items() if name != "__file__"}


class _Source:
    """Where a module is, and what it can import."""

    def __init__(self, tree: Tree, file: str, root: str, environment: Mapping[str, str], seen: frozenset[str]) -> None:
        self.tree, self.file, self.root, self.environment, self.seen = tree, file, root, environment, seen

    def imported(self, node: ast.ImportFrom) -> dict[str, Any]:
        inner = _source_of(self.tree, node, self.file, self.root)
        return _values(self.tree, inner, self.root, self.environment, self.seen) if inner else {}


def _run(body: list[ast.stmt], scope: dict[str, Any], source: _Source, surely: bool = True) -> None:
    """Follow assignments in their order. What stands under a condition that is not known only adds names: a value that
    is there for certain is more likely than one of another machine."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    _assign(scope, target.id, _value(statement.value, scope, source), surely)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            _assign(scope, statement.target.id, _value(statement.value, scope, source), surely)
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            added = _plus(scope.get(statement.target.id, _UNKNOWN), _value(statement.value, scope, source))
            if added is not _UNKNOWN:  # what a list holds for certain stays known
                scope[statement.target.id] = added
        elif isinstance(statement, ast.ImportFrom):
            names = source.imported(statement)
            for alias in statement.names:
                if alias.name == "*":
                    scope.update(names)
                elif alias.name in names:
                    scope[alias.asname or alias.name] = names[alias.name]
        elif isinstance(statement, ast.If):
            truth = _truth(statement.test, scope, source)
            if truth is not False:
                _run(statement.body, scope, source, surely and truth is True)
            if truth is not True:
                _run(statement.orelse, scope, source, surely and truth is False)
        elif isinstance(statement, ast.Try | ast.With):
            _run(statement.body, scope, source, surely)


def _truth(node: ast.expr, scope: Mapping[str, Any], source: _Source) -> bool | None:
    """Whether a condition holds; None: that is not known."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, scope, source)
        return None if inner is None else not inner
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.NotEq):
        left, right = (_value(side, scope, source) for side in (node.left, node.comparators[0]))
        known = _UNKNOWN not in (left, right)
        return (left == right) == isinstance(node.ops[0], ast.Eq) if known else None
    value = _value(node, scope, source)
    return bool(value) if isinstance(value, bool | int | str) else None


def _assign(scope: dict[str, Any], name: str, value: Any, surely: bool) -> None:
    if not surely:
        if value is not _UNKNOWN:
            scope.setdefault(name, value)
        return
    scope.pop(name, None)
    if value is not _UNKNOWN:
        scope[name] = value


def _value(node: ast.expr, scope: Mapping[str, Any], source: _Source) -> Any:
    def inner(part: ast.expr) -> Any:
        return _value(part, scope, source)

    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return scope.get(node.id, _UNKNOWN)
    if isinstance(node, ast.List | ast.Tuple):
        return [value for value in map(inner, node.elts) if value is not _UNKNOWN]
    if isinstance(node, ast.Dict):
        pairs = ((inner(key), inner(value)) for key, value in zip(node.keys, node.values, strict=True) if key)
        return {key: value for key, value in pairs if isinstance(key, str) and value is not _UNKNOWN}
    if isinstance(node, ast.BinOp):
        left, right = inner(node.left), inner(node.right)
        return _join(left, right) if isinstance(node.op, ast.Div) else _plus(left, right)
    if isinstance(node, ast.JoinedStr):
        parts = [inner(part.value) if isinstance(part, ast.FormattedValue) else inner(part) for part in node.values]
        return "".join(map(str, parts)) if _UNKNOWN not in parts else _UNKNOWN
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _up(inner(node.value), 1)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
        steps = inner(node.slice)
        return _up(inner(node.value.value), steps + 1) if isinstance(steps, int) else _UNKNOWN
    return _called(node, inner, source.environment) if isinstance(node, ast.Call) else _UNKNOWN


def _called(node: ast.Call, inner: Any, environment: Mapping[str, str]) -> Any:
    name = bare_name(node.func)
    if name in ("resolve", "absolute") and isinstance(node.func, ast.Attribute):
        return inner(node.func.value)
    if name in _SAME and len(node.args) == 1:
        return inner(node.args[0])
    if name == "dirname" and node.args:
        return _up(inner(node.args[0]), 1)
    if name in ("join", "joinpath"):
        parts = [inner(part) for part in node.args]
        if name == "joinpath" and isinstance(node.func, ast.Attribute):
            parts.insert(0, inner(node.func.value))
        return _join(*parts) if parts else _UNKNOWN
    return _read(node, inner, environment)


def _read(node: ast.Call, inner: Any, environment: Mapping[str, str]) -> Any:
    """A variable with a default, as `os.environ.get(name, default)`: the app's own value, or the default."""
    if not _is_reader(node.func) or not node.args:
        return _UNKNOWN
    name = inner(node.args[0])
    if not isinstance(name, str):
        return _UNKNOWN
    if name in environment:
        return environment[name]
    defaults = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
    return inner(defaults[0]) if defaults else _UNKNOWN


def _is_reader(function: ast.expr) -> bool:
    """`os.environ.get`, `os.getenv`, `env` and `env.str` (django-environ), `config` (python-decouple)."""
    if isinstance(function, ast.Attribute) and bare_name(function.value) in ("environ", "os", "env"):
        return function.attr not in ("join", "setdefault", "pop", "read_env", "fspath")
    return bare_name(function) in ("env", "config", "getenv")


def _join(*parts: Any) -> Any:
    if not all(isinstance(part, str | PurePosixPath) for part in parts):
        return _UNKNOWN
    return str(PurePosixPath(*parts))


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return [*left, *right] if isinstance(left, list) and isinstance(right, list) else _UNKNOWN


def _up(path: Any, steps: int) -> Any:
    """The folder so many steps above; a relative `__file__` cannot occur."""
    if not isinstance(path, str | PurePosixPath):
        return _UNKNOWN
    for _ in range(steps):
        path = PurePosixPath(path).parent
    return str(path)


def _source_of(tree: Tree, node: ast.AST, file: str, root: str) -> str | None:
    if not isinstance(node, ast.ImportFrom):
        return None
    package = ".".join(file.removeprefix(root).split("/")[:-1])
    module = absolute(node, package)
    return tree.file_of(module, (root,)) if module else None


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
