"""Fixtures of the runner's tests: one thread of torch, plans of two networks, and the worker's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runner.running import BRANCHED, SQUEEZENET, Plans, ServerProcess, one_thread


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    with one_thread():
        yield


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
