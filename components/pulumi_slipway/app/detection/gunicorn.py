"""gunicorn's command line as settings by name.

Options reach gunicorn by a configuration file: an older gunicorn that an app pins ignores names there that it does not
know, and fails on flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .shell import expanded

_TEXT = {
    "-c": "config",
    "-k": "worker_class",
    "--access-logformat": "access_log_format",
    "--asgi-lifespan": "asgi_lifespan",
    "--asgi-loop": "asgi_loop",
    "--chdir": "chdir",
    "--config": "config",
    "--forwarded-allow-ips": "forwarded_allow_ips",
    "--forwarder-headers": "forwarder_headers",
    "--header-map": "header_map",
    "--log-config": "logconfig",
    "--log-config-json": "logconfig_json",
    "--log-level": "loglevel",
    "--logger-class": "logger_class",
    "--pythonpath": "pythonpath",
    "--root-path": "root_path",
    "--statsd-host": "statsd_host",
    "--statsd-prefix": "statsd_prefix",
    "--worker-class": "worker_class",
}
_NUMBERS = {
    "-t": "timeout",
    "-w": "workers",
    "--backlog": "backlog",
    "--keep-alive": "keepalive",
    "--limit-request-field_size": "limit_request_field_size",
    "--limit-request-fields": "limit_request_fields",
    "--limit-request-line": "limit_request_line",
    "--max-requests": "max_requests",
    "--max-requests-jitter": "max_requests_jitter",
    "--threads": "threads",
    "--timeout": "timeout",
    "--websocket-max-message-size": "websocket_max_message_size",
    "--worker-connections": "worker_connections",
    "--workers": "workers",
}
_SWITCHES: dict[str, tuple[str, bool]] = {
    "-R": ("enable_stdio_inheritance", True),
    "--capture-output": ("capture_output", True),
    "--casefold-http-method": ("casefold_http_method", True),
    "--enable-stdio-inheritance": ("enable_stdio_inheritance", True),
    "--no-sendfile": ("sendfile", False),
    "--permit-obsolete-folding": ("permit_obsolete_folding", True),
    "--permit-unconventional-http-method": ("permit_unconventional_http_method", True),
    "--permit-unconventional-http-version": ("permit_unconventional_http_version", True),
    "--preload": ("preload_app", True),
    "--strip-header-spaces": ("strip_header_spaces", True),
}
_LOGS = {"--access-logfile": "accesslog", "--error-logfile": "errorlog", "--log-file": "errorlog"}
_ENVIRONMENT = ("-e", "--env")
_OURS = {
    "-b": "the release's socket",
    "--bind": "the release's socket",
    "-D": "supervisor",
    "--daemon": "supervisor",
    "-u": "the app's own user",
    "--user": "the app's own user",
    "-g": "the app's own user",
    "--group": "the app's own user",
    "-m": "the release's socket",
    "--umask": "the release's socket",
    "-p": "supervisor",
    "--pid": "supervisor",
    "-n": "supervisor",
    "--name": "supervisor",
    "--worker-tmp-dir": "memory",
    "--control-socket": "the release's folder",
    "--reuse-port": "the release's socket",
    "--initgroups": "the app's own user",
    "--keyfile": "nginx",
    "--certfile": "nginx",
    "--ca-certs": "nginx",
    "--ciphers": "nginx",
    "--ssl-version": "nginx",
    "--reload": "releases",
    "--graceful-timeout": "the setting drain",
}
"""What is not the app's to say on a server, and what sees to it."""
_OURS_ALONE = {"-D", "--daemon", "--reuse-port", "--initgroups", "--reload"}
"""Those of them that have no value."""


@dataclass
class Options:
    """What a command line says."""

    settings: dict[str, Any] = field(default_factory=dict)
    application: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_options(words: Sequence[str]) -> Options:
    """The words after `gunicorn`. What is not understood, or not the app's to say, is noted, and left out."""
    options = Options()
    given = _Words(words)
    for word in given:
        if not word.startswith("-"):
            options.application = options.application or word
        elif not _read(options, *_flag(word), given):
            options.notes.append(f"{_flag(word)[0]} is not known to Slipway, and is left out")
            if "=" not in word and given.next_is_value(options.application is None):
                next(given)
    return options


class _Words:
    """The words, one after the other; an option takes its value from them."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._words:
            raise StopIteration
        return self._words.pop(0)

    def next_is_value(self, application_missing: bool) -> bool:
        """Whether the next word belongs to an option that is not known: not if it may be the application."""
        if not self._words or self._words[0].startswith("-"):
            return False
        return not (application_missing and all(word.startswith("-") for word in self._words[1:]))


def _flag(word: str) -> tuple[str, str | None]:
    """`--threads=4` and `-w4` are written in one."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:].removeprefix("=") or None


def _read(options: Options, flag: str, value: str | None, given: _Words) -> bool:
    """Note what a flag says; whether it is known."""
    if flag in _SWITCHES:
        name, state = _SWITCHES[flag]
        options.settings[name] = state
        return True
    if flag in _OURS_ALONE:
        options.notes.append(f"{flag} is left out: that is up to {_OURS[flag]}")
        return True
    if not (flag in _TEXT or flag in _NUMBERS or flag in _LOGS or flag in _ENVIRONMENT or flag in _OURS):
        return False
    value = next(given, "") if value is None else value
    if flag in _OURS:
        if flag not in ("-b", "--bind"):  # everybody says it, and everybody knows why not here
            options.notes.append(f"{flag} is left out: that is up to {_OURS[flag]}")
    elif flag in _ENVIRONMENT:
        name, _, content = value.partition("=")
        options.variables[name] = content
    else:
        _set(options, flag, value)
    return True


def _set(options: Options, flag: str, written: str) -> None:
    value = expanded(written)
    if value is None:
        if written not in ("$WEB_CONCURRENCY", "${WEB_CONCURRENCY}"):  # which is heeded anyway
            options.notes.append(f"{flag} {written} is left out: it is known to a shell only; write the value itself")
    elif flag in _LOGS:
        if value == "-":
            options.settings[_LOGS[flag]] = value
        else:
            options.notes.append(f"{flag} {value} is left out: what is logged is in /var/log/slipway")
    elif flag in _NUMBERS:
        if value.isdigit():
            options.settings[_NUMBERS[flag]] = int(value)
        else:
            options.notes.append(f"{flag} {value} is left out: it is no number")
    else:
        options.settings[_TEXT[flag]] = value.removeprefix("file:") if _TEXT[flag] == "config" else value
