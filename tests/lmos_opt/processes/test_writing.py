"""Files are written whole or not at all, wherever the path leads."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmos_opt import InputError
from lmos_opt.errors import DiskFullError
from lmos_opt.processes.writing import write_atomically
from tests.lmos_opt.documents import examples, listed

EXAMPLES = examples()


def fail(error: BaseException) -> Any:
    def failing(*_: object) -> None:
        raise error

    return failing


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, old):
    file = tmp_path / "file.json"
    if old is not None:
        file.write_bytes(old)
    with monkeypatch.context() as patched:
        patched.setattr(step, fail(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(DiskFullError, match=r"file\.json: cannot be written: no space left on device$"):
            write_atomically(file, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({} if old is None else {"file.json": old})


def test_an_interruption_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "file.json"
    file.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", fail(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.json": b"old"}


def test_a_disk_that_really_ends_in_the_middle_leaves_the_old_file(tmp_path):
    """A limit on file size stops the write half way, as a full disk does."""
    file = tmp_path / "file.json"
    file.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DiskFullError, match="cannot be written: file too large"):
            write_atomically(file, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.json": b"old"}
    with pytest.raises(DiskFullError, match="no space left"):
        write_atomically("/dev/full", b"new")


@pytest.mark.parametrize("place", ["none/file.json", "file/file.json", "folder"])
def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot be written: (no such|not a|is a) "):
        write_atomically(tmp_path / place, b"new")
    assert listed(tmp_path) == ["file", "folder"]
    assert listed(tmp_path / "folder") == []


def test_writing_keeps_a_files_mode_and_gives_new_ones_the_usual(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o640)
    mask = os.umask(0o027)
    try:
        write_atomically(old, b"x")
        write_atomically(new, b"x")
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, new)] == [0o640, 0o640]


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target.json", tmp_path / "link.json"
    link.symlink_to(target)
    for data in (b"first", b"second"):
        write_atomically(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert listed(tmp_path / "folder") == ["target.json"]


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path):
    file = tmp_path / ("x" * 250 + ".json")
    write_atomically(file, b"data")
    assert file.read_bytes() == b"data"


def test_standard_output_is_a_file_like_any_other(tmp_path):
    """As a pipe and as a file, which must not be renamed over: others hold it open."""
    EXAMPLES["instance"].save(tmp_path / "in.json")
    code = "import sys; from lmos_opt import Instance; Instance.load(sys.argv[1]).save('/dev/stdout')"
    command = [sys.executable, "-c", code, str(tmp_path / "in.json")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == (tmp_path / "in.json").read_bytes()
    with (tmp_path / "out.json").open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    assert (tmp_path / "out.json").read_bytes() == done.stdout
    assert Path("/dev/stdout").is_symlink()
    assert listed(tmp_path) == ["in.json", "out.json"]
