"""Exact fronts of bundled networks, chains and graphs: their time, and how many integer programs they take."""

from __future__ import annotations

from lmos.pages.ui.answers import SliderAnswers
from lmos_opt import Instance, bandwidth_policy, pareto_front
from lmos_opt.sources import load_source


class Fronts:
    """Latency and memory at 20 Mbps."""

    params = ("vgg19", "resnet50", "googlenet", "vit_b_16")
    param_names = ("network",)
    timeout = 300

    def setup(self, network: str) -> None:
        """Read the profile, and compile what the first front of a process compiles."""
        self.instance = Instance.from_profile(load_source(network), bandwidth="20Mbps")
        pareto_front(Instance.from_profile(load_source("alexnet")))

    def time_front(self, network: str) -> None:
        """One front, with the model's building."""
        pareto_front(self.instance)

    def track_solves(self, network: str) -> int:
        """How many integer programs it takes."""
        return pareto_front(self.instance).solves


class ThreeObjectives:
    """A third objective, which is traced by another algorithm."""

    timeout = 300

    def setup(self) -> None:
        """Read the profile."""
        self.instance = Instance.from_profile(load_source("alexnet"), bandwidth="30Mbps")

    def time_front(self) -> None:
        """Latency, memory and the bytes sent."""
        pareto_front(self.instance, ["latency", "memory", "tx_bytes"])


class Policies:
    """A choice at every bandwidth of a range."""

    timeout = 300

    def setup(self) -> None:
        """Read the profile."""
        self.instance = Instance.from_profile(load_source("vgg19"))

    def time_policy(self) -> None:
        """The knee from 1 to 200 Mbps."""
        bandwidth_policy(self.instance, "knee", "1Mbps", "200Mbps")


class Sliders:
    """What `lmos ui` does between a move and its answer, without the browser."""

    def setup(self) -> None:
        """Begin as the command does."""
        self.answers = SliderAnswers(Instance.from_profile(load_source("vgg19")))
        self.time_answer()

    def time_answer(self) -> None:
        """One move of the bandwidth's slider."""
        self.answers.at({"bandwidth_mbps": 20.0, "rtt_ms": 0.0, "edge_speed": 1.0, "server_speed": 1.0}, "knee")
