"""A cache that processes share: results whole or none, nobody else's files touched, no more than was agreed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmos_opt.cache import SharedCache
from tests.lmos_opt.documents import listed

WRITER = """
import sys
from lmos_opt.cache import SharedCache
cache = SharedCache(sys.argv[1], 10**6)
key = cache.key("profile", {"network": "both"})
for k in range(60):
    cache.write(key, {"by": sys.argv[2], "k": k, "long": "x" * 50_000})
    found = cache.read(key)
    assert found is None or len(found["long"]) == 50_000, found  # None: the other has just cleared
    if k % 20 == 7:
        cache.clear()
        cache.write(key, {"by": sys.argv[2], "k": k, "long": "x" * 50_000})
"""


@pytest.fixture
def cache(tmp_path: Path) -> SharedCache:
    return SharedCache(tmp_path / "kept", 1000)


def test_what_was_written_is_read_and_is_the_users_alone(cache):
    key = cache.key("profile", {"network": "a"})
    assert cache.read(key) is None
    cache.write(key, {"value": 1})
    assert cache.read(key) == {"value": 1}
    entry, = cache.entries()
    assert entry.path.stat().st_mode & 0o777 == 0o600
    assert cache.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b'{"value": ', b"\xff\xfe", b'{"value": NaN}'], ids=["empty", "cut off", "bytes", "NaN"])
def test_a_damaged_result_is_none_and_is_replaced(cache, damage):
    key = cache.key("profile", {"network": "a"})
    cache.write(key, {"value": 1})
    cache.entries()[0].path.write_bytes(damage)
    assert cache.read(key) is None
    cache.write(key, {"value": 2})
    assert cache.read(key) == {"value": 2}


def test_where_nothing_can_be_written_nothing_is_kept_and_nobody_stopped(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = SharedCache(tmp_path / "file" / "kept", 1000)
    cache.write("profile-0", 1)
    assert (cache.read("profile-0"), cache.entries(), cache.clear()) == (None, [], 0)
    folder = SharedCache(tmp_path, 1000)
    (tmp_path / "profile-1.json").mkdir()
    folder.write("profile-1", 1)
    assert folder.read("profile-1") is None


def test_what_was_not_used_for_longest_goes_first(cache):
    keys = [cache.key("profile", {"network": k}) for k in range(4)]
    for k, key in enumerate(keys[:3]):
        cache.write(key, "x" * 300)
        os.utime(cache.folder / f"{key}.json", (k, k))
    assert cache.read(keys[0]) == "x" * 300  # is used now
    cache.write(keys[3], "x" * 300)
    assert [key for key in keys if (cache.folder / f"{key}.json").exists()] == [keys[0], keys[2], keys[3]]
    cache.write(keys[1], "x" * 2000)  # more than all may take
    assert cache.read(keys[1]) is None


def test_only_results_and_what_is_left_of_them_are_removed(cache):
    key = cache.key("profile", {"network": "a"})
    cache.write(key, 1)
    left_over = cache.folder / f".{key[:31]}.a1b2_3c4.part"
    for other in (cache.folder / "profile.json", cache.folder / "notes.txt", left_over):
        other.write_text("{}")
    assert cache.clear() == 2
    assert listed(cache.folder) == ["notes.txt", "profile.json"]


def test_two_processes_write_read_and_clear_at_once(tmp_path):
    both = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], stderr=subprocess.PIPE, text=True)
            for name in "ab"]  # fmt: skip
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    found, = SharedCache(tmp_path, 10**6).entries()
    assert found.bytes > 50_000
