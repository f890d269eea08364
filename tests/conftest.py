"""What all tests share: hypothesis without deadlines (two busy cores) and with the same examples every time, a server, and an
end to what they start."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from runner import memory
from tests import warm
from tests.browser import Browser, browser
from tests.processes import end_with

if TYPE_CHECKING:
    from tests.runner.running import ServerProcess

gc.disable()  # until all tests are collected: their imports make a million objects, and what makes them keeps them
settings.register_profile("lmos", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("lmos")


def pytest_configure(config: pytest.Config) -> None:
    """What a run starts ends with it, and nothing that was kept is read."""
    os.environ["LMOS_CACHE"] = ""  # no test reads what another, or the user, has kept
    end_with(config)


def pytest_collection_finish() -> None:
    gc.enable()
    _leave_alone()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Processes that tests start are copies of this one as it is now; not of the one that only shares tests out."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        warm.keep_a_copy()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """What one module's tests imported is left alone in the next one's."""
    if nextitem is None or nextitem.path != item.path:
        _leave_alone()


def _leave_alone() -> None:
    """What exists now is not looked through again: the collector, which each run and each timing calls, would take a second
    for it, and did so for a third of all the time that the tests took."""
    gc.collect()
    memory.settle()


@pytest.fixture
def nothing_settled() -> Iterator[None]:
    """As in a process where nobody has told the collector to leave anything alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_SETTLED", set())
        gc.unfreeze()
        yield
    memory.settle()  # what was left alone before is so again, without a look through all of it


@pytest.fixture(scope="session", autouse=True)
def operators_listed_once() -> Iterator[None]:
    """Where there are tests that use torch."""
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules:
            from tests.torch_once import list_operators_once, read_operators_in_onnx_once

            list_operators_once(patch)
            read_operators_in_onnx_once(patch)
        yield


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    """Started once a worker, where a test wants it."""
    with browser() as found:
        yield found


@pytest.fixture
def page(one_browser: Browser) -> Iterator[Browser]:
    """The browser's page, empty, without errors."""
    one_browser.open("about:blank")
    one_browser.errors.clear()
    yield one_browser
    one_browser.open("about:blank")


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Started once a worker: a server takes seconds to import torch. It has to bear all that tests do to it anyway."""
    from tests.runner.running import server_process

    with server_process(tmp_path_factory.mktemp("server") / "log") as process:
        yield process
