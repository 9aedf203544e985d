"""Is a slot healthy: asked on its own socket, as nginx would ask it for a visitor of the site."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import request
from .errors import AgentError
from .request import Document

_REQUEST_TIMEOUT = 5.0
_BODY_LIMIT = 256 * 1024
_QUOTE = 200
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True)
class Rule:
    """What a healthy app answers, and how long it may take to come to it (seconds)."""

    path: str
    status: int
    text: str | None
    host: str
    timeout: float

    @classmethod
    def read(cls, document: Document) -> Rule:
        return cls(
            path=request.text(document, "path", "/"),
            status=request.integer(document, "status", 200),
            text=request.optional_text(document, "text"),
            host=request.text(document, "host", "localhost"),
            timeout=request.number(document, "timeout", 60),
        )

    def document(self) -> dict[str, object]:
        return {
            "path": self.path,
            "status": self.status,
            "text": self.text,
            "host": self.host,
            "timeout": self.timeout,
        }


def ask(socket_path: Path, rule: Rule, timeout: float = _REQUEST_TIMEOUT) -> str | None:
    """One request: None when the answer is as it should be, else what is wrong with it."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    headers = {
        "Host": rule.host,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": rule.host,
        "X-Forwarded-For": "127.0.0.1",
        "User-Agent": "slipway-health",
        "Connection": "close",
    }
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(socket_path))
        connection.request("GET", rule.path, headers=headers)
        response = connection.getresponse()
        body = response.read(_BODY_LIMIT)
    except FileNotFoundError:
        return "it does not listen yet"
    except ConnectionRefusedError:
        return "it does not accept connections"
    except TimeoutError:
        return f"GET {rule.path} was not answered within {timeout:.0f} s"
    except (OSError, http.client.HTTPException) as error:
        return f"GET {rule.path}: {type(error).__name__}: {error}"
    finally:
        connection.close()
    if response.status != rule.status:
        moved = response.getheader("Location")
        to = f" (to {moved})" if moved else ""
        said = " ".join(body.decode(errors="replace").split())[:_QUOTE]
        return f"GET {rule.path} (Host: {rule.host}) answered {response.status}{to}, not {rule.status}" + (
            f": {said}" if said and not said.startswith("<") else ""
        )
    if rule.text is not None and rule.text not in body.decode(errors="replace"):
        return f"GET {rule.path} answered {response.status}, but without the text {rule.text!r}"
    return None


def wait(socket_path: Path, rule: Rule, gone: Callable[[], str | None]) -> None:
    """Ask until the answer is right. Raises `AgentError` when the time is up, or at once when the app is `gone`."""
    deadline = time.monotonic() + rule.timeout
    pause = _FIRST_PAUSE
    while True:
        wrong = ask(socket_path, rule, max(0.5, min(_REQUEST_TIMEOUT, deadline - time.monotonic())))
        if wrong is None:
            return
        end = gone()
        if end is not None:
            raise AgentError(f"the app {end} before it was healthy")
        if time.monotonic() + pause > deadline:
            raise AgentError(f"the app was not healthy within {rule.timeout:.0f} s: {wrong}")
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.3)
