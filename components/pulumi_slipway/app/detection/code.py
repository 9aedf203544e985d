"""What Python source says, from its syntax tree alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def calls(tree: ast.AST) -> set[str]:
    """The bare names of everything that is called within `tree`."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.Call) and (name := bare_name(node.func))}


def bare_name(node: ast.expr) -> str:
    """`Flask` of `Flask` and of `flask.Flask`; empty for what has no name."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def assignments(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Name and value of each plain assignment at the top of a module, also within its if and try blocks."""
    for statement in _statements(module.body):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions at the top of a module."""
    return (node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def imported_from(module: ast.Module, package: str) -> dict[str, str]:
    """Where the names come from that `module`, which lies in `package`, imports: name → dotted module."""
    found = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            source = absolute(node, package)
            found.update({alias.asname or alias.name: source for alias in node.names})
    return found


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The dotted name of the module that is imported from; `package` is that of the importing module."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def text_of(node: ast.expr | None) -> str | None:
    """The text that a literal is; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.With):
                yield from _statements(getattr(statement, inner, []))
