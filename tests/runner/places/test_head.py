"""What a head takes: measured as the model `peak` counts it, above the program itself."""

from __future__ import annotations

import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from lmos.bench.memory import MemoryOfCut, measure
from lmos.commands.bench_memory import Apart, run
from lmos_opt.formulation.memory import edge_memory
from measurement import engines
from runner.images import find_images
from runner.memory import private_bytes, release, returned_at_once
from runner.places.head import build_routes, head_memory, place_heads
from tests import warm
from tests.measurement.engines.here import Here
from tests.runner.running import NETWORKS, ROW, SQUEEZENET, WIDE, Plans, network_of, one_thread

MB = 1_000_000


def in_a_process_of_its_own(function: Callable[..., None], *arguments: object) -> None:
    """A head runs in one; in the heap of a long row of tests it finds freed pieces to use, which then count."""
    with ProcessPoolExecutor(1, mp_context=warm.context()) as processes:
        processes.submit(function, *arguments).result()


@pytest.mark.parametrize(("builder", "cut", "engine", "near"), [
    (SQUEEZENET, 20, "torch", 8 * MB), (SQUEEZENET, -1, "torch", 8 * MB), ("torchvision:alexnet", 6, "torch", 8 * MB),
    (WIDE, -2, "onnxruntime", 16 * MB),
])  # fmt: skip
def test_a_head_takes_what_the_model_says(builder: str, cut: int, engine: str, near: int) -> None:
    in_a_process_of_its_own(_takes_what_the_model_says, builder, cut, engine, near)


def _takes_what_the_model_says(builder: str, cut: int, engine_name: str, near: int) -> None:
    plans = Plans(builder, "bundled:squeezenet1_1" if builder == SQUEEZENET else "seeded:0", (1, 3, 224, 224))
    plan = plans(cut)
    network = network_of(plan)
    pictures = find_images(network, None, 2)
    with one_thread():
        engine = engines.get(engine_name)
        head = build_routes([(plan, None)], network, network.weights, (*NETWORKS, WIDE), pictures, engine=engine)
        head = place_heads(head, engine, network)
        found = head_memory(head, pictures)
    expected = edge_memory(plans.instance, frozenset(plan.edge_layers), "peak")
    assert head.program_bytes > 50 * MB
    assert all(abs(n_bytes - expected) < near for n_bytes in found), (expected, found)


def test_weights_of_a_file_are_no_part_of_the_program(tmp_path: Path) -> None:
    in_a_process_of_its_own(_weights_of_a_file_are_no_part, tmp_path)


def _weights_of_a_file_are_no_part(tmp_path: Path) -> None:
    plan = Plans(WIDE, shape=(1, 3, 64, 64))(-1)
    network = network_of(plan)
    pictures = find_images(network, None, 1)
    with one_thread():
        seeded = build_routes([(plan, None)], network, "seeded:0", [WIDE], pictures)
        torch.save(seeded.routes[0].head.state_dict(), tmp_path / "net.pth")
        torch.save(seeded.routes[0].head.state_dict(), tmp_path / "net.pt", _use_new_zipfile_serialization=False)
        del seeded
        for name in ("net.pth", "net.pt"):  # the latter is read whole before the program is measured
            head = build_routes([(plan, None)], network, f"file:{tmp_path / name}", [WIDE], pictures)
            assert 100 * MB < max(head_memory(head, pictures)) < 126 * MB
            del head


def test_large_convolutions_stay_in_their_layout_for_torch_on_the_processor_alone() -> None:
    plan = Plans(ROW, shape=(1, 3, 128, 128))(3)
    network, engine = network_of(plan), Here()
    pictures = find_images(network, None, 1)
    with one_thread(), torch.inference_mode():
        own, other = (build_routes([(plan, None)], network, "seeded:0", [ROW], pictures, engine=one) for one in (None, engine))
        image = pictures.load(0)
        found = [built.routes[0].head(image)["2"] for built in (own, place_heads(other, engine, network))]
    assert [any(node.target == "to_mkldnn" for node in built.routes[0].head.body.graph.nodes) for built in (own, other)] == [
        can_stay(), False]  # fmt: skip
    assert torch.equal(*found)


def can_stay() -> bool:
    return platform.machine() in {"x86_64", "AMD64"} and torch.backends.mkldnn.is_available()


def test_freed_memory_is_resident_outside_the_block_alone() -> None:
    in_a_process_of_its_own(_is_resident_outside_the_block_alone)


def _is_resident_outside_the_block_alone() -> None:
    release()
    before = private_bytes()
    with returned_at_once():
        for _ in range(3):
            torch.ones(5_000_000).sum()
        assert private_bytes() - before < 10 * MB
    for _ in range(3):
        torch.ones(5_000_000).sum()
    assert private_bytes() - before > 15 * MB
    release()
    assert private_bytes() - before < 10 * MB


@pytest.mark.parametrize(("peak", "measured", "is_near"), [
    (10 * MB, 18 * MB, True), (10 * MB, 18 * MB + 1, False), (10 * MB, 2 * MB, True),
    (200 * MB, 220 * MB, True), (200 * MB, 221 * MB, False), (200 * MB, 179 * MB, False),
])  # fmt: skip
def test_near_is_a_tenth_or_eight_megabytes(peak: int, measured: int, is_near: bool) -> None:
    assert MemoryOfCut("net", 1, 1, peak, measured).is_near == is_near


def test_the_benchmark_ends_with_an_error_where_a_cut_is_far(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("lmos.bench.memory.measure", lambda *_: [MemoryOfCut("net", 3, 4, 10 * MB, 30 * MB)])
    with pytest.raises(Apart, match=r"further than 10 % or 8.*: 1 of 1 cut;"):
        run("net", 5, False)
    assert "+20.0 MB" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.process
def test_every_cut_of_a_network_is_near() -> None:
    assert all(one.is_near for one in measure(["resnet18"], [0.1, 0.5, 0.9]))
