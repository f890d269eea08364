"""What must not be loaded is not: nobody waits for Pyomo or torch to read a help text."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

HEAVY = {"highspy", "matplotlib", "networkx", "numpy", "pandas", "plotly", "pyarrow", "pydantic", "pyomo", "torch", "torchvision"}
LIST_MODULES = "import json, sys; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after the program, less those that it always has."""
    return loaded_after(program) - loaded_after("")


@cache
def loaded_after(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{program}\n{LIST_MODULES}"], capture_output=True, text=True, check=True)
    return {*json.loads(done.stderr.splitlines()[-1])}


def test_help_loads_nothing_heavy():
    loaded = loaded_by("from lmos.cli import main\nmain(['--help'])\nmain(['--version'])")
    assert "lmos.cli" in loaded
    assert not loaded & HEAVY


def test_help_of_a_command_loads_none_of_its_code():
    commands = ["profile", "front", "plan", "policy", "serve", "run", "demo"]
    loaded = loaded_by(f"from lmos.cli import main\nfor command in {commands}:\n    main([command, '--help'])")
    assert not loaded & (HEAVY - {"pydantic"})  # typer itself reads parameters with pydantic where it is installed
    assert not [name for name in loaded if name.startswith("lmos.commands")]


def test_importing_the_packages_loads_nothing_heavy():
    loaded = loaded_by("import lmos_opt, measurement, runner, lmos")
    assert {"lmos_opt", "measurement", "runner", "lmos"} <= loaded
    assert not loaded & (HEAVY | {"socket"})


def test_a_front_needs_neither_torch_nor_sockets_nor_pictures():
    front = ("from lmos_opt import Instance, pareto_front\nfrom lmos_opt.sources import *\n"
             "pareto_front(instance_of(load_source('alexnet'), Options()), algorithm={})")
    loaded = loaded_by(front.format("'epsilon_constraint'"))
    assert "pyomo" in loaded
    assert "pyomo" not in loaded_by(front.format(None))  # few splits are looked at, without a program
    assert not loaded & {"torch", "torchvision", "matplotlib", "plotly", "pandas"}


def test_the_seconds_of_a_front_leave_out_what_it_imports():
    """What is loaded after the clock has started is this package's own, small and pure Python."""
    program = """
import sys, time
import lmos_opt.api as api
loaded = []
def clock():
    loaded.append(set(sys.modules))
    return time.perf_counter()
api.perf_counter = clock
from lmos_opt.sources import Options, instance_of, load_source
api.pareto_front(instance_of(load_source('alexnet'), Options()))
later = {name for name in set(sys.modules) - loaded[0] if not name.startswith('lmos_opt.')}
assert not later, later
"""
    assert "highspy" in loaded_after(program)
