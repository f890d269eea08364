"""Files that tests of sweeps read."""

from pathlib import Path
from textwrap import dedent


def toml(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "sweep.toml"
    path.write_text(dedent(text))
    return path
