"""Plans of one network that run beside a run that adapts, image by image, each over a connection of its own on the same link."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

from lmos_opt.plan import Plan, check_runnable
from runner.client.pipeline import Pipeline, Route
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.images import find_images
from runner.places.head import build_routes
from runner.watching.report import ImageResult
from runner.wire.shaping import Pacer
from runner.wire.timeouts import PATIENT

_READY_S = 120.0
Name = TypeVar("Name")


class Fixed(dict[Name, Pipeline]):
    """A pipeline for each plan, warmed up."""

    def __init__(self, plans: Mapping[Name, Plan], server: tuple[str, int], link: Pacer) -> None:
        super().__init__()
        network = check_runnable(next(iter(plans.values())), "plan")
        connections = [ServerConnection(server, opening(one, network), link, PATIENT) if one.x2 else None for one in plans.values()]
        self._connections = [connection for connection in connections if connection is not None]
        self._pictures = find_images(network, None, 1)
        built = build_routes(list(zip(plans.values(), connections, strict=True)), network, network.weights, (), self._pictures)
        for name, route in zip(plans, built.routes, strict=True):
            _reach(route)
            self[name] = Pipeline(route, (), PATIENT)
            self[name].warm_up(self._pictures)

    def image(self, name: Name) -> ImageResult | None:
        """What became of one image of a plan; None if it is lost."""
        pipeline = self[name]
        pipeline.run(self._pictures, 1)
        return pipeline.results.pop() if pipeline.results else None

    def close(self) -> None:
        """End every conversation."""
        for connection in self._connections:
            connection.close(politely=True)


def _reach(route: Route) -> None:
    end = time.monotonic() + _READY_S
    while route.connection is not None and not route.connection.is_open and time.monotonic() < end:
        route.connection.step(1.0)
