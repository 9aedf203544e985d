"""What an installed SDK says about its types: their inputs and outputs, read from its source without importing it.

Stand-ins and components are written by the same people: without a third voice they could agree on an argument that
does not exist. The SDK is that voice. It is generated from the real provider's schema, so what it takes is what the
provider takes. Importing one costs seconds; reading the one module that a token names costs some hundredths, and the
result is kept in the user's cache folder by package, version and token.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .shapes import Input, Shape

_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Any": "any"}


class UnknownTypeError(LookupError):
    """The installed SDK has no such type."""


@dataclass(frozen=True)
class Reflected:
    """A resource or function type as its SDK knows it; names are those of the wire (camelCase)."""

    inputs: Shape
    outputs: Shape
    """All outputs, those that are inputs too included; what is never absent is marked as required."""


def resource_shape(package: str, token: str) -> tuple[Shape, frozenset[str]]:
    """The inputs of a resource type and the names of its outputs."""
    found = resource(package, token)
    return found.inputs, frozenset(found.outputs)


def function_shape(package: str, token: str) -> tuple[Shape, frozenset[str]]:
    """The inputs of a function and the names of its outputs."""
    found = function(package, token)
    return found.inputs, frozenset(found.outputs)


@cache
def provider_shape(package: str) -> Shape:
    """What the provider itself can be told: the keys of its configuration, which arrive as JSON when they are no text.

    Raises UnknownTypeError when the package is not installed.
    """
    return resource(package, f"pulumi:providers:{package}").inputs


@cache
def resource(package: str, token: str) -> Reflected:
    """A resource type. Raises UnknownTypeError when the SDK does not have it."""
    return _kept(package, "resource", token)


@cache
def function(package: str, token: str) -> Reflected:
    """A function. Raises UnknownTypeError when the SDK does not have it."""
    return _kept(package, "function", token)


@cache
def version(package: str) -> str:
    """The version of the plug-in that the installed SDK asks for."""
    return str(json.loads((_folder(package) / "pulumi-plugin.json").read_text())["version"])


# -- the cache -------------------------------------------------------------------------------------------------


def _kept(package: str, kind: str, token: str) -> Reflected:
    path = _cache() / f"{package}-{version(package)}" / f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', token)}.json"
    with contextlib.suppress(OSError, ValueError):
        return _from_json(json.loads(path.read_text()))
    source = _Source(_folder(package))
    reflected = _read_resource(source, token) if kind == "resource" else _read_function(source, token)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_text(json.dumps(_to_json(reflected)))
        scratch.replace(path)
    return reflected


@cache
def _cache() -> Path:
    """The folder of what this very reader has read: another edition of it may read otherwise."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    readers = Path(__file__).read_bytes() + Path(__file__).with_name("shapes.py").read_bytes()
    return home / "slipway" / "sdk" / hashlib.sha256(readers).hexdigest()[:12]


def _to_json(reflected: Reflected) -> Any:
    return [
        {name: _input_to_json(spec) for name, spec in part.items()} for part in (reflected.inputs, reflected.outputs)
    ]


def _input_to_json(spec: Input) -> Any:
    return {
        "kind": spec.kind,
        "required": spec.required,
        "fields": {name: _input_to_json(inner) for name, inner in spec.fields.items()},
        "items": _input_to_json(spec.items) if spec.items else None,
    }


def _from_json(data: Any) -> Reflected:
    inputs, outputs = ({name: _input_from_json(spec) for name, spec in part.items()} for part in data)
    return Reflected(inputs, outputs)


def _input_from_json(data: Any) -> Input:
    return Input(
        data["kind"],
        data["required"],
        fields={name: _input_from_json(inner) for name, inner in data["fields"].items()},
        items=_input_from_json(data["items"]) if data["items"] else None,
    )


# -- reading the source ----------------------------------------------------------------------------------------


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(f"pulumi_{package}")  # finds a top-level package without importing it
    if spec is None or spec.origin is None:
        raise UnknownTypeError(f"the SDK pulumi_{package} is not installed")
    return Path(spec.origin).parent


