"""One's own tensors through `connect`: the network's own output back, whatever happens, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lmos_opt import InputError, Plan
from measurement import trace
from runner import connect, connect_async, memory
from runner.errors import RunnerError, Unreachable
from runner.parts.network import DigestError
from runner.places.connected import ConnectedSplit
from runner.watching.events import Event, ImageEnded, RunBegan, RunEnded, ServerLost, ServerReady
from runner.watching.report import RunReport
from runner.wire.timeouts import Timeouts
from tests import warm
from tests.runner.running import BRANCHED, NETWORKS, TWO_OUTPUTS, Plans, ServerProcess, server_process, whole

SHORT = Timeouts(connect_s=5, ready_s=30, result_s=10)
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def inputs(n: int, shape: tuple[int, ...] = (1, 3, 8, 8)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator) for _ in range(n)]


def outputs(module: nn.Module, given: list[Tensor]) -> list[Tensor]:
    with torch.inference_mode():
        return [module(one) for one in given]


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    threads, files, settled = set(threading.enumerate()), descriptors(), set(memory._SETTLED)
    yield
    gc.collect()
    left = [thread.name for thread in threading.enumerate() if thread not in threads and thread.name != "asyncio_0"]
    assert left == []
    assert descriptors() <= files
    assert settled == memory._SETTLED


@pytest.fixture(scope="module")
def module(plans: Plans) -> nn.Module:
    return whole(plans(0))


@pytest.fixture
def split(server: ServerProcess, plans: Plans, nothing_is_left: None) -> Iterator[ConnectedSplit]:
    with connect(plans(2), server.address, networks=NETWORKS, timeouts=SHORT) as split:
        yield split


# what comes back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 2, -2, -1])
def test_the_output_is_the_networks_at_every_cut(server: ServerProcess, plans: Plans, module: nn.Module, cut: int) -> None:
    given = inputs(3)
    with connect(plans(cut), f"127.0.0.1:{server.port}", networks=NETWORKS, timeouts=SHORT) as split:
        for one, expected in zip(given, outputs(module, given), strict=True):
            found = split(one)
            assert torch.equal(found, expected)
            assert not found.is_inference()
            assert not found.requires_grad
        for found, expected in zip(split.map(given, depth=2), outputs(module, given), strict=True):
            assert torch.equal(found, expected)


def test_a_structure_comes_back_with_what_stayed_here_in_it(server: ServerProcess) -> None:
    plans = Plans(TWO_OUTPUTS)
    module, (one,) = whole(plans(0)), inputs(1)
    expected = module(one)
    names = [layer.name for layer in plans.profile.layers]
    for cut in range(len(names) + 1):
        with connect(plans(cut), server.address, networks=NETWORKS, timeouts=SHORT) as split:
            found = split(one)
        assert list(found) == ["aux", "logits"]
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_arrays_loaders_and_generators_go_through(split: ConnectedSplit, module: nn.Module) -> None:
    given = inputs(4)
    expected = outputs(module, given)
    arrays = [one.numpy() for one in given]
    loader: DataLoader[Any] = DataLoader(TensorDataset(torch.cat(given)), batch_size=1)
    sources: list[Any] = [given, arrays, loader, (one for one in given), [(one,) for one in given],
                          [{"input": one} for one in given], [one[..., ::-1].copy()[..., ::-1] for one in arrays]]  # fmt: skip
    for source in sources:
        found = list(split.map(source, depth=3))
        assert len(found) == 4
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(split(given[0].expand(1, 3, 8, 8).requires_grad_()), expected[0])


def test_an_array_may_be_written_over_as_soon_as_the_next_is_asked_for(
    server: ServerProcess, plans: Plans, module: nn.Module
) -> None:
    """At cut 0 the input itself crosses: a camera's one buffer must not be what is still on its way."""
    given = inputs(30)
    buffer = np.empty((1, 3, 8, 8), np.float32)

    def camera() -> Iterator[np.ndarray]:
        for one in given:
            buffer[...] = one.numpy()
            yield buffer

    with connect(plans(0), server.address, networks=NETWORKS, timeouts=SHORT) as split:
        found = list(split.map(camera(), depth=4))
    assert all(torch.equal(one, other) for one, other in zip(found, outputs(module, given), strict=True))


