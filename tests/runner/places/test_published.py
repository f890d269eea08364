"""Published networks with inputs of every structure: front, plan, and over sockets to a server in another process; to the bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from lmos.cli import main
from lmos_opt import Instance, Plan, pareto_front
from lmos_opt.plan import Setting, make_plan
from measurement import trace
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing.calls import Example, call
from runner import connect
from runner.parts.network import flat_outputs
from runner.places.edge import run_plan
from runner.watching.report import RunReport
from tests.runner.places.test_edge import SHORT
from tests.runner.real_networks import EXAMPLES
from tests.runner.running import HERE, ServerProcess

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("one_torch_thread")]
AS_A_RUN = {"raft", "conformer", "faster_rcnn"}
"""Those that `lmos run` is tried with too, from a file."""


def another(example: Example) -> Example:
    """The same with other numbers, where they are numbers with fractions."""
    generator = torch.Generator().manual_seed(5)

    def drawn(tensor: Tensor) -> Tensor:
        return torch.rand(tensor.shape, generator=generator).to(tensor.dtype) if tensor.is_floating_point() else tensor

    return tree_map_only(Tensor, drawn, example)


def are_same(found: Any, expected: Any) -> bool:
    """Whether structure, constants and tensors are the same, these to the bit."""
    (one, form), (other, wanted) = tree_flatten(found), tree_flatten(expected)
    return form == wanted and all(torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, Tensor) else a == b
                                  for a, b in zip(one, other, strict=True))  # fmt: skip


def saved(folder: Path) -> Iterator[dict[str, Tensor]]:
    """What `--save-outputs` wrote, item by item."""
    for item in json.loads((folder / "index.json").read_text())["items"]:
        yield load_file(folder / item["outputs"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_published_network_gives_over_sockets_what_it_gives_whole(name: str, server: ServerProcess, tmp_path: Path) -> None:
    if name == "conformer":
        pytest.importorskip("torchaudio", reason="pip install 'lmos[zoo]'")
    builder = f"real_networks:{name}"
    module = build_network(builder, "seeded:0", allow_code=True)
    given = [EXAMPLES[name](), another(EXAMPLES[name]())]
    network = trace(module, given[0])
    profile = profile_built(builder, "seeded:0", module, network)
    instance = Instance.from_profile(profile)
    front = pareto_front(instance, proper_split=True)
    assert front.complete
    point = front.points[len(front.points) // 2]
    setting = Setting.of(instance, edge="rpi4", server="paper-server", rule=f"cut:{point.x1}")
    make_plan(instance, point.edge_layers, setting=setting, profile=profile).save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    with torch.inference_mode():
        expected = [call(module, one) for one in given]
    assert not are_same(*expected) or name == "bidirectional_gru"  # which reads whole numbers alone
    arrays = tree_map_only(Tensor, Tensor.numpy, given[1])
    with connect(plan, server.address, module=network, timeouts=SHORT) as split:
        found = [call(split, given[0]), *split.map([given[0], arrays], depth=2)]
        report = split.report()
    assert all(map(are_same, found, [expected[0], *expected]))
    assert {type(one) for one in found} == {type(one) for one in expected}
    if name == "faster_rcnn":  # each picture has its own number of boxes, which is no shape that answers must have
        assert len({len(one[0]["boxes"]) for one in found}) == 2
    assert (report.images, report.lost, report.fallbacks) == (3, 0, 0)
    if name in AS_A_RUN:
        tensors = zip(network.call.names, *(network.tensors_of(one) for one in given), strict=True)
        save_file({key: torch.stack(both) for key, *both in tensors}, tmp_path / "inputs.safetensors")
        report = run_plan(plan, server.address, images=tmp_path / "inputs.safetensors", save_outputs=tmp_path / "outputs",
                          networks=[builder], pipelined=True)  # fmt: skip
        assert (report.images, report.lost, report.fallbacks) == (2, 0, 0)
        assert all(found.keys() == wanted.keys() and all(torch.equal(found[path], wanted[path]) for path in wanted)
                   for found, wanted in zip(saved(tmp_path / "outputs"), map(flat_outputs, expected), strict=True))  # fmt: skip


def test_bert_of_a_folder_is_planned_served_and_run_by_commands(server: ServerProcess, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The server has a folder of the same name; ids and masks come from a file; the edge reads the graph that planning kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMOS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(HERE / "tiny_bert", "tiny_bert")
    ids, mask = np.arange(36).reshape(3, 12) + 3, np.tril(np.ones((12, 12), np.int64))[[11, 8, 4]]
    np.savez("texts.npz", input_ids=ids, attention_mask=mask)
    assert main(["plan", "hf:tiny_bert", "--select", "knee", "--proper-split", "-o", "plan.json"]) == 0
    assert main(["run", "plan.json", "--server", f"127.0.0.1:{server.port}", "--network", "hf:tiny_bert", "--inputs", "texts.npz",
                 "--save-outputs", "outputs", "-o", "report.json"]) == 0  # fmt: skip
    module = build_network("hf:tiny_bert", "seeded:0").eval()
    with torch.inference_mode():
        expected = [module(input_ids=torch.from_numpy(ids[k : k + 1]), attention_mask=torch.from_numpy(mask[k : k + 1])).logits
                    for k in range(3)]  # fmt: skip
    assert all(torch.equal(found["output.logits"], wanted) for found, wanted in zip(saved(Path("outputs")), expected, strict=True))
    report = RunReport.load(Path("report.json"))
    assert (report.images, report.lost, report.fallbacks) == (3, 0, 0)
    assert [one.class_name for one in report.per_image] == [("good", "bad", "neither")[int(one.argmax())] for one in expected]
