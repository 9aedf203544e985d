"""Settings, read from the environment once, when the application is made.

=================== ================================================= =====================================
variable            meaning                                           default
=================== ================================================= =====================================
``SECRET_KEY``      signs the session cookie                          none; a fixed one with ``FLASK_DEBUG=1``
``DATABASE_URL``    any SQLAlchemy URL                                ``instance/guestbook.db``, SQLite
``TRUSTED_PROXIES`` how many proxies in front set ``X-Forwarded-*``   1; 0 with ``FLASK_DEBUG=1``
``SLIPWAY_RELEASE`` the running release, shown at the foot of a page  ``development``
=================== ================================================= =====================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any


def from_environment(*, debug: bool) -> dict[str, Any]:
    """The settings for Flask and its extensions. ``debug`` chooses the defaults of a developer's machine."""
    return {
        "SECRET_KEY": os.environ.get("SECRET_KEY") or ("only-for-development" if debug else None),
        "SQLALCHEMY_DATABASE_URI": os.environ.get("DATABASE_URL") or "sqlite:///guestbook.db",
        # A server of a database closes connections that were idle for long: one is tried before it is used.
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_pre_ping": True},
        "TRUSTED_PROXIES": int(os.environ.get("TRUSTED_PROXIES") or (0 if debug else 1)),
        "RELEASE": os.environ.get("SLIPWAY_RELEASE") or "development",
        "ENTRIES_PER_PAGE": 12,
        # The form is the only thing anybody sends us: 500 characters and a token fit into 16 KB many times.
        "MAX_CONTENT_LENGTH": 16 * 1024,
        "SESSION_COOKIE_NAME": "guestbook",
        "SESSION_COOKIE_SECURE": not debug,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # The language somebody chose is kept this long.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=180),
        # A page may stay open over lunch before its form is sent.
        "WTF_CSRF_TIME_LIMIT": 8 * 3600,
    }


def check(settings: Mapping[str, Any]) -> None:
    """Refuse to start without what a server must have. Raises ``RuntimeError`` naming the remedy."""
    if not settings["SECRET_KEY"]:
        raise RuntimeError(
            "SECRET_KEY is not set: put a long random value into the environment"
            " (python -c 'import secrets; print(secrets.token_hex())'); to try things out, set FLASK_DEBUG=1"
        )
