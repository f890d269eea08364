"""What is installed, and what this machine can do. Each finding is tested, and none is inferred from another."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

import lmos_opt
from lmos_opt import solvers
from lmos_opt.errors import LmosError
from measurement.processor import processors
from runner.machine import installed_version

EXTRAS = {
    "torch": "profile, serve, run, demo, export --to torch",
    "plots": "pictures, report",
    "ui": "ui",
    "export": "export to ONNX, run --head, networks onnx:FILE, the engine onnxruntime",
    "tls": "certs, and TLS between edge and server",
    "timm": "networks timm:NAME",
    "hf": "networks hf:DIRECTORY, generate",
    "codecs": "the codecs zstd and zint",
    "video": "videos and cameras as inputs of run",
    "metrics": "--metrics of run and serve",
    "calibration": "calibrate",
    "reproduce": "reproduce, with figure 4",
    "indicators": "Front.hypervolume, Front.indicators",
    "dask": "--dask of sweep and reproduce",
    "solvers": "the solvers scip and gurobi",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_LIMIT_S = 10


@dataclass(frozen=True)
class Finding:
    """One thing that is there or missing. `part` is the table in which it is shown, `use` what it is for."""

    part: str
    name: str
    is_there: bool
    detail: str
    use: str = ""


def findings() -> Iterator[Finding]:
    """Everything, in the order in which it is printed."""
    yield Finding("package", "lmos", True, f"{lmos_opt.__version__}, {Path(lmos_opt.__file__).parent}")
    yield Finding("package", "python", True, f"{platform.python_version()}, {platform.platform()}")
    yield from _packages()
    yield from _solvers()
    yield from _torch()
    yield from _machine()


def _packages() -> Iterator[Finding]:
    missing = [name for name in _required(None) if installed_version(name) is None]
    yield Finding("package", "required packages", not missing, _listed(missing) or "all there", "everything")
    for extra, use in EXTRAS.items():
        names = _required(extra)
        if not names:  # installed from metadata of another version
            continue
        missing = [name for name in names if installed_version(name) is None]
        detail = f"missing: {', '.join(missing)}; pip install 'lmos[{extra}]'" if missing else _listed(names)
        yield Finding("extra", extra, not missing, detail, use)


def _required(extra: str | None) -> list[str]:
    """The distributions that an extra (None: the package itself) asks for, those of extras that it names included."""
    found: list[str] = []
    try:
        listed = requires("lmos") or []
    except PackageNotFoundError:  # run from a folder that nobody installed
        return []
    for text in listed:
        asked, match = _EXTRA.search(text), _REQUIREMENT.match(text)
        if match is None or (asked[1] if asked else None) != extra:
            continue
        if match[1].lower() == "lmos":
            found += [name for inner in (match[2] or "").split(",") for name in _required(inner.strip())]
        else:
            found.append(match[1])
    return list(dict.fromkeys(found))


def _solvers() -> Iterator[Finding]:
    for name in solvers.names():
        try:
            yield Finding("solver", name, True, solvers.get(name).version())
        except LmosError as error:
            yield Finding("solver", name, False, str(error).removeprefix(f"solver {name}: "))


def _torch() -> Iterator[Finding]:
    if find_spec("torch") is None:
        return
    import torch

    yield Finding("machine", "torch's threads", True, f"{torch.get_num_threads()} of {processors()} processors")
    gpu = torch.cuda.is_available()
    yield Finding("machine", "GPU", gpu, torch.cuda.get_device_name(0) if gpu else "none that torch sees", "nothing here needs one")


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "shaping in the runner", True, "needs nothing of the system", "run --shape")
    inside = _succeeds("unshare", "--net", "true")
    yield Finding("machine", "network namespaces", inside, "" if inside else _why("unshare"), "an emulated link between processes")
    for kind, arguments, use in (("tbf", ["rate", "10mbit", "burst", "32kb", "latency", "100ms"], "a link's rate, by the kernel"),
                                 ("netem", ["delay", "1ms"], "a link's delay, by the kernel")):  # fmt: skip
        works = inside and _succeeds("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", kind, *arguments)
        detail = "" if works else _why("tc") if inside else "no network namespace to try it in"
        yield Finding("machine", f"tc {kind}", works, detail, use)
    for name, files in (("memory", ("memory", "memory.max")), ("cpu", ("cpu", "cpu.max"))):
        works = any(os.access(Path("/sys/fs/cgroup") / file, os.W_OK) for file in files)
        yield Finding("machine", f"cgroup: {name}", works, "" if works else "not writable here", f"an edge with less {name}")
    meters = sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    works = any(os.access(meter, os.R_OK) for meter in meters)
    yield Finding("machine", "energy counters (RAPL)", works, "" if works else "none that can be read", "measured energy")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _why(command: str) -> str:
    return "the kernel or this user's rights do not admit it" if shutil.which(command) else f"there is no command {command}"


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name} {installed_version(name) or 'missing'}" for name in names)
