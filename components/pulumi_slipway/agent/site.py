"""The site of an app: the files of nginx and supervisor that its stack renders, and the certificate."""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

from . import adoption, certificate, claim, files, hold, nginx, paths, request, rollout, slots, undo
from .errors import AgentError
from .journal import recorded
from .lock import MACHINE, app_lock, held
from .paths import SLOTS, AppPaths
from .progress import say
from .record import read_live
from .request import Document
from .supervisor import Supervisor
from .undo import Content

_STOP_WITHIN = 90.0


def site(document: Document) -> dict[str, Any]:
    """Make the managed files what the request says, and have nginx and supervisor use them.

    All or nothing: with one invalid file none is changed, and what serves goes on serving.
    """
    app = AppPaths(request.app_name(document))
    serial = request.integer(document, "serial", 0)
    wanted = _wanted(app, document)
    subject = certificate.Subject.read(request.mapping(document, "certificate"))
    with (
        held(app_lock(app.app), f"site {app.app}"),
        held(MACHINE, f"site {app.app}"),
        recorded(app.journal, "site", serial=serial) as entry,
    ):
        claim.require(app, document)
        hold.lift(app, machine=contextlib.nullcontext())
        _finish_interrupted()
        slots.prepare_run(app)
        record = files.read_json(app.site_record) or {}
        text = certificate.ensure(app.app, subject)
        targets = _targets(app, wanted, record, bool(subject.addresses))
        changes = undo.differing(targets)
        supervisor = Supervisor()
        reload = _concerns_nginx(changes) or record.get("certificate") != _digest(text)
        reloaded = False
        try:
            undo.replace(app.site_undo, changes)
            _check(changes)
            if reload:
                nginx.test()
            _apply(app, supervisor)
            if reload:
                reloaded = True
                nginx.reload()
            rollout.renew_processes(app, supervisor)
        except BaseException:
            if undo.put_back(app.site_undo):
                say("the files of the site are put back as they were")
                with contextlib.suppress(AgentError):  # what went wrong first is what is to be told
                    _apply(app, supervisor)
                    if reloaded:
                        nginx.reload()
            raise
        _record(app, wanted, targets, subject, serial, text)
        undo.keep(app.site_undo)
        changed = sorted(f"/{path.relative_to(paths.ROOT)}" for path in changes)
        if adoption.other_sites() and subject.addresses:
            say("warning: visitors by IP address are shown the certificate of another site here: give the app a domain")
        for path in changed:
            say(f"{'wrote' if changes[paths.rooted(path)] else 'removed'} {path}")
        entry.update(changed=changed, skip=not changed and record.get("serial") == serial)
    return {"app": app.app, "serial": serial, "changed": changed, "certificate": text}


def renew(document: Document) -> dict[str, Any]:
    """Renew every certificate that is near its end. `as_of` (Unix time): as if it were then."""
    now = request.number(document, "as_of") if "as_of" in document else None
    renewed = []
    for app in list(claim.claimed()):
        if not _renewal_due(app, now):
            continue
        with (
            held(app_lock(app.app), "renewal of a certificate"),
            held(MACHINE, "renewal of a certificate"),
            recorded(app.journal, "renew"),
        ):
            _finish_interrupted()
            record = files.read_json(app.site_record) or {}
            text = certificate.ensure(app.app, certificate.Subject.read(record["subject"]), now)
            nginx.test()
            nginx.reload()
            files.write_json(app.site_record, {**record, "certificate": _digest(text)})
            renewed.append(app.app)
            say(f"{app.app} has a new certificate")
    return {"renewed": renewed}


def recover(app: AppPaths) -> bool:
    """Put back the files of a change that was interrupted; True when there was one."""
    return undo.put_back(app.site_undo)


def _renewal_due(app: AppPaths, now: float | None) -> bool:
    """Near its end; or new already, but the renewal was cut short before nginx took it up."""
    record = files.read_json(app.site_record)
    if record is None:
        return False
    return certificate.is_due(app.app, now) or record["certificate"] != _digest(certificate.pem(app.app))


