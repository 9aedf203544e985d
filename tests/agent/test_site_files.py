"""The files of a site, as they are rendered on the operator's side."""

from __future__ import annotations

import configparser
import io
from collections.abc import Callable

import pytest

from pulumi_slipway.app.site import SiteSpec, render_site


def _content(path: str, **spec: object) -> str:
    site = SiteSpec("shop", **{"domains": ["shop.example"], **spec})  # type: ignore[arg-type]
    return render_site(site)[path].content


def test_all_files_lie_where_the_agent_lets_them() -> None:
    assert sorted(render_site(SiteSpec("shop", ["shop.example"]))) == [
        "/etc/nginx/conf.d/00-slipway.conf",
        "/etc/nginx/sites-enabled/zz-slipway-shop.conf",
        "/etc/slipway/apps/shop/gunicorn.conf.py",
        "/etc/supervisor/conf.d/shop.conf",
    ]


def test_names_and_addresses_are_answered() -> None:
    text = _content("/etc/nginx/sites-enabled/zz-slipway-shop.conf", addresses=["10.1.2.3", "2001:db8::1"])
    assert text.count("server_name shop.example 10.1.2.3 [2001:db8::1];") == 2


def test_a_site_without_any_name_is_refused() -> None:
    with pytest.raises(ValueError, match="a site needs a domain or an address"):
        render_site(SiteSpec("shop"))


def test_static_files_have_a_place_only_if_there_are_any() -> None:
    path = "/etc/nginx/sites-enabled/zz-slipway-shop.conf"
    assert "alias" not in _content(path)
    assert "location /assets/ {\n        alias /run/slipway/shop/live/static/;" in _content(path, static_url="/assets/")


def test_supervisor_waits_longer_than_gunicorn_and_never_gives_up() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(_content("/etc/supervisor/conf.d/shop.conf", graceful_timeout=25))
    assert parser.sections() == ["program:shop-blue", "program:shop-green"]
    for name in parser.sections():
        program = parser[name]
        assert int(program["stopwaitsecs"]) == 35
        assert (program["autorestart"], program["exitcodes"]) == ("unexpected", "42")
        assert (program["stopasgroup"], program["killasgroup"]) == ("false", "true")
        assert int(program["startretries"]) > 10**5


@pytest.mark.parametrize(
    ("variables", "cpus", "memory_mib", "expected"),
    [
        ({}, 2, 4096, 3),
        ({}, 8, 1200, 4),
        ({}, 4, 512, 1),
        ({}, 1, 200, 1),
        ({"WEB_CONCURRENCY": "3"}, 8, 64000, 3),
        ({"WEB_CONCURRENCY": "none"}, 1, 64000, 2),
    ],
)
def test_workers_follow_the_machine(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cpus: int, memory_mib: int, expected: int
) -> None:
    import os

    monkeypatch.setenv("SLIPWAY_SOCKET", "/run/x/web.sock")
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cpus)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": memory_mib * 256}.__getitem__)
    config: dict[str, object] = {"open": _files({})}
    exec(_content("/etc/slipway/apps/shop/gunicorn.conf.py", graceful_timeout=25, threads=2), config)  # noqa: S102
    assert config["workers"] == expected
    assert config["bind"] == "unix:/run/x/web.sock"
    assert config["control_socket"] == "/run/x/gunicorn.ctl"
    assert (config["graceful_timeout"], config["threads"]) == (25, 2)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, 9),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "536870912\n"}, 1),
        ({"/proc/self/cgroup": "0::/a.slice/b\n", "/sys/fs/cgroup/a.slice/b/memory.max": "805306368\n"}, 2),
        ({"/proc/self/cgroup": "0::/a.slice/b\n", "/sys/fs/cgroup/a.slice/memory.max": "1073741824\n"}, 3),
        ({"/proc/self/cgroup": "0::/a.slice\n", "/sys/fs/cgroup/a.slice/memory.max": "max\n"}, 9),
        ({"/proc/self/cgroup": "5:memory:/old\n", "/sys/fs/cgroup/old/memory.max": "1"}, 9),
        ({"/sys/fs/cgroup/memory.max": "not a number"}, 9),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": str(1 << 50)}, 9),
    ],
    ids=["no groups", "root", "own", "above", "max", "version 1", "odd", "more than there is"],
)
def test_workers_follow_a_limit_of_memory(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, str], expected: int
) -> None:
    import os

    monkeypatch.setenv("SLIPWAY_SOCKET", "/run/x/web.sock")
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 21}.__getitem__)
    config: dict[str, object] = {"open": _files(found)}
    exec(_content("/etc/slipway/apps/shop/gunicorn.conf.py"), config)  # noqa: S102
    assert config["workers"] == expected


def _files(found: dict[str, str]) -> Callable[[str], io.StringIO]:
    """An `open` that knows these files only."""

    def opened(path: str) -> io.StringIO:
        if path not in found:
            raise FileNotFoundError(path)
        return io.StringIO(found[path])

    return opened
