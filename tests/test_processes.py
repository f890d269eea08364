"""No process outlives the tests that started it, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import MARK, marked, started

ROOT = Path(__file__).parent.parent
CONFTEST = "from tests.processes import end_with as pytest_configure\n"  # as in tests/conftest.py, which imports more
LEAVES = """import os, subprocess, sys, time
from pathlib import Path

def test_that_starts_what_does_not_end():
    sleeps = "import time; time.sleep(600)"
    children = [subprocess.Popen([sys.executable, "-c", sleeps], start_new_session=bool(k)) for k in range(2)]
    found = Path("started.part")
    found.write_text(os.environ["MARK"])
    found.rename("started")
    time.sleep(600 if os.environ["HOW"] != "failed" else 0)
    assert False
"""
pytestmark = [pytest.mark.process, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux tells environments")]


@pytest.mark.parametrize(("how", "workers"), [("failed", "1"), ("INT", "0"), ("INT", "1"), ("TERM", "0"), ("KILL", "1")])
def test_a_run_of_tests_leaves_no_process(how: str, workers: str, tmp_path: Path) -> None:
    """SIGINT is ignored by the shell that calls it, as by one that was started in the background; the run heeds it all the same."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(LEAVES.replace("MARK", MARK))
    command = ["sh", "-c", """trap '' INT; exec "$0" "$@" """, sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", workers]
    environment = {**os.environ, "HOW": how, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # each costs its import, in both processes
                   "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with started(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as process:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.02)
        mark = (tmp_path / "started").read_text()
        if how == "INT":
            os.killpg(process.pid, signal.SIGINT)
        elif how != "failed":
            process.send_signal(signal.SIGKILL if how == "KILL" else signal.SIGTERM)
        process.wait(60)
        end = time.monotonic() + 60
        while (left := marked(mark)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not left
