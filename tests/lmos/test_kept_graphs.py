"""Graphs on disk: what one command traced another reads, and only where it is the same network for the same inputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import lmos.kept
import measurement.tracing
from lmos.cli import main
from lmos.kept_graphs import KeptGraphs
from lmos.kept_profiles import Asked, kept_profile
from lmos_opt.plan import PlannedNetwork
from lmos_opt.tensors import inputs_of
from measurement.networks import build_network
from runner.parts.network import trace_checked

OWN = """
from torch import nn

class Unrolled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        for k in range(x.shape[1]):
            x = x * {factor}
        return self.linear(x)
"""
NAME = "own_unrolled_network:Unrolled"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A network of the user's own that only torch.export follows; with another factor on request."""
    monkeypatch.setenv("LMOS_CACHE", str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lmos.kept, "_BEGAN_S", float("inf"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # bytecode of the same second and size would pass for the new text

    def write(factor: int) -> None:
        sys.modules.pop("own_unrolled_network", None)
        Path("own_unrolled_network.py").write_text(OWN.format(factor=factor))

    write(2)
    yield write
    sys.modules.pop("own_unrolled_network", None)


def planned() -> PlannedNetwork:
    profile = kept_profile(Asked(network=NAME, inputs=("input=3:float32",)))
    return PlannedNetwork(**profile.network.model_dump(), name="own", granularity="module", **inputs_of(profile))


def traced_again(network: PlannedNetwork):
    module = build_network(NAME, "seeded:0", allow_code=True)
    return trace_checked("own", module, network, network, "module", KeptGraphs.here())


def test_what_profile_traced_is_read_by_both_sides_of_a_run(own, capsys, monkeypatch):
    network = planned()
    monkeypatch.setattr(measurement.tracing, "capture_batches_with_export", None)
    assert traced_again(network).shape_range == {"input": ((1, None), (3, 3))}
    assert main(["cache", "--json"]) == 0
    files = [Path(entry["path"]) for entry in json.loads(capsys.readouterr().out)["entries"]]
    assert {path.name.partition("-")[0] for path in files} == {"graph", "profile"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_a_graph_is_not_read_where_the_code_that_it_was_made_of_has_changed(own):
    network = planned()
    graphs = KeptGraphs.here()
    before = graphs.read(network, network)
    own(3)
    assert graphs.read(network, network) is None
    assert traced_again(network).document == graphs.read(network, network) != before


def test_a_damaged_entry_counts_as_none(own):
    network = planned()
    graphs = KeptGraphs.here()
    (path,) = [entry.path for entry in graphs.cache.entries() if entry.path.name.startswith("graph")]
    path.write_text('{"graph": 3, "files": {}}')
    assert graphs.read(network, network) is None
    assert traced_again(network).document == graphs.read(network, network)
