"""Archives from a hostile sender: nothing may get out of the folder that it is unpacked into."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from pulumi_slipway.agent import archive, catalogue, paths
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths

Member = tuple[tarfile.TarInfo, bytes]


def _file(name: str, content: bytes = b"x", mode: int = 0o644) -> Member:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, content


def _special(name: str, kind: bytes, to: str = "") -> Member:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry, b""


def _unpack(folder: Path, *members: Member) -> Path:
    with tarfile.open(folder / "archive.tar.gz", "w:gz") as target:
        for entry, content in members:
            target.addfile(entry, io.BytesIO(content))
    archive.unpack(folder / "archive.tar.gz", folder / "inside", os.getuid(), os.getgid())
    return folder / "inside"


def test_files_folders_and_links_within_come_out(tmp_path: Path) -> None:
    inside = _unpack(
        tmp_path,
        _file("./a/b/run.sh", b"#!/bin/sh\n", 0o4755),
        _file("a/data.txt", b"data", 0o600),
        _special("a/link", tarfile.SYMTYPE, "b/../data.txt"),
        _special("empty", tarfile.DIRTYPE),
    )
    assert (inside / "a/link").read_bytes() == b"data"
    assert (inside / "empty").is_dir()
    assert (inside / "a/b/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (inside / "a/data.txt").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    "members",
    [
        [_file("/etc/passwd")],
        [_file("../outside")],
        [_file("a/../../outside")],
        [_file("..")],
        [_special("link", tarfile.SYMTYPE, "/etc/passwd")],
        [_special("a/link", tarfile.SYMTYPE, "../../outside")],
        [_special("link", tarfile.SYMTYPE, ".."), _file("link/outside")],
        [
            _special("p/q/top", tarfile.SYMTYPE, "../.."),
            _special("way/out", tarfile.SYMTYPE, "../p/q/top/../outside"),
        ],
        [_special("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [_special("device", tarfile.CHRTYPE)],
        [_special("pipe", tarfile.FIFOTYPE)],
        [_file("twice"), _file("twice")],
        [_file("name"), _file("name/below")],
    ],
)
def test_what_leads_out_or_is_odd_is_refused(tmp_path: Path, members: list[Member]) -> None:
    (tmp_path / "outside").write_text("untouched")
    with pytest.raises(AgentError, match="archive"):
        _unpack(tmp_path, *members)
    assert (tmp_path / "outside").read_text() == "untouched"


def test_a_member_below_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(AgentError):
        _unpack(tmp_path, _file("real/file"), _special("link", tarfile.SYMTYPE, "real"), _file("link/file"))


def test_a_truncated_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(AgentError, match="cannot be unpacked"):
        archive.unpack(tmp_path / "archive.tar.gz", tmp_path / "inside", os.getuid(), os.getgid())


def test_a_damaged_upload_is_removed_so_that_it_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue, "_INCOMING", str(tmp_path))
    app = AppPaths("shop")
    app.archives.mkdir(parents=True)
    upload = tmp_path / "upload.tar.gz"
    upload.write_bytes(b"dbmaged")
    digest = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(AgentError, match="is damaged: .* run the same command again"):
        archive.take(app, upload, digest)
    assert not upload.exists()
    assert list(app.archives.iterdir()) == []
    upload.write_bytes(b"damaged")
    assert archive.take(app, upload, digest).read_bytes() == b"damaged"


def test_what_is_no_upload_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path / "root")
    app = AppPaths("shop")
    app.archives.mkdir(parents=True)
    for name in ("precious", "precious.tar.gz"):  # not the kind of file, not the place
        (tmp_path / name).write_bytes(b"precious")
        with pytest.raises(AgentError, match="remove it"):
            archive.take(app, tmp_path / name, "0" * 64)
        assert (tmp_path / name).exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SIZE_LIMIT", 10)
    with pytest.raises(AgentError, match="too much"):
        _unpack(tmp_path, _file("large", b"x" * 11))
