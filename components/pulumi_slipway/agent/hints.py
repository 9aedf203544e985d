"""What to set, told from the words with which a program failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import run
from .errors import AgentError

_LIBRARY = re.compile(r"\b(lib[\w+.-]*\w): cannot open shared object file")
_PACKAGES = {
    "libGL.so.1": ("libgl1",),
    "libcairo.so.2": ("libcairo2",),
    "libgdal.so": ("gdal-bin",),
    "libglib-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libgobject-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libgthread-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libjpeg.so.62": ("libjpeg62-turbo",),
    "libldap-2.5.so.0": ("libldap-2.5-0",),
    "libxmlsec1-openssl.so.1": ("libxmlsec1-openssl",),
    "libxslt.so.1": ("libxslt1.1",),
}
"""Packages that are not called after their library, as others are."""

_PQ = re.compile(r"no pq wrapper available|libpq library not found")
_NAMES = r"(?:[\w/-]*-)?(?:gcc|g\+\+|cc|c\+\+|clang)"
_COMPILER = re.compile(
    rf"command '{_NAMES}' failed: No such file|No such file or directory: '{_NAMES}'|unable to execute '{_NAMES}'"
    r"|error: linker `cc` not found|Python\.h: No such file|failed to find C compiler|Unknown compiler\(s\)"
    r"|No CMAKE_C_COMPILER|you need a C compiler|No working compiler"
)
_HEADER = re.compile(r"fatal error: ([\w/+.-]+\.h): No such file")
_HEADERS = {
    re.compile(r"pg_config (?:executable )?(?:not found|is required)|libpq-fe\.h"): "libpq-dev",
    re.compile(r"mysql_config|Can not find valid pkg-config name"): "default-libmysqlclient-dev, pkg-config",
    re.compile(r"ffi\.h: No such file"): "libffi-dev",
    re.compile(r"lber\.h|ldap\.h: No such file"): "libldap-dev, libsasl2-dev",
    re.compile(r"libxml/xmlversion\.h|xslt-config"): "libxml2-dev, libxslt1-dev",
    re.compile(r"The headers or library files could not be found for jpeg"): "libjpeg-dev, zlib1g-dev",
}


@contextmanager
def hinted() -> Iterator[None]:
    """An error of the block says, where it can be told, which setting helps."""
    try:
        yield
    except AgentError as error:
        advice = hint([error.message, *error.tail])
        if advice is None:
            raise
        raise AgentError(error.message, [*error.tail, advice]) from error


def hint(lines: Sequence[str]) -> str | None:
    """What to set for a failure with these words; None: they do not tell."""
    text = "\n".join(lines)
    for pattern, packages in _HEADERS.items():
        if pattern.search(text):
            return f"slipway: headers are missing to compile it: set build_packages: [{packages}]"
    if _COMPILER.search(text):
        return "slipway: it takes a compiler: set build_packages: [] to have one there while the environment is made"
    if header := _HEADER.search(text):
        return f"slipway: {header[1]} is missing to compile it: add the package that has it to build_packages"
    if _PQ.search(text):
        return "slipway: a library is missing: set system_packages: [libpq5]"
    match = _LIBRARY.search(text)
    if match is None:
        return None
    names = list(_names(match[1]))
    known = next((name for name in names if _is_known(name)), None)
    # a server that never fetched the lists of packages knows none of them
    doubt = "" if known else ", or the package of the distribution that has it"
    return f"slipway: the library {match[1]} is missing: set system_packages: [{known or names[0]}]{doubt}"


def _names(library: str) -> Iterator[str]:
    """How the package of a library may be called: libpq.so.5 is in libpq5, libyaml-0.so.2 in libyaml-0-2."""
    yield from _PACKAGES.get(library, ())
    stem, _, version = library.lower().partition(".so")
    number = version.lstrip(".").split(".")[0]
    stem = stem.replace("_", "-")
    name = f"{stem}-{number}" if stem[-1:].isdigit() and number else f"{stem}{number}"
    yield from (name, f"{name}t64")


def _is_known(package: str) -> bool:
    try:
        return package in run.tool(["apt-cache", "pkgnames", package]).split()
    except AgentError:
        return False
