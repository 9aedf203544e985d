"""Release commands and set-up commands: which of them run, and when. By themselves: no server, no root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.agent import (
    app_commands,
    database_look,
    database_notes,
    journal,
    migrate,
    paths,
    room,
    setup,
    tree,
    users,
)
from pulumi_slipway.agent import variables as app_variables
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths


class Ran:
    """Stands for the app's programs: what was run, and what fails."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.failing: set[str] = set()
        self.killing: set[str] = set()
        self.empty = True

    def run(self, _app: Any, _record: Any, command: str, _deadline: Any, what: str) -> None:
        self.commands.append(command)
        if command in self.failing:
            raise AgentError(f"{what} failed")
        if command in self.killing:
            raise KeyboardInterrupt


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    found = Ran()
    monkeypatch.setattr(users, "require", lambda name: users.User(name, 0, 0))
    monkeypatch.setattr(users, "acting_as", _nobody)
    monkeypatch.setattr(app_variables, "load", lambda _app, env: {"DATABASE_URL": f"postgresql://u:p@{env}/x"})
    monkeypatch.setattr(app_commands, "run_as_app", found.run)
    monkeypatch.setattr(app_commands, "wait_for_predecessor", lambda _app, _deadline: None)
    monkeypatch.setattr(database_look, "is_empty", lambda _app, _record: found.empty)
    monkeypatch.setattr(database_look, "is_known_empty", lambda _app, _record: False)
    (tmp_path / "srv/shop/shared").mkdir(parents=True)
    return found


class _nobody:  # noqa: N801 (stands for a function)
    def __init__(self, _user: object) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_error: object) -> None: ...


SHOP = AppPaths("shop")


def migrated(number: int, inputs: str | None, commands: list[str] | None = None, env: str = "e", **more: Any) -> Any:
    """Stages release `number` and runs its commands; what the journal says."""
    SHOP.release(f"r{number}").mkdir(parents=True, exist_ok=True)
    entry: dict[str, Any] = {}
    record = {"commands": ["migrate"] if commands is None else commands, "env": env}
    migrate.migrate(SHOP, f"r{number}", record, migrate.Wanted(inputs, **more), 10, entry)
    return entry.get("migration")


def test_release_commands_are_skipped_while_nothing_that_feeds_them_changes(ran: Ran) -> None:
    assert migrated(1, "a") == "done"
    assert migrated(1, "a") is None  # the same release again
    assert migrated(2, "a") == "skipped"
    assert migrated(3, "b") == "done"
    assert migrated(4, "b", force=True) == "done"
    assert migrated(5, None) == "done"
    assert migrated(6, "b", ["migrate", "load"]) == "done"
    assert migrated(7, "b", ["migrate", "load"], env="another") == "done"
    assert migrated(8, "b", ["migrate", "load"], env="another") == "skipped"
    assert migrated(9, "c", []) is None
    assert ran.commands == ["migrate"] * 4 + ["migrate", "load"] * 2


def test_a_command_that_failed_is_not_taken_for_done(ran: Ran) -> None:
    assert migrated(1, "a") == "done"
    ran.failing = {"migrate"}
    with pytest.raises(AgentError):
        migrated(2, "b")
    with pytest.raises(AgentError):
        migrated(3, "a")
    ran.failing = set()
    assert migrated(4, "a") == "done"


def set_up(*commands: str, answer: str | None = None, env: str = "e") -> None:
    record = {"env": env}
    wanted = setup.Wanted.read({"setup": list(commands), "setup_answer": answer})
    setup.meet(SHOP, record, wanted)
    setup.set_up(SHOP, record, wanted, 10, {})


def question(*commands: str, answer: str | None = None) -> str:
    with pytest.raises(AgentError, match="may destroy what is there") as caught:
        set_up(*commands, answer=answer)
    return str(caught.value).partition("'run ")[2][:8]


def test_a_new_database_is_set_up_once(ran: Ran) -> None:
    set_up("init-db", "createsuperuser")
    ran.empty = False
    set_up("init-db", "createsuperuser")
    assert ran.commands == ["init-db", "createsuperuser"]
    ran.empty = True
    set_up("init-db", env="another-database")
    assert ran.commands[2:] == ["init-db"]


