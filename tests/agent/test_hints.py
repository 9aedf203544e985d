"""Which setting helps, told from the words with which a program failed: real ones."""

from __future__ import annotations

import pytest

from pulumi_slipway.agent import hints, run
from pulumi_slipway.agent.errors import AgentError

_KNOWN = {"libpq5", "libmagic1t64", "libyaml-0-2", "libgl1", "libpango-1.0-0"}


@pytest.fixture(autouse=True)
def distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a few packages."""

    def tool(command: list[str], timeout: float = 60.0) -> str:
        assert command[:2] == ["apt-cache", "pkgnames"]
        return "\n".join(name for name in sorted(_KNOWN) if name.startswith(command[2]))

    monkeypatch.setattr(run, "tool", tool)


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("ImportError: libpq.so.5: cannot open shared object file: No such file", "system_packages: [libpq5]"),
        ("OSError: libyaml-0.so.2: cannot open shared object file: No such file", "system_packages: [libyaml-0-2]"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "system_packages: [libgl1]"),
        ("OSError: libmagic.so.1: cannot open shared object file: No such file", "system_packages: [libmagic1t64]"),
        (
            "OSError: cannot load library 'libpango-1.0-0': libpango-1.0-0: cannot open shared object file",
            "system_packages: [libpango-1.0-0]",
        ),
        ("ImportError: libours.so.7: cannot open shared object file", "system_packages: [libours7], or the package of"),
        ("ImportError: no pq wrapper available.", "system_packages: [libpq5]"),
        ("error: command 'gcc' failed: No such file or directory", "build_packages: []"),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "build_packages: []"),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "build_packages: []"),
        ("../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc']]", "build_packages: []"),
        ("native.c:1:10: fatal error: Python.h: No such file or directory", "build_packages: []"),
        (
            "x.c:3:10: fatal error: magic.h: No such file or directory",
            "magic.h is missing to compile it: add the package",
        ),
        ("Error: pg_config executable not found.", "build_packages: [libpq-dev]"),
        ("Exception: Can not find valid pkg-config name.", "build_packages: [default-libmysqlclient-dev, pkg-config]"),
    ],
)
def test_the_setting_that_helps_is_told(line: str, setting: str) -> None:
    with pytest.raises(AgentError) as caught, hints.hinted():
        raise AgentError("it failed", ["before", line, "after"])
    assert caught.value.message == "it failed"
    assert caught.value.tail[:3] == ["before", line, "after"]
    assert setting in caught.value.tail[3]


def test_an_error_of_the_apps_own_stays_as_it_is() -> None:
    with pytest.raises(AgentError) as caught, hints.hinted():
        raise AgentError("it failed", ["ModuleNotFoundError: No module named 'shop'"])
    assert caught.value.tail == ["ModuleNotFoundError: No module named 'shop'"]
