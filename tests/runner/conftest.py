"""Fixtures of the runner's tests: one thread of torch, plans of two networks, and a server in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runner.running import BRANCHED, SQUEEZENET, Plans, ServerProcess, one_thread, server_process


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Started once a worker: a server takes seconds to import torch. It has to bear all that tests do to it anyway."""
    with server_process(tmp_path_factory.mktemp("server") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def server(one_server: ServerProcess) -> Iterator[ServerProcess]:
    yield one_server
    assert "Traceback" not in one_server.log.read_text()


@pytest.fixture(scope="module")
def plans() -> Plans:
    return Plans(BRANCHED)


@pytest.fixture(scope="module")
def squeezenet() -> Plans:
    return Plans(SQUEEZENET, "bundled:squeezenet1_1", (1, 3, 224, 224))
