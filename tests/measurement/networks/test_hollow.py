"""A network whose weights take no memory until asked for is the network that is built whole, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import SqueezeNet1_1_Weights

from lmos_opt.profile import NetworkProfile
from measurement.errors import UntraceableError
from measurement.networks import build_network, bytes_of, network_digest
from measurement.networks.hollow import HollowNetwork
from measurement.networks.mapped import addresses_of, pieces
from measurement.profiling import profile_traced
from measurement.tracing import trace_network
from runner.memory import PeakMemory, release, resident_bytes

IMAGE = torch.zeros(1, 3, 224, 224)
MIB = 2**20


def kept(builder: str, file: Path) -> None:
    """The network's state dict, with numbers of its own, in the format that the file's name says."""
    state = {key: value.clone() for key, value in build_network(builder, "seeded:5", allow_code=True).state_dict().items()}
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=file.suffix == ".pth")


ATTENTION = "tests.measurement.networks.attention_networks"


@pytest.mark.parametrize("builder", ["torchvision:squeezenet1_1", "torchvision:googlenet", "torchvision:shufflenet_v2_x0_5",
                                     f"{ATTENTION}:swin", f"{ATTENTION}:maxvit"])  # fmt: skip
def test_the_graph_the_digest_and_the_profile_are_those_of_the_network_with_numbers(builder: str) -> None:
    image = torch.zeros(1, 3, 64, 64)
    hollow = HollowNetwork.build(builder, "seeded:3", allow_code=True)
    traced = hollow.trace(image)
    module = build_network(builder, "seeded:3", allow_code=True)
    expected = trace_network(module, image)
    profiles = profile_traced(traced), profile_traced(expected)
    assert without_work(profiles[0]) == without_work(profiles[1])
    for found, wanted in zip(*(profile.layers for profile in profiles), strict=True):
        assert [(w.kind, w.macs) for w in found.work or ()] == [(w.kind, w.macs) for w in wanted.work or ()]
        # Without memory a number that is written into a slice comes as a tensor to copy (the masks of Swin): 1.3 % more bytes here.
        assert [w.bytes for w in found.work or ()] == pytest.approx([w.bytes for w in wanted.work or ()], rel=0.02)
    assert hollow.digest(traced.structure) == network_digest(module, expected.structure)
    seen = [[(str(node), fact.tensors, str(fact.value), [*map(str, fact.mutates)], [*map(str, fact.shares)])
             for node, fact in which.facts.items()] for which in (traced, expected)]  # fmt: skip
    assert seen[0] == seen[1]


def without_work(profile: NetworkProfile) -> NetworkProfile:
    layers = tuple(layer.model_copy(update={"work": None}) for layer in profile.layers)
    return profile.model_copy(update={"layers": layers})


@pytest.mark.parametrize("weights", ["seeded:0", "bundled", "net.safetensors", "net.pth", "net.pt", "published"])
def test_filled_it_is_the_network_from_every_source_of_weights(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = "torchvision:squeezenet1_1"
    if weights == "bundled":
        weights = "bundled:squeezenet1_1"
    elif weights == "published":
        entry = SqueezeNet1_1_Weights.IMAGENET1K_V1
        (tmp_path / "checkpoints").mkdir()
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        kept(builder, tmp_path / "checkpoints" / Path(entry.url).with_suffix(".pth").name)
        weights = f"torchvision:{entry.name}"
    elif weights.startswith("net"):
        kept(builder, tmp_path / weights)
        weights = f"file:{tmp_path / weights}"
    hollow = HollowNetwork.build(builder, weights)
    module = build_network(builder, weights)
    digest = network_digest(module, [])
    assert hollow.digest([]) == digest
    assert bool(hollow.mapped) == (not weights.startswith("seeded:") and not weights.endswith(".pt"))
    hollow.fill(hollow.module.features)
    assert hollow.digest([]) == digest
    hollow.fill(hollow.module)
    assert network_digest(hollow.module, []) == digest
    own = [tensor.data_ptr() for tensor in hollow.module.parameters()]
    assert not any(address in where for address in own for where in hollow.mapped)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(hollow.module(image), module(image))


@pytest.mark.parametrize("file", [None, "net.safetensors", "net.pth"])
def test_a_digest_keeps_no_weights_in_memory(file: str | None, tmp_path: Path) -> None:
    builder, weights = "tests.runner.runner_networks:wide", "seeded:0"  # 101 MB
    if file is not None:
        kept(builder, tmp_path / file)
        weights = f"file:{tmp_path / file}"
    release()
    before = resident_bytes()
    with PeakMemory() as peak:
        hollow = HollowNetwork.build(builder, weights, allow_code=True)
        traced = hollow.trace(IMAGE)
        hollow.digest(traced.structure)
        hollow.fill(hollow.module.features)
    assert peak.bytes - before < 40 * MIB


def test_pieces_of_a_mapped_file_are_given_back_and_come_again(tmp_path: Path) -> None:
    values = torch.arange(3_000_000)
    save_file({"a": torch.zeros(5), "b": values}, tmp_path / "some.safetensors")
    mapped = load_file(tmp_path / "some.safetensors")["b"]
    addresses = addresses_of(tmp_path / "some.safetensors")
    assert any(mapped.data_ptr() in where for where in addresses)
    for _ in range(2):
        assert b"".join(piece.tobytes() for piece in pieces(bytes_of(mapped), addresses)) == bytes_of(values).tobytes()
    assert b"".join(piece.tobytes() for piece in pieces(bytes_of(values), addresses)) == bytes_of(values).tobytes()
    assert torch.equal(values, torch.arange(3_000_000))  # memory of its own is never given back
    assert addresses_of(tmp_path / "none") == ()


class Constant(nn.Module):
    """Its graph holds a tensor that the network makes of a weight of its own while it is traced."""

    def __init__(self, copies: bool) -> None:
        super().__init__()
        self.register_buffer("scale", torch.arange(6.0))
        self.copies = copies

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale * 2 if self.copies else self.scale[1::2].view(3, 1, 1)
        return x[..., :2, :3] * (scale.view(2, 3) if self.copies else scale)


def test_a_view_of_a_weight_is_found_again_and_a_copy_is_refused() -> None:
    postponed_to_nobody = HollowNetwork.build("torchvision:squeezenet1_1", "seeded:0").postponed
    image = torch.rand(1, 3, 4, 4)
    module = Constant(copies=False).eval()
    traced = HollowNetwork(module, postponed_to_nobody, ()).trace(image)
    assert torch.equal(traced.graph_module(image), module(image))
    with pytest.raises(UntraceableError, match="copy of a weight"):
        HollowNetwork(Constant(copies=True).eval(), postponed_to_nobody, ()).trace(image)
