"""One question to the server: its tensors as bytes. It ends with an answer, which is checked, or with a failure."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from lmos_opt.profile import TensorSpec
from measurement.codec_choice import Choice
from runner.errors import RunnerError, one_line
from runner.parts.part import Crossing
from runner.wire.asking import Asking
from runner.wire.protocol import Result, Span, TextStep, repeated
from runner.wire.tensors import DTYPES, pack


class ServerAnswer(NamedTuple):
    """The server's answer to one question. Times are in seconds.

    - `outputs`: the network's outputs by path, with those that stayed at the edge.
    - `exchange_s`: the whole exchange, as the edge measured it.
    - `t_server_s`: the server's computing, of which `t_decode_s` and `t_encode_s` are the codec's part.
    - `t_queue_s`: how long the question waited at the server.
    - `received_bytes`: the size of the tensors that came back.
    - `beyond`: the times of each place after the server.
    - `held`: for a text, how many of its tokens the server remembers; None otherwise.
    """

    outputs: dict[str, Tensor]
    exchange_s: float
    t_server_s: float
    t_decode_s: float = 0.0
    t_encode_s: float = 0.0
    t_queue_s: float = 0.0
    received_bytes: int = 0
    beyond: tuple[Span, ...] = ()
    held: int | None = None

    @property
    def t_tx_s(self) -> float:
        """The time (s) that the exchange spent on the link, both ways together."""
        return self.exchange_s - self.t_server_s - self.t_queue_s - sum([span.t_s for span in self.beyond])


class Exchange(Asking[ServerAnswer]):
    """The crossing tensors of one image, on their way to the server.

    A codec encodes them first. The exchange begins after that, at `began_at`.
    """

    def __init__(self, number: int, crossing: Crossing, codec: Choice | None = None, as_they_are: bool = False,
                 text: TextStep | None = None) -> None:  # fmt: skip
        begin = self.began_at = time.perf_counter()
        headers, payload = pack(crossing, codec, crossing.encoded)
        if codec is not None:
            self.began_at = time.perf_counter()
        self.kept = crossing.kept
        self.message = repeated.infer(number, headers, crossing.as_sent(), as_they_are, text)
        super().__init__(number, payload, self.began_at - begin)

    @property
    def spent_s(self) -> float:
        """The time (s) since the question was first sent."""
        return time.perf_counter() - self.began_at - self.t_queue_s


def check_outputs(where: str, outputs: Mapping[str, Tensor], expected: Mapping[str, TensorSpec] | None,
                  kept: Collection[str] = (), varying: Collection[str] = ()) -> None:  # fmt: skip
    """Check that a server's outputs have the names, dtypes and shapes of the network's.

    `expected` describes all outputs by path. If it is None, nothing is known, and only one check is left: there must be an output.
    `kept` are outputs that stayed at the edge, so the server must not return them. Of the `varying` ones only the number of
    dimensions is checked. Raises RunnerError, which names `where` the outputs came from and the first wrong one.
    """
    if expected is None and not (outputs or kept):
        raise RunnerError(where, "the server returns no output")
    if expected is None or (outputs.keys() == expected.keys() - kept and all(
            (tensor.dtype, tensor.shape) == (DTYPES[expected[name].dtype], expected[name].shape)
            for name, tensor in outputs.items())):  # fmt: skip
        return

    def looks(name: str, dtype: str, shape: Sequence[int]) -> str:
        return f"{dtype}{['*'] * len(shape) if name in varying else list(shape)}"

    found = {name: looks(name, str(tensor.dtype).removeprefix("torch."), tensor.shape) for name, tensor in outputs.items()}
    wanted = {name: looks(name, spec.dtype, spec.shape) for name, spec in expected.items() if name not in kept}
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise RunnerError(where, f"the server's outputs are not the network's: {one_line(name, 100)}: got "
                                     f"{found.get(name, 'none')}, expected {wanted.get(name, 'none')}")  # fmt: skip


def checked_answer(where: str, outputs: Mapping[str, Tensor], exchange_s: float, result: Result,
                   kept: Mapping[str, Tensor] | None = None) -> ServerAnswer:  # fmt: skip
    """The answer of a RESULT, together with the outputs `kept` at the edge.

    `exchange_s` is the time (s) of the whole exchange. Raises RunnerError if the server reports more time than that.
    """
    if not (result.t_decode_s + result.t_encode_s <= result.t_server_s and result.span_s <= exchange_s):
        raise RunnerError(where, f"the server reports {result.span_s} s of work in an exchange of {exchange_s} s")
    received_bytes = sum([tensor.nbytes for tensor in outputs.values()])
    return ServerAnswer({**outputs, **(kept or {})}, exchange_s, result.t_server_s, result.t_decode_s, result.t_encode_s,
                        result.t_queue_s, received_bytes, result.beyond, result.held)  # fmt: skip