def test_a_module_of_ones_own_is_not_built_again(server: ServerProcess, plans: Plans) -> None:
    mine = whole(plans(0)).train()
    (one,) = inputs(1)
    for cut in (2, -1):
        with connect(plans(cut), server.address, module=mine, timeouts=SHORT) as split:
            assert torch.equal(split(one), outputs(mine, [one])[0])
    assert mine.training
    with torch.no_grad():
        next(mine.parameters()).add_(1)
    with pytest.raises(DigestError):
        connect(plans(2), server.address, module=mine, timeouts=SHORT)


@pytest.mark.parametrize(("wrong", "reason"), [
    (torch.zeros(1, 3, 9, 8), "input: is 1x3x9x8 float32; the plan is for 1x3x8x8 float32"),
    (torch.zeros(1, 3, 8, 8, dtype=torch.float64), "input: is 1x3x8x8 float64; the plan is for 1x3x8x8 float32"),
    (np.zeros((3, 8, 8), np.float32), "input: is 3x8x8 float32; the plan is for 1x3x8x8 float32"),
    (np.zeros((1, 3, 8, 8), np.uint8), "input: is 1x3x8x8 uint8; the plan is for 1x3x8x8 float32"),
    (np.array([None]), "input: is an array that no tensor holds"),
    ("a string", "input: is of type str; the network takes one tensor, 1x3x8x8 float32"),
    (None, "input: is of type NoneType; the network takes one tensor"),
    (torch.zeros(1, 3, 8, 8).to_sparse(), "input: is one of layout sparse_coo; the plan is for 1x3x8x8 float32"),
    (torch.zeros(1, 3, 8, 8, device="meta"), "input: is a tensor without elements; the plan is for 1x3x8x8 float32"),
    ((torch.zeros(1), torch.zeros(1)), "input: the network takes one tensor, 1x3x8x8 float32; got 2 by position"),
    ({"x": 1, "y": 2}, "input: the network takes one tensor, 1x3x8x8 float32; got 0 by position, and 'x', 'y'"),
])  # fmt: skip
def test_what_the_plan_is_not_for_is_one_clear_line_that_names_the_input(
    split: ConnectedSplit, module: nn.Module, wrong: Any, reason: str
) -> None:
    given = inputs(2)
    found = []
    with pytest.raises(InputError) as refused:
        found.extend(split.map([*given, wrong, given[0]], depth=3))
    assert reason in str(refused.value)
    assert len(found) == 2  # those before it came first
    assert torch.equal(split(given[0]), outputs(module, given)[0])  # and the split goes on


def test_options_that_cannot_be_are_refused(server: ServerProcess, plans: Plans, split: ConnectedSplit) -> None:
    with pytest.raises(InputError, match="depth: 0 inputs under way"):
        split.map([], depth=0)
    with pytest.raises(InputError, match="the plan has no policy"):
        connect(plans(2), server.address, networks=NETWORKS, adapt=True)
    with pytest.raises(InputError, match="HOST:PORT"):
        connect(plans(2), "nowhere:at:all:x", networks=NETWORKS)
    with pytest.raises(InputError, match=r"none\.json"):
        connect("none.json", server.address)
    with pytest.raises(TypeError, match="picture"):
        connect(plans(2), server.address, picture=2)  # type: ignore[call-arg]
    with pytest.raises(Unreachable, match="is 'lmos serve' running there"):
        connect(plans(2), "127.0.0.1:1", networks=NETWORKS)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_layer_that_is_not_there_is_told_with_the_plans_file(server: ServerProcess, plans: Plans, tmp_path: Path,
                                                                is_async: bool) -> None:  # fmt: skip
    file, plan = tmp_path / "plan.json", plans(2)
    plan.model_copy(update={"edge_layers": (*plan.edge_layers[:-1], "nope")}).save(file)

    async def opened() -> None:
        async with connect_async(file, server.address, networks=NETWORKS):
            raise AssertionError("it has no such layer")

    with pytest.raises(InputError, match=rf"^{file}: edge_layers: .* has no layer 'nope'"):
        asyncio.run(opened()) if is_async else connect(file, server.address, networks=NETWORKS)


