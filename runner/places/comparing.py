"""What a codec changes: outputs with the codec, compared with those of the same tensors sent raw to the same server.

A conversation with any codec may also send raw tensors. So one conversation is enough, and no tail runs at the edge.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor

from measurement.tracing.calls import call
from runner.client.exchange import ServerAnswer
from runner.client.pipeline import Route
from runner.client.server_connection import ServerConnection
from runner.images import Images
from runner.parts.network import class_of, logits_of
from runner.parts.part import Crossing
from runner.watching.report import Compared
from runner.wire.timeouts import Timeouts

COMPARED = 8
"""Pictures, unless another number is asked for: on a slow link, tensors as they are take their time."""


@torch.inference_mode()
def compare(route: Route, pictures: Images, most: int, numbers: Iterator[int], timeouts: Timeouts) -> Compared | None:
    """The first `most` pictures, asked twice each, under the next two `numbers`; None if there is no codec, or no answer.

    It ends early where the server does not answer, or on Ctrl-C: the run that it belongs to is over.
    """
    connection = route.connection
    if connection is None or not connection.has_codec:
        return None
    done = agree = 0
    difference, classifies = 0.0, True
    with suppress(KeyboardInterrupt):
        for k in range(min(most, len(pictures))):
            crossing = call(route.head, pictures.load(k))
            coded = _answer(connection, next(numbers), crossing, False, timeouts)
            plain = coded and _answer(connection, next(numbers), crossing, True, timeouts)
            if coded is None or plain is None:
                break
            classifies = class_of(plain.outputs) is not None
            agree += class_of(coded.outputs) == class_of(plain.outputs)
            difference = max(difference, *(_difference(one, plain.outputs[name]) for name, one in coded.outputs.items()
                                           if not classifies or one is logits_of(coded.outputs)))
            done += 1
    return Compared(pictures=done, top1_agree=agree if classifies else None, max_logit_difference=difference) if done else None


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest, of outputs that both are numbers; a server may answer what it likes."""
    if one.shape != other.shape or not one.numel() or not (one.is_floating_point() and other.is_floating_point()):
        return 0.0
    return float((one - other).abs().nan_to_num(0.0, posinf=1e15).max())


def _answer(connection: ServerConnection, number: int, crossing: Crossing, as_they_are: bool,
            timeouts: Timeouts) -> ServerAnswer | None:  # fmt: skip
    exchange = connection.ask(number, crossing, as_they_are=as_they_are)
    if not connection.wait(exchange, time.monotonic() + timeouts.result_s):
        connection.withdraw(exchange, "the run is over")
    return exchange.answer
