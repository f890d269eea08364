"""Commands that begin at once: they get what was typed, and what came of them comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import warm

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with warm.commands("tests.preloaded") as folder:
        yield {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TOLD": "so"}


def test_a_program_gets_what_was_typed_and_its_end_comes_back(environment: dict[str, str], tmp_path: Path) -> None:
    program = "import os, sys; print(sys.argv, os.getcwd(), os.environ['TOLD'], sys.stdin.read()); sys.exit(3)"
    done = subprocess.run(["python", "-c", program, "a b"], cwd=tmp_path, env=environment, input="in", capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (3, f"['-c', 'a b'] {tmp_path} so in\n", "")
    (tmp_path / "beside.py").write_text("N = 5\n")
    (tmp_path / "own.py").write_text("import sys, beside\nif __name__ == '__main__':\n print(beside.N, sys.argv[1:])\n 1 / 0\n")
    done = subprocess.run(["bash", "-c", "python own.py x | cat; exit ${PIPESTATUS[0]}"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "5 ['x']\n")
    assert "ZeroDivisionError" in done.stderr


def test_lmos_is_the_command(environment: dict[str, str]) -> None:
    done = subprocess.run(["lmos", "front", "nonsense"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lmos: ")


def test_what_is_killed_leaves_nothing(environment: dict[str, str]) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen(["python", "-c", program], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def test_a_module_that_is_not_ours_is_a_process_of_its_own() -> None:
    assert warm.is_ours([sys.executable, "-m", "lmos"])
    assert not warm.is_ours(["bash", "-c", "true"])