# reports and events --------------------------------------------------------------------------------------------------


def test_the_report_is_a_runs_of_what_went_through_so_far(server: ServerProcess, plans: Plans, tmp_path: Path) -> None:
    file, told, given = tmp_path / "plan.json", [], inputs(3)
    plans(2).save(file)
    with connect(str(file), server.address, networks=NETWORKS, timeouts=SHORT, observers=[told.append]) as split:
        assert split.report().images == 0
        split(given[0])
        first = split.report()
        list(split.map(given, depth=2))
        second = split.report()
    assert (first.images, second.images, second.lost) == (1, 4, 0)
    assert [image.file for image in second.per_image] == [f"input:{k}" for k in range(1, 5)]
    assert (first.pipelined, second.pipelined) == (False, True)
    assert second.environment.images == "given from Python"
    assert second.environment.server is not None
    assert RunReport.from_dict(second.to_dict()) == second
    assert split.report().images == 4
    kinds = [type(event) for event in told]
    assert kinds.count(ImageEnded) == 4
    began = next(event for event in told if isinstance(event, RunBegan))
    assert (began.images, "images as they come" in began.text) == (None, True)
    assert isinstance(told[-1], RunEnded)
    assert told[-1].images == 4


def test_reports_say_what_outputs_are_and_show_the_pictures(server: ServerProcess, squeezenet: Plans) -> None:
    given = inputs(3, (1, 3, 224, 224))
    with connect(squeezenet(21), server.address, timeouts=SHORT, shown=2) as split:
        split(given[0])
        list(split.map(given[1:], depth=2))
        report = split.report()
    assert [one.result.task for one in report.per_image if one.result] == ["classes"] * 3
    assert [one.file for one in report.shown] == ["input:1", "input:2"]
    assert RunReport.from_dict(report.to_dict()) == report


def test_a_network_that_was_traced_is_not_traced_again(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = Plans(TWO_OUTPUTS)
    mine, (one,) = whole(plans(0)), inputs(1)
    network, other = trace(mine, torch.zeros(1, 3, 8, 8)), trace(mine, torch.zeros(1, 3, 16, 8))
    plan, wanted = plans(2), mine(one)["logits"]
    with connect(plan, server.address, module=other, timeouts=SHORT) as split:  # of another shape: once more
        assert torch.equal(split(one)["logits"], wanted)
    monkeypatch.setattr("runner.parts.network.trace_network", None)
    for cut in (2, -1):
        with connect(plans(cut), server.address, module=network, timeouts=SHORT) as split:
            assert torch.equal(split(one)["logits"], wanted)
    with torch.no_grad():
        next(mine.parameters()).add_(1)
    with pytest.raises(DigestError):
        connect(plan, server.address, module=network, timeouts=SHORT)


def test_codecs_and_shaped_links_hold_for_ones_own_tensors(server: ServerProcess, squeezenet: Plans) -> None:
    from runner.wire.shaping import Shape

    plan = Plan.from_dict({**squeezenet(21).to_dict(), "codec": "zstd"})
    (one,) = inputs(1, (1, 3, 224, 224))
    with connect(plan, server.address, timeouts=SHORT, shape=Shape(1e8)) as split:
        assert torch.equal(split(one), outputs(whole(plan), [one])[0])
        report = split.report()
    assert report.codec is not None
    assert report.environment.shape == "800 Mbps"


# faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_server_killed_and_started_in_the_middle_loses_nothing_and_keeps_the_order(plans: Plans, tmp_path: Path,
                                                                                     module: nn.Module) -> None:
    """The edge may not finish an input here: what the dead server did not answer, the next one at its port does."""
    given, told = inputs(120), []
    plan = plans(2)
    limited = plan.model_copy(update={"setting": plan.setting.model_copy(update={"memory_limit_bytes": 1})})
    patient = Timeouts(connect_s=5, ready_s=60, result_s=60, heartbeat_s=0.5, silence_s=5, give_up_s=120)
    with (server_process(tmp_path / "first.log") as first,
          connect(limited, first.address, networks=NETWORKS, timeouts=patient, observers=[told.append]) as split):  # fmt: skip
        stream = split.map(given, depth=3)
        found = [next(stream) for _ in range(40)]
        first.stop(signal.SIGKILL)
        with server_process(tmp_path / "second.log", port=first.port):
            found += stream
            report = split.report()
    assert len(found) == 120
    assert all(torch.equal(one, other) for one, other in zip(found, outputs(module, given), strict=True))
    assert (report.images, report.lost, report.fallbacks) == (120, 0, 0)
    assert any(isinstance(event, ServerLost) for event in told)
    assert [event.again for event in told if isinstance(event, ServerReady)] == [False, True]
    assert [image.file for image in report.per_image] == [f"input:{k}" for k in range(1, 121)]


