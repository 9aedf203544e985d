"""A guestbook: a small Flask application in the manner of a real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from guestbook import assets, config, database, errors, health, languages, views
from guestbook.extensions import babel, csrf, db, migrate


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """Make the application.

    Settings come from the environment (see ``config.py``); ``overrides`` go on top of them, for tests.
    """
    app = Flask(__name__)
    app.config.from_mapping(config.from_environment(debug=app.debug))
    app.config.from_mapping(overrides or {})
    config.check(app.config)

    if app.config["TRUSTED_PROXIES"]:
        hops = app.config["TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True

    db.init_app(app)
    migrate.init_app(app, db, directory=str(database.MIGRATIONS), render_as_batch=True)
    csrf.init_app(app)
    babel.init_app(app, locale_selector=languages.choose)
    database.prepare_connections(app)

    assets.init_app(app)
    errors.init_app(app)
    languages.init_app(app)
    app.register_blueprint(views.pages)
    app.register_blueprint(health.probe)
    return app
