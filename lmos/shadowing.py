"""Files of a user that hide a package of lmos, for example a `runner.py` in the current folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def shadowing() -> str | None:
    """A line that names the file which Python finds in place of a package of lmos; None if there is none.

    With `python -m`, Python searches the current folder first; it always searches PYTHONPATH. Nothing is imported here.
    """
    for package in ("lmos_opt", "measurement", "runner"):
        found = find_spec(package)
        origin = None if found is None else found.origin
        if origin is not None and Path(origin).resolve().parent != _HOME / package:
            return f"{origin} hides the package {package!r} of lmos: rename it, or work in another folder"
    return None