@pytest.mark.process
def test_without_the_server_inputs_are_finished_here(plans: Plans, tmp_path: Path, module: nn.Module) -> None:
    given = inputs(6)
    hasty = Timeouts(connect_s=5, ready_s=60, result_s=0.5)
    with server_process(tmp_path / "log") as server, connect(plans(2), server.address, networks=NETWORKS, timeouts=hasty) as split:
        first = split(given[0])
        server.stop(signal.SIGKILL)
        found = [first, *split.map(given[1:], depth=2)]
        report = split.report()
    assert all(torch.equal(one, other) for one, other in zip(found, outputs(module, given), strict=True))
    assert (report.fallbacks, report.lost) == (5, 0)
    assert not any(one.is_inference() for one in found)


class Mine(Exception):
    pass


def test_an_error_in_ones_own_generator_comes_after_the_outputs_before_it(split: ConnectedSplit, module: nn.Module) -> None:
    given = inputs(5)

    def source() -> Iterator[Tensor]:
        yield from given
        raise Mine

    found = []
    with pytest.raises(Mine):
        found.extend(split.map(source(), depth=3))
    assert all(torch.equal(one, other) for one, other in zip(found, outputs(module, given), strict=True))
    assert split.report().lost == 0


def test_a_dropped_iterator_leaves_nothing_under_way(split: ConnectedSplit) -> None:
    before = set(threading.enumerate())
    for output in split.map(inputs(20), depth=4):
        gone = weakref.ref(output)
        break
    del output
    gc.collect()
    assert set(threading.enumerate()) == before
    assert gone() is None
    report = split.report()
    assert {image.reason for image in report.failed} <= {"interrupted"}
    assert report.lost <= 4
    split(inputs(1)[0])


