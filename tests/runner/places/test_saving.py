"""A run's outputs as files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from runner.places.saving import SavedOutputs
from runner.watching.report import ImageResult


def test_what_is_saved_reads_back_equal_whatever_it_is(tmp_path: Path) -> None:
    numbers = torch.arange(12.0).reshape(3, 4)
    outputs = {"output.half": numbers.half(), "output.brain": numbers.bfloat16(), "output.turned": numbers.T,
               "output.part": numbers[:, 1], "output.bits": numbers > 5,
               "output.one": torch.tensor(7), "output.none": torch.empty(0, 4),
               "output['odd/name']": numbers.byte()}  # fmt: skip
    saved = SavedOutputs(tmp_path)
    result = ImageResult(file="a.png", class_=None, class_name=None, t_edge_s=0.1, t_tx_s=0.1, t_server_s=0.1, latency_s=0.3)
    saved.add(result, {**outputs, "output.complex": torch.complex(numbers, -numbers)})
    saved.close()
    (item,) = json.loads((tmp_path / "index.json").read_text())["items"]
    found = load_file(tmp_path / item["outputs"])
    assert torch.equal(torch.view_as_complex(found.pop("output.complex")), torch.complex(numbers, -numbers))
    assert found.keys() == outputs.keys()
    for path, tensor in outputs.items():
        assert found[path].dtype == tensor.dtype
        assert torch.equal(found[path], tensor)
        assert item["tensors"][path]["shape"] == list(tensor.shape)
