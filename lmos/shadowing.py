"""Files of a user that hide the packages of lmos: a `runner.py` where a command is called, say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def shadowing() -> str | None:
    """One line that names the file which Python finds in place of a package that stands beside this one; None without such.

    Python looks in the current directory first for `python -m`, and in PYTHONPATH always. Nothing is imported here.
    """
    for package in ("lmos_opt", "measurement", "runner"):
        found = find_spec(package)
        origin = None if found is None else found.origin
        if origin is not None and Path(origin).resolve().parent != _HOME / package:
            return f"{origin} hides the package {package!r} of lmos: rename it, or work in another folder"
    return None