def _finish_interrupted() -> None:
    """Put back what any app's interrupted change left: it may keep nginx from accepting ours."""
    for app in claim.claimed():
        if recover(app):
            say(f"put back the files of an interrupted change of {app.app}'s site")


def _wanted(app: AppPaths, document: Document) -> dict[str, Content]:
    wanted = {}
    for name, entry in request.mapping(document, "files").items():
        if not _may_write(app, name):
            raise AgentError(f"site: {name!r} is no place for a file of the site of {app.app}")
        mode = request.integer(entry, "mode", 0o644)
        if mode & ~0o777 or mode & 0o022:
            raise AgentError(f"site: {name}: a mode of {mode:o} is refused")
        wanted[name] = Content(request.text(entry, "content").encode(), mode)
    return wanted


def _may_write(app: AppPaths, name: str) -> bool:
    own = re.escape(app.app)
    places = (
        rf"/etc/nginx/sites-enabled/zz-slipway-{own}\.conf",
        r"/etc/nginx/conf\.d/00-slipway\.conf",
        rf"/etc/supervisor/conf\.d/{own}\.conf",
        rf"/etc/slipway/apps/{own}/[a-z0-9][a-z0-9_.-]*",
    )
    return any(re.fullmatch(place, name) for place in places)


def _was_written(app: AppPaths, name: str) -> bool:
    """Also where earlier versions wrote: a site's file of theirs beside that of this one would be a site too many."""
    return _may_write(app, name) or name == f"/etc/nginx/sites-enabled/{app.app}.conf"


def _targets(
    app: AppPaths, wanted: dict[str, Content], record: dict[str, Any], by_address: bool
) -> dict[Path, Content | None]:
    """All files that are to be, or (None) are not to be."""
    targets: dict[Path, Content | None] = {
        paths.rooted(name): None for name in record.get("files", {}) if _was_written(app, name)
    }
    targets.update({paths.rooted(name): content for name, content in wanted.items()})
    targets.update(nginx.wanted_snippets(app.app, by_address))
    default = paths.rooted("/etc/nginx/sites-enabled/default")
    # the distribution's welcome page claims to be the default server
    if default.is_symlink() and not adoption.other_sites():
        targets[default] = None
    return targets


def _check(changes: dict[Path, Content | None]) -> None:
    """What no program but gunicorn, later, would find wrong."""
    for path, content in changes.items():
        if content is not None and path.suffix == ".py":
            try:
                compile(content.data, str(path), "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                raise AgentError(f"{path} is no valid Python: {error}") from error


def _concerns_nginx(changes: dict[Path, Content | None]) -> bool:
    return any(path.is_relative_to(paths.rooted("/etc/nginx")) for path in changes)


def _apply(app: AppPaths, supervisor: Supervisor) -> None:
    """Have supervisor know the programs as they are now; a live one goes on as it was started."""
    live = read_live(app)
    rollout.refresh_programs(
        app, supervisor, [slot for slot in SLOTS if live is None or slot != live.slot], _STOP_WITHIN
    )
    if live is not None:
        process = supervisor.process(app.program(live.slot))
        if process is None:  # its program was forgotten: by hand, or with its file
            supervisor.add([app.program(live.slot)])


def _record(
    app: AppPaths,
    wanted: dict[str, Content],
    targets: dict[Path, Content | None],
    subject: certificate.Subject,
    serial: int,
    text: str,
) -> None:
    own = {
        f"/{path.relative_to(paths.ROOT)}": hashlib.sha256(content.data).hexdigest()
        for path, content in targets.items()
        if content is not None
    }
    files.write_json(
        app.site_record,
        {
            "serial": serial,
            "files": {name: own.pop(name) for name in wanted},
            "snippets": own,
            "subject": {"names": subject.names, "addresses": subject.addresses, "days": subject.days},
            "addresses": subject.addresses,
            "certificate": _digest(text),
        },
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
