"""Old names of modules: they give the very same module, and say what it is called now."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import pytest

import lmos_opt
import measurement
import runner
from lmos_opt.policies.policy import Stretch

TABLES = (lmos_opt._MOVED, measurement._MOVED, runner._MOVED)
PACKAGES = ("lmos_opt", "measurement", "runner")
ALL = []
for package, table in zip(PACKAGES, TABLES, strict=True):
    for folder, names in table.items():
        for old, _, new in (name.partition("=") for name in names.split()):
            ALL.append((f"{package}.{old}", f"{folder}.{new or old}"))


@pytest.mark.parametrize(("old", "new"), ALL)
def test_an_old_name_gives_the_same_module_and_a_warning(old, new):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=rf"^{old} is {new} now; the old name goes"):
        found = importlib.import_module(old)
    assert found is importlib.import_module(new)
    assert found.__name__ == found.__spec__.name == new


def test_every_way_to_write_an_import():
    for old in ("lmos_opt.policy", "runner.bench.faults.proxy", "runner.protocol.frames", "runner.protocol"):
        sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match="policy"):
        from lmos_opt.policy import Stretch as Old
    assert Old is Stretch
    del lmos_opt.policy
    sys.modules.pop("lmos_opt.policy")
    with pytest.warns(DeprecationWarning, match="policy"):
        from lmos_opt import policy
    assert policy.Stretch is Stretch
    with pytest.warns(DeprecationWarning, match=r"runner\.protocol\.frames is runner\.wire\.protocol\.frames now"):
        import runner.protocol.frames
    assert runner.protocol.frames is importlib.import_module("runner.wire.protocol.frames")


def test_the_warning_names_the_line_that_imports():
    sys.modules.pop("lmos_opt.selection", None)
    with pytest.warns(DeprecationWarning, match="selection") as told:
        import lmos_opt.selection  # noqa: F401
    assert told[0].filename == __file__


def test_pickles_of_before_are_read():
    before = pickle.dumps(Stretch, protocol=0).replace(b"lmos_opt.policies.policy", b"lmos_opt.policy")
    assert b"lmos_opt.policies" not in before
    sys.modules.pop("lmos_opt.policy", None)
    with pytest.warns(DeprecationWarning, match="policy"):
        found = pickle.loads(before)
    assert found is Stretch


@pytest.mark.parametrize("name", ["lmos_opt.nosuch", "lmos_opt.policy.nosuch", "runner.cli.nosuch"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_never_was_is_no_module(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


@pytest.mark.parametrize("module", ["runner.cli", "lmos_opt"])
def test_the_command_by_a_module_s_old_name(module):
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"lmos {lmos_opt.__version__}\n"
    assert done.stderr == ""
