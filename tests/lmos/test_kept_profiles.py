"""Profiles on disk: the same as one made now, made again wherever something that they depend on has changed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import lmos.kept
import lmos.profiles
from lmos.cli import main
from lmos.kept import shared_cache
from lmos.kept_profiles import Asked, is_network, kept_profile
from lmos_opt.errors import InputError
from lmos_opt.profile import NetworkProfile
from tests.lmos_opt.documents import DIGEST, profile_data
from tests.test_start_up import loaded_by

OWN = """
from torch import nn

def made():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear({features}, {classes}))
"""
INPUT = ("3x6x6",)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """An empty folder of what is kept, and another one to stand in."""
    monkeypatch.setenv("LMOS_CACHE", str(tmp_path / "kept"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "kept"


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The networks that were built and traced, in order; nothing is."""
    found: list[str] = []

    def make_profile(builder, weights, granularity, inputs, opaque=(), tell_user=None, graphs=None):
        found.append(builder)
        tell_user("a part stays whole")
        network = {"builder": builder, "weights": weights, "digest": DIGEST}
        return NetworkProfile.from_dict({**profile_data(), "network": network})

    monkeypatch.setattr(lmos.profiles, "make_profile", make_profile)
    return found


@pytest.fixture
def own(monkeypatch):
    """A function that writes a module of the user's, as if it was there before this process."""
    monkeypatch.setattr(lmos.kept, "_BEGAN_S", float("inf"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # or a file of the same second and size is taken for the old one

    def write(classes: int) -> None:
        sys.modules.pop("own_small_network", None)
        Path("own_small_network.py").write_text(OWN.format(features=64, classes=classes))

    yield write
    sys.modules.pop("own_small_network", None)


def test_a_network_is_made_once_and_what_was_said_is_said_again(made, capsys):
    first = kept_profile(Asked(network="squeezenet1_0"))
    assert kept_profile(Asked(network="torchvision:squeezenet1_0")) == first
    assert made == ["torchvision:squeezenet1_0"]
    assert capsys.readouterr().err == "lmos: a part stays whole\n" * 2


def test_another_process_reads_it_without_torch(made):
    kept_profile(Asked(network="timm:resnet18"))
    loaded = loaded_by("from lmos.kept_profiles import *\nassert kept_profile(Asked(network='timm:resnet18')).name == 'tiny'")
    assert "lmos.kept_profiles" in loaded
    assert not loaded & {"torch", "timm", "numpy"}


@pytest.mark.parametrize("other", [{"granularity": "paper"}, {"inputs": ("3x32x32",)}, {"weights": "seeded:1"}, {"opaque": ("a",)}])
def test_other_options_are_another_profile(made, other):
    for _ in range(2):
        kept_profile(Asked(network="timm:resnet18"))
        kept_profile(Asked(network="timm:resnet18", **other))
    assert len(made) == 2


def test_another_version_of_what_traces_is_another_profile(made, monkeypatch):
    kept_profile(Asked(network="timm:resnet18"))
    monkeypatch.setattr(lmos.kept, "installed_versions", lambda packages: dict.fromkeys(packages, "99"))
    kept_profile(Asked(network="timm:resnet18"))
    assert len(made) == 2


@pytest.mark.parametrize("large", [False, True], ids=["by content", "by times"])
def test_a_changed_file_of_weights_or_of_a_folder_is_seen(made, monkeypatch, large):
    if large:
        monkeypatch.setattr(lmos.kept, "_READ_BYTES", 0)
    Path("model").mkdir()
    for path, asked in ((Path("model/config.json"), Asked(network="hf:model", weights="seeded:0")),
                        (Path("w.safetensors"), Asked(network="alexnet", weights="w.safetensors"))):
        made.clear()
        for text in ("one", "one", "two"):
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            kept_profile(asked)
        assert len(made) == 2


@pytest.mark.parametrize("damage", [lambda e: [], lambda e: {}, lambda e: {**e, "files": {"/x": 1}}, lambda e: {**e, "said": 3},
                                    lambda e: {**e, "profile": {**e["profile"], "layers": []}},
                                    lambda e: {**e, "profile": profile_data()}])  # fmt: skip
def test_a_damaged_entry_is_made_again(made, kept, damage):
    first = kept_profile(Asked(network="timm:resnet18"))
    file, = kept.iterdir()
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    assert kept_profile(Asked(network="timm:resnet18")) == first
    kept_profile(Asked(network="timm:resnet18"))
    assert len(made) == 2


def test_an_empty_variable_keeps_nothing(made, kept, monkeypatch, capsys):
    monkeypatch.setenv("LMOS_CACHE", "")
    for _ in range(2):
        kept_profile(Asked(network="timm:resnet18"))
    assert len(made) == 2
    assert not kept.exists()
    assert main(["cache"]) == 2
    assert "LMOS_CACHE: is empty" in capsys.readouterr().err
    monkeypatch.delenv("LMOS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert shared_cache().folder == Path("/caches/lmos/profiles")


def test_a_plan_of_a_kept_network_is_the_plan_of_its_profile_file(own, monkeypatch):
    own(classes=5)
    options = ["--select", "min_latency", "-o"]
    monkeypatch.setattr("measurement.sources.callables.USUAL_SHAPE", (1, 3, 6, 6))
    assert main(["profile", "own_small_network:made", "-o", "p.json"]) == 0
    monkeypatch.setattr(lmos.profiles, "make_profile", None)  # whatever is made now fails
    assert main(["profile", "own_small_network:made", "-o", "again.json"]) == 0
    assert main(["plan", "own_small_network:made", *options, "kept.json"]) == 0
    assert main(["plan", "p.json", *options, "file.json"]) == 0
    assert Path("again.json").read_bytes() == Path("p.json").read_bytes()
    assert Path("kept.json").read_bytes() == Path("file.json").read_bytes()


def test_own_code_that_changed_is_traced_again(own):
    found = []
    for classes in (5, 5, 7):
        own(classes=classes)
        found.append(kept_profile(Asked(network="own_small_network:made", inputs=INPUT)).layers[-1].output_shape[-1])
    assert found == [5, 5, 7]


def test_code_that_changed_while_it_was_traced_is_not_kept(own, kept, monkeypatch):
    own(classes=5)
    monkeypatch.setattr(lmos.kept, "_BEGAN_S", 0.0)
    kept_profile(Asked(network="own_small_network:made", inputs=INPUT))
    assert not kept.exists()


def test_what_is_kept_is_listed_and_cleared(made, kept, capsys):
    kept_profile(Asked(network="timm:resnet18"))
    assert main(["cache"]) == 0
    assert f"{kept}: 1 file, " in capsys.readouterr().out
    assert main(["cache", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["entries"]), told["bytes"], told["removed"]) == (1, next(kept.iterdir()).stat().st_size, None)
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"{kept}: 1 file removed\n"
    assert list(kept.iterdir()) == []
    assert main(["cache", "empty"]) == 2
    assert "'empty' is not a command of the cache" in capsys.readouterr().err


def test_a_source_with_a_colon_is_a_network_unless_it_is_a_file():
    Path("a:b").write_text("{}")
    assert all(map(is_network, ("timm:resnet18", "hf:/srv/bert", "pkg.mod:make")))
    assert not any(map(is_network, ("vgg19", "p.json", "x:p.json", "a:b", "a:")))


def test_a_network_that_there_is_not_is_named_in_one_line(capsys):
    assert main(["plan", "torchvision:alexnt", "--select", "knee"]) == 2
    assert "is no torchvision model" in capsys.readouterr().err
    Path("my_nets.py").touch()
    assert main(["profile", "my_nets"]) == 2
    assert capsys.readouterr().err.endswith("; a network of my_nets.py here is my_nets:CALLABLE\n")
    with pytest.raises(InputError, match="no such folder"):
        kept_profile(Asked(network="hf:nowhere"))
