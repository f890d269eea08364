"""The machine a run took place on, as far as it explains the numbers."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lmos_opt
from lmos_opt.files import Count, Name, Record, Text
from measurement.processor import cpu_name, processors

_PACKAGES = ("torch", "torchvision", "numpy")
SOFTWARE = f"lmos {lmos_opt.__version__}"
"""The software and version that each side of a conversation gives."""


class Machine(Record):
    """Versions, processor, torch's threads, and the commit where the package runs from a checkout."""

    versions: dict[Name, Text]
    system: Text
    cpu: Text
    cores: Count
    threads: Count
    commit: Text | None

    def remarked(self, remarks: Sequence[str]) -> Machine:
        """The same machine, with remarks on a part after the name of its engine."""
        if not remarks:
            return self
        engine = "; ".join([self.versions.get("engine", "torch"), *remarks])
        return self.model_copy(update={"versions": {**self.versions, "engine": engine}})


def this_machine(threads: int, engine: str | None = None) -> Machine:
    """This machine, with the number of torch's threads, and the engine if it is not torch on the processor."""
    return Machine(
        versions={"python": platform.python_version(), "lmos": lmos_opt.__version__, **installed_versions(_PACKAGES),
                  **({} if engine is None else {"engine": engine})},
        system=platform.platform(),
        cpu=cpu_name(),
        cores=processors(),
        threads=threads,
        commit=_commit(),
    )


def installed_version(package: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those distributions that are installed."""
    return {name: found for name in packages if (found := installed_version(name)) is not None}


def _commit() -> str | None:
    root = Path(lmos_opt.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5,
                              check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