def test_another_command_on_a_database_in_use_asks_and_an_answer_is_good_for_once(ran: Ran) -> None:
    set_up("init-db")
    number = question("init-db --again")
    assert question("init-db --again", answer="run 00000000") == number
    set_up("init-db --again", answer=f"run {number}")
    set_up("init-db --again", answer=f"run {number}")
    assert ran.commands == ["init-db", "init-db --again"]
    number = question("third")
    set_up("third", answer=f"done {number}")
    set_up("third")
    assert len(ran.commands) == 2


def test_a_database_that_cannot_be_asked_counts_as_in_use(ran: Ran) -> None:
    ran.empty = False
    question("init-db")
    assert ran.commands == []


def test_what_failed_is_run_again_and_what_was_cut_off_asks(ran: Ran) -> None:
    ran.failing = {"createsuperuser"}
    with pytest.raises(AgentError, match="createsuperuser. failed"):
        set_up("init-db", "createsuperuser")
    ran.failing = set()
    ran.killing = {"createsuperuser"}
    with pytest.raises(KeyboardInterrupt):
        set_up("init-db", "createsuperuser")
    ran.killing = set()
    number = question("init-db", "createsuperuser")
    set_up("init-db", "createsuperuser", answer=f"run {number}")
    assert ran.commands == ["init-db", "createsuperuser", "createsuperuser", "createsuperuser"]


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(AgentError, match="setup_answer: 'yes' is no answer"):
        setup.Wanted.read({"setup": [], "setup_answer": "yes"})


def test_notes_that_the_app_spoiled_are_told(ran: Ran) -> None:
    set_up("init-db")
    note = SHOP.shared / ".slipway/notes.json"
    for text in ("", "[]", '{"databases": [], "seeded": []}', '{"databases": {"x": 1}, "seeded": []}'):
        note.write_text(text)
        with pytest.raises(AgentError, match=r"notes\.json is damaged"):
            database_notes.of(SHOP, "x")
    assert ran.commands == ["init-db"]


def test_databases_are_told_apart_without_their_passwords() -> None:
    managed = {"database": {"engine": "postgresql", "host": "db", "name": "shop"}}
    assert database_notes.identity(managed, {}) == "postgresql:db/shop"
    one, other = ({"DATABASE_URL": f"mysql://u:{secret}@db:3306/shop"} for secret in ("first", "second"))
    assert database_notes.identity({}, one) == database_notes.identity({}, other)
    assert database_notes.identity({}, one) != database_notes.identity({}, {"DATABASE_URL": "mysql://u:first@db2/shop"})


def test_the_disk_guard_counts_in_the_unpacked_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(b"\0" * (300 * 2**20), compresslevel=1))
    assert room.unpacked_size(archive) == 300 * 2**20
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(users, "require", lambda name: users.User(name, 0, 0))
    free = [1100 * 2**20 - 1]
    monkeypatch.setattr(room, "free", lambda _place: free[0])
    SHOP.build.mkdir(parents=True)
    with pytest.raises(AgentError, match="has 1100 MiB free, and 1100 MiB are needed") as caught:
        room.require_for_release(SHOP, archive)
    assert "larger disk" in str(caught.value)
    free[0] += 1
    room.require_for_release(SHOP, archive)


def test_a_line_that_has_no_room_waits_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "run").mkdir()
    path = tmp_path / "shop/journal.jsonl"
    path.parent.mkdir()
    with journal.recorded(path, "first"):
        pass
    write = journal._write

    def full(_path: Path, _lines: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_write", full)
    for action in ("second", "third"):
        with journal.recorded(path, action):
            pass
    monkeypatch.setattr(journal, "_write", write)
    assert [entry["action"] for entry in journal.read(path, 9)] == ["first"]
    with journal.recorded(path, "fourth"):
        pass
    assert [entry["action"] for entry in journal.read(path, 9)] == ["first", "second", "third", "fourth"]


def test_what_is_noted_of_an_app_is_none_of_its_data(ran: Ran) -> None:
    set_up("init-db")
    assert (SHOP.shared / ".slipway/notes.json").is_file()
    assert tree.measure(SHOP.shared) == (0, 0)
    (SHOP.shared / "media/.slipway").mkdir(parents=True)
    (SHOP.shared / "media/.slipway/file").write_text("four")
    assert tree.measure(SHOP.shared) == (1, 4)
