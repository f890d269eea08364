"""What an output was made with: versions, seed, commit, digests of code and data, solver, command. In a file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmos.paper.making.lab import Lab, file_digest
from lmos_opt import solvers
from lmos_opt.cache import source_digest
from lmos_opt.data import data_dir
from lmos_opt.processes.writing import write_atomically
from runner.machine import installed_versions, this_machine

_PACKAGES = ("highspy", "pyomo", "numpy", "pandas", "networkx", "joblib", "distributed", "matplotlib", "jinja2", "torch",
             "torchvision", "scikit-learn", "pillow")  # fmt: skip


def provenance(lab: Lab, name: str, command: str, outputs: Sequence[Path], seconds: float) -> dict[str, Any]:
    """The account of one experiment, as JSON values."""
    machine = this_machine(1)
    solver = solvers.get(lab.solver)
    return {
        "experiment": name, "command": command, "seed": lab.seed, "solver": {"name": solver.name, "version": solver.version()},
        "versions": {**machine.versions, **versions()}, "system": machine.system, "cpu": machine.cpu, "cores": machine.cores,
        "commit": machine.commit, "code": f"sha256:{source_digest('lmos_opt', 'measurement', 'runner')}",
        "data": {path.relative_to(data_dir()).as_posix(): file_digest(path) for path in sorted(lab.used)},
        "outputs": {path.name: file_digest(path) for path in outputs},
        "results_computed": lab.computed, "results_from_cache": lab.reused, "seconds": round(seconds, 3),
    }  # fmt: skip


def save(account: dict[str, Any], path: Path) -> None:
    """Write it."""
    write_atomically(path, (json.dumps(account, indent=1, ensure_ascii=False) + "\n").encode())


def versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    return installed_versions(_PACKAGES)
