"""A network's conventions from the options of a command. Assumptions for missing ones are printed once on standard error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lmos.output import err
from lmos_opt.plan import PlannedNetwork
from lmos_opt.preprocessing.configurations import read_labels, read_preprocessing
from lmos_opt.profile import NetworkSource, TensorSpec
from runner import tasks

N = TypeVar("N", bound=NetworkSource)


@dataclass(frozen=True)
class Told:
    """`--preprocess`, `--labels` and `--task`, as typed."""

    preprocess: str | None = None
    labels: str | None = None
    task: str | None = None

    def applied(self, network: N, tensor: TensorSpec) -> N:
        """The network, whose input is `tensor`, with what was told of it. InputError for files that cannot be used, or give another
        input."""
        changes: dict[str, Any] = {}
        if self.preprocess is not None:
            changes["preprocessing"] = read_preprocessing(self.preprocess, tensor)
        if self.labels is not None:
            changes["labels"] = read_labels(self.labels)
        if self.task is not None:
            tasks.get(self.task)
            changes["task"] = self.task
        return network.model_copy(update=changes) if changes else network


def tell_assumed(network: PlannedNetwork, logged: bool = False) -> None:
    """Say how pictures become inputs of a network that is no torchvision model, where nobody has said it; `logged`, as a warning in
    the log."""
    how = network.preprocessing
    if how is None or how.origin != "assumed" or network.builder.startswith("torchvision:"):
        return
    text = f"nothing says how {network.builder} takes pictures; assumed: {how.in_words} (change it with --preprocess)"
    if logged:
        logging.getLogger("lmos.edge").warning("%s", text)
    else:
        err().print(f"lmos: {text}", soft_wrap=True, markup=False)


def tell_doubts(what: str, doubts: Sequence[str], logged: bool = False) -> None:
    """Say why times that were measured on a machine may be wrong, if they may be; `logged`, as a warning in the log."""
    if not doubts:
        return
    text = f"the times of {what} may be wrong: {'; '.join(doubts)} (lmos profile --time on an idle machine measures them again)"
    if logged:
        logging.getLogger("lmos.edge").warning("%s", text)
    else:
        err().print(f"lmos: {text}", soft_wrap=True, markup=False)
