"""pyaugmecon 2.0.1, AUGMECON-R on Pyomo, with HiGHS and one worker, in a Python of its own.

It needs Python 3.12, and steps ε by one: whole objective values only. HiGHS gets the tolerances of the other contestants
and is without heuristics as they are; presolve is left on, as its users have it, which suits it on these programs.
`lmos/bench/pyaugmecon_worker.py` times model building and solving there; imports and a first small program are not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import rmtree, which
from typing import Any

import lmos.bench
from lmos.bench.cases import Case, IntegerProgram
from lmos.bench.solvers import ContestAnswer, Contestant, MissingPeer, Terms
from lmos.bench.solvers.raw_highspy import OPTIONS
from runner.errors import RunnerError, one_line

NAME = "pyaugmecon"
_REQUIREMENTS = ("pyaugmecon==2.0.1", "highspy==1.16.0")
_PYTHONS = ("python3.14", "python3.13", "python3.12")
_INSTALLED = (".pyenv/versions/*/bin/python3", ".local/share/uv/python/*/bin/python3")
"""Where pyenv and uv keep Pythons that need not be on the PATH."""
_WORKER = Path(lmos.bench.__file__).with_name("pyaugmecon_worker.py")
_WARM_UP = {"name": "warm-up", "sense": ["max", "max"], "c": [[2, 1], [1, 2]], "c0": [0, 0], "A": [[1, 1]], "b": [1],
            "row_sense": "<=", "vars": "binary"}  # fmt: skip
_START_UP_S = 60.0
_IS_RECENT = "import sys, venv; sys.exit(sys.version_info < (3, 12))"


def contestant(named: Path | None = None) -> Contestant:
    """It, in the named Python, or in an environment under the cache folder that is made once."""
    return Contestant(NAME, lambda case, terms: run(case, terms, named), frozenset({"program"}), integral_only=True,
                      load=lambda: _check(named))


def run(case: Case, terms: Terms, named: Path | None = None) -> ContestAnswer:
    """Ask the worker; raises RunnerError if it fails."""
    assert isinstance(case.problem, IntegerProgram)
    request = {"program": case.problem.model_dump(mode="json"), "warm_up": _WARM_UP, "options": OPTIONS,
                "time_limit_s": terms.time_limit_s}  # fmt: skip
    try:
        done = subprocess.run([python(named), "-I", str(_WORKER)], input=json.dumps(request), capture_output=True, text=True,
                              timeout=terms.time_limit_s + _START_UP_S, check=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        return ContestAnswer((), complete=False, note=f"stopped after {terms.time_limit_s:g} s", seconds=terms.time_limit_s)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise RunnerError(NAME, one_line(said[-1])) from None
    answer: dict[str, Any] = json.loads(done.stdout)
    if "refused" in answer:
        return ContestAnswer((), complete=False, note=answer["refused"], seconds=answer["seconds"])
    return ContestAnswer(tuple(map(tuple, answer["values"])), answer["solves"], answer["complete"], seconds=answer["seconds"])


def _check(named: Path | None) -> None:
    python(named)


@cache
def python(named: Path | None) -> str:
    """The path of a Python with pyaugmecon. MissingPeer, which says how to install it, if there is none."""
    if named is not None:
        if not _works(str(named)):
            raise MissingPeer(NAME, f"{named} does not import it: {named} -m pip install {' '.join(_REQUIREMENTS)}")
        return str(named)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmos" / _REQUIREMENTS[0].replace("==", "-")
    made = str(folder / "bin" / "python")
    if not _works(made):
        _make(folder, made)
    return made


def _make(folder: Path, made: str) -> None:
    kept = (str(path) for pattern in _INSTALLED for path in sorted(Path.home().glob(pattern)))
    base = next((path for path in (sys.executable, *map(which, _PYTHONS), *kept) if path and _runs(path, _IS_RECENT)), None)
    if base is None:
        raise MissingPeer(NAME, "it needs Python 3.12 or later, and none is here: install one, or give --pyaugmecon-python")
    finished = False
    try:
        for command in ([base, "-m", "venv", "--clear", str(folder)],
                        [made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS]):
            subprocess.run(command, check=True, capture_output=True, text=True)
        finished = True
    except (OSError, subprocess.CalledProcessError) as error:
        why = one_line((getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1])
        raise MissingPeer(NAME, f"no environment for it in {folder} ({why}): give --pyaugmecon-python") from None
    finally:
        if not finished:
            rmtree(folder, ignore_errors=True)


def _works(path: str) -> bool:
    return _runs(path, "import highspy, pyaugmecon")


def _runs(path: str, program: str) -> bool:
    try:
        return subprocess.run([path, "-I", "-c", program], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


CONTESTANT = contestant()