class _Source:
    """The modules of one SDK."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._texts: dict[Path, str] = {}

    def text(self, path: Path) -> str:
        if path not in self._texts:
            self._texts[path] = path.read_text() if path.exists() else ""
        return self._texts[path]

    def module(self, token: str, mark: str) -> Path:
        """The module that has this text, which names the token."""
        parts = token.split(":")
        if parts[0] == "pulumi":
            return self.root / "provider.py"
        place, _, name = parts[1].partition("/")
        folder = self.root if place in ("index", "") else next(
            (folder for folder in (self.root / place, self.root / f"{place}_") if folder.is_dir()), None
        )  # fmt: skip
        if folder is not None:
            guess = folder / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}.py"
            for path in (guess, *sorted(folder.glob("*.py"))):
                if path.exists() and mark in self.text(path):
                    return path
        raise UnknownTypeError(f"the SDK in {self.root.name} has nothing with the token {token}")

    def definition(self, path: Path, name: str) -> ast.ClassDef | ast.FunctionDef | None:
        """A class or function at the top of a module; only that is parsed, as modules of types have megabytes."""
        pattern = rf"^(?:class|def) {re.escape(name)}\b.*?(?=^(?:class |def |@|[A-Za-z_(])|\Z)"
        match = re.search(pattern, self.text(path), re.MULTILINE | re.DOTALL)
        if match is None:
            return None
        node = ast.parse(match.group()).body[0]
        assert isinstance(node, ast.ClassDef | ast.FunctionDef)
        return node


def _read_resource(source: _Source, token: str) -> Reflected:
    path = source.module(token, f'@pulumi.type_token("{token}")')
    found = re.search(rf'^@pulumi\.type_token\("{re.escape(token)}"\)\nclass (\w+)', source.text(path), re.MULTILINE)
    assert found is not None, f"{path} has no class for {token}"
    name = found.group(1)
    types = _Types(source, path)
    # The second name is used where the first is that of a nested type.
    arguments = next((a for a in (f"{name}Args", f"{name}InitArgs") if source.definition(path, a)), f"{name}Args")
    return Reflected(types.of_inputs(path, arguments), types.of_outputs(path, name))


def _read_function(source: _Source, token: str) -> Reflected:
    path = source.module(token, f"pulumi.runtime.invoke('{token}'")
    before, _, after = source.text(path).partition(f"pulumi.runtime.invoke('{token}'")
    name = re.findall(r"^def (\w+)\(", before, re.MULTILINE)[-1]
    result = re.search(r"typ=(\w+)\)", after)
    assert result is not None, f"{path}: {name} has no type of result"
    plain = source.definition(path, name)
    # Only the signature of the variant for Outputs tells what is required: there an optional one is twice optional.
    variant = source.definition(path, f"{name}_output")
    assert isinstance(plain, ast.FunctionDef)
    assert isinstance(variant, ast.FunctionDef)
    types = _Types(source, path)
    annotations = {argument.arg: argument.annotation for argument in _arguments(variant)}
    inputs = {}
    for wire, python in _wire_names(plain):
        spec = types.read(annotations[python])
        optionals = ast.unparse(annotations[python] or ast.Constant("")).split("Sequence")[0].count("Optional[")
        inputs[wire] = dataclasses.replace(spec, required=optionals < 2)
    return Reflected(inputs, types.of_outputs(path, result.group(1)))


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.args, *function.args.kwonlyargs]


def _wire_names(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """The pairs of `__args__['wireName'] = python_name`."""
    for node in function.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Subscript)
            and isinstance(node.targets[0].slice, ast.Constant)
            and isinstance(node.value, ast.Name)
        ):
            yield str(node.targets[0].slice.value), node.value.id


class _Types:
    """Annotations as inputs, seen from one module."""

    def __init__(self, source: _Source, path: Path, within: tuple[str, ...] = ()) -> None:
        self.source = source
        self.folder = path.parent
        self.within = within

    def of_inputs(self, path: Path, name: str) -> dict[str, Input]:
        """The inputs of a class of arguments."""
        node = self.source.definition(path, name)
        if not isinstance(node, ast.ClassDef):
            raise UnknownTypeError(f"{path} has no class {name}")
        wire = {python: wire for python, wire, _ in _getters(node)}
        start = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        defaults = dict(zip(start.args.kwonlyargs, start.args.kw_defaults, strict=True))
        positional = start.args.args[1:]
        defaults |= dict(zip(reversed(positional), reversed(start.args.defaults), strict=False))
        return {
            wire.get(argument.arg, argument.arg): dataclasses.replace(
                self.read(argument.annotation), required=defaults.get(argument) is None
            )
            for argument in (*positional, *start.args.kwonlyargs)
        }

    def of_outputs(self, path: Path, name: str) -> dict[str, Input]:
        """The outputs of a resource class or a class of results."""
        node = self.source.definition(path, name)
        if not isinstance(node, ast.ClassDef):
            raise UnknownTypeError(f"{path} has no class {name}")
        return {
            wire: dataclasses.replace(
                self.read(kind), required="Optional[" not in ast.unparse(kind).split("Sequence")[0]
            )
            for _, wire, kind in _getters(node)
        }

    def read(self, annotation: ast.expr | None) -> Input:
        """The input that an annotation describes."""
        if annotation is None:
            return Input("any")
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return self.named(annotation.value)
        if isinstance(annotation, ast.Subscript):
            return self.generic(ast.unparse(annotation.value).split(".")[-1], annotation.slice)
        name = ast.unparse(annotation).split(".")[-1]
        return Input("asset") if name in ("Asset", "Archive") else Input(_PLAIN.get(name, "any"))

    def generic(self, outer: str, inner: ast.expr) -> Input:
        """The input that `outer[inner]` describes."""
        if outer in ("Input", "Output", "Optional", "Awaitable"):
            return self.read(inner)
        if outer == "Sequence":
            return Input("list", items=self.read(inner))
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if outer == "Mapping":
            return Input("map", items=self.read(parts[-1]))
        specs = [self.read(part) for part in parts]
        objects = [spec for spec in specs if spec.kind == "object"]
        kinds = {spec.kind for spec in specs}
        # A name beside its class, its dictionary or an enumeration is one kind; other unions take any of them.
        return objects[0] if objects else specs[0] if len(kinds) == 1 else Input("any")

    def named(self, name: str) -> Input:
        """A type by its name in quotation marks: a class of arguments, of results, or an enumeration."""
        place, _, bare = name.rpartition(".")
        bare = bare.removesuffix("Dict") if bare.endswith("ArgsDict") else bare
        for folder in self.folders(place):
            if bare in self.within:
                return Input("any")  # a type within itself: as deep as this is deep enough
            inner = _Types(self.source, folder / "_", (*self.within, bare))
            if self.source.definition(folder / "_inputs.py", bare):
                return Input("object", fields=inner.of_inputs(folder / "_inputs.py", bare))
            if self.source.definition(folder / "outputs.py", bare):
                return Input("object", fields=inner.of_outputs(folder / "outputs.py", bare))
            enum = self.source.definition(folder / "_enums.py", bare)
            if isinstance(enum, ast.ClassDef):
                return self.read(enum.bases[0])
        raise UnknownTypeError(f"the SDK in {self.source.root.name} has no type {name}")

    def folders(self, place: str) -> Iterator[Path]:
        """Where a name may be defined: `outputs.X` here, `_ec2.X` and `_ec2.outputs.X` in another folder."""
        module = place.removesuffix("outputs").strip(".").removeprefix("_")
        if module and module != self.source.root.name:
            yield self.source.root / module
        yield self.folder
        yield self.source.root


def _getters(node: ast.ClassDef) -> Iterator[tuple[str, str, ast.expr]]:
    """(name in Python, name on the wire, annotation) of each property."""
    for item in node.body:
        if not isinstance(item, ast.FunctionDef) or item.returns is None:
            continue
        for decorator in item.decorator_list:
            if ast.unparse(decorator) == "pulumi.getter":
                yield item.name, item.name, item.returns
            elif isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pulumi.getter":
                yield item.name, str(ast.literal_eval(decorator.keywords[0].value)), item.returns