def test_an_interrupted_loop_leaves_a_split_that_goes_on(split: ConnectedSplit, module: nn.Module) -> None:
    given = inputs(6)

    def source() -> Iterator[Tensor]:
        yield from given[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(split.map(source(), depth=4))
    assert torch.equal(split(given[5]), outputs(module, given)[5])


@pytest.mark.process
def test_ctrl_c_in_the_middle_of_a_map_leaves_nothing_in_the_process(server: ServerProcess) -> None:
    command = [sys.executable, "-m", "tests.runner.interrupted", str(server.port)]
    with warm.begun(command, cwd=ROOT, stdout=warm.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mapping\n"
        process.send_signal(signal.SIGINT)
        left = json.loads(process.stdout.read())
        assert process.wait(30) == 0
    assert left.pop("images") >= 4
    assert left.pop("lost") <= 3
    assert left.pop("reasons") in ([], ["interrupted"])
    assert left == {"threads": [], "children": 0, "connections": 0, "files": 0}


def test_a_split_that_nobody_closes_goes_with_its_last_reference(server: ServerProcess, plans: Plans,
                                                                 nothing_is_left: None) -> None:  # fmt: skip
    split = connect(plans(2), server.address, networks=NETWORKS, timeouts=SHORT)
    list(split.map(inputs(3), depth=2))
    gone = weakref.ref(split)
    del split
    assert gone() is None


def test_after_the_block_nothing_goes_through(server: ServerProcess, plans: Plans, nothing_is_left: None) -> None:
    with pytest.raises(Mine), connect(plans(2), server.address, networks=NETWORKS, timeouts=SHORT) as split:
        raise Mine
    split.close()
    for ask in (lambda: split(inputs(1)[0]), lambda: list(split.map(inputs(1)))):
        with pytest.raises(RunnerError, match="the connection is closed"):
            ask()


def test_a_network_that_is_refused_leaves_nothing(server: ServerProcess, nothing_is_left: None) -> None:
    with pytest.raises(RunnerError, match="unlisted"):
        connect(Plans("runner_networks:unlisted")(1), server.address, networks=["runner_networks:unlisted"], timeouts=SHORT)


def test_several_threads_may_call_one_split(split: ConnectedSplit, module: nn.Module) -> None:
    given = inputs(24)
    found: dict[int, Tensor] = {}

    def ask(first: int) -> None:
        for k in range(first, 24, 6):
            found[k] = split(given[k])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(torch.equal(found[k], expected) for k, expected in enumerate(outputs(module, given)))
    assert split.report().images == 24


# asyncio -------------------------------------------------------------------------------------------------------------


def under_asyncio(server: ServerProcess, plans: Plans, work: Callable[[Any], Any], **options: Any) -> Any:
    async def run() -> Any:
        async with connect_async(plans(2), server.address, networks=NETWORKS, timeouts=SHORT, **options) as split:
            return await work(split)

    return asyncio.run(asyncio.wait_for(run(), 120))


def test_tasks_share_a_split(server: ServerProcess, plans: Plans, module: nn.Module, nothing_is_left: None) -> None:
    given = inputs(20)
    most: list[int] = []

    def watch(event: Event) -> None:
        most.append({"ImageBegan": 1, "ImageEnded": -1}.get(type(event).__name__, 0))

    async def work(split: Any) -> Any:
        called = await asyncio.gather(*(split(one) for one in given))

        async def source() -> Any:
            for one in given:
                await asyncio.sleep(0)
                yield one.numpy()

        mapped = [output async for output in split.map(source())]
        listed = [output async for output in split.map(given, depth=2)]
        return called, mapped, listed, split.report()

    *found, report = under_asyncio(server, plans, work, depth=3, observers=[watch])
    for each in found:
        assert all(torch.equal(one, other) for one, other in zip(each, outputs(module, given), strict=True))
    assert (report.images, report.lost) == (60, 0)
    assert max(np.cumsum(most)) <= 3


def test_a_cancelled_task_leaves_nothing_under_way(server: ServerProcess, plans: Plans, module: nn.Module,
                                                   nothing_is_left: None) -> None:  # fmt: skip
    given = inputs(8)

    async def work(split: Any) -> Any:
        tasks = [asyncio.create_task(split(one)) for one in given]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        stream = split.map(given)
        async for _ in stream:
            break
        await stream.aclose()
        return ends, await split(given[7])

    ends, last = under_asyncio(server, plans, work)
    expected = outputs(module, given)
    assert torch.equal(ends[0], expected[0])
    assert {type(end) for end in ends[1:]} == {asyncio.CancelledError}
    assert torch.equal(last, expected[7])


def test_errors_reach_the_task_and_the_block(server: ServerProcess, plans: Plans, nothing_is_left: None) -> None:
    async def wrong(split: Any) -> Any:
        with pytest.raises(InputError, match="input: is 2x2 float32"):
            await split(torch.zeros(2, 2))
        raise Mine

    with pytest.raises(Mine):
        under_asyncio(server, plans, wrong)

    async def nobody() -> None:
        async with connect_async(plans(2), "127.0.0.1:1", networks=NETWORKS):
            raise AssertionError("nobody is there")

    with pytest.raises(Unreachable):
        asyncio.run(nobody())
    with pytest.raises(InputError, match="depth: 0 inputs"):
        connect_async(plans(2), server.address, networks=NETWORKS, depth=0)


@pytest.mark.parametrize("builder", [BRANCHED])
def test_ten_thousand_reported_at_most(builder: str, plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.places.connected.MOST_REPORTED", 5)
    with connect(plans(-1), "127.0.0.1:1", networks=NETWORKS) as split:
        for one in inputs(8):
            split(one)
        assert [image.file for image in split.report().per_image] == [f"input:{k}" for k in range(4, 9)]
