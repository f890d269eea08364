"""One question to the server: its tensors as bytes, and then its answer, which is checked, or a failure."""

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
    """The network's outputs, and the times of the exchange (s): all of it as the edge saw it, the server's part in it, and in that
    part decoding and encoding; then the wait at the server, the bytes that came back, the times of the places after the server
    (`beyond`), and for a text how many of its tokens are held there."""

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
        """The time on the link, there and back (s)."""
        return self.exchange_s - self.t_server_s - self.t_queue_s - sum([span.t_s for span in self.beyond])


class Exchange(Asking[ServerAnswer]):
    """One image's crossing tensors on their way. A codec encodes them before the exchange begins (`began_at`)."""

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
        """The time (s) since the question was sent for the first time."""
        return time.perf_counter() - self.began_at - self.t_queue_s


def check_outputs(where: str, outputs: Mapping[str, Tensor], expected: Mapping[str, TensorSpec] | None,
                  kept: Collection[str] = (), varying: Collection[str] = ()) -> None:  # fmt: skip
    """RunnerError where a server's outputs are not those of the network without what was `kept`, by name, dtype or shape (of the
    `varying` ones, how many dimensions there are). None: nobody knows, but where nothing was kept there are some."""
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
    """The answer with what was `kept` here in it, unless it cannot be true: RunnerError."""
    if not (result.t_decode_s + result.t_encode_s <= result.t_server_s and result.span_s <= exchange_s):
        raise RunnerError(where, f"the server reports {result.span_s} s of work in an exchange of {exchange_s} s")
    received_bytes = sum([tensor.nbytes for tensor in outputs.values()])
    return ServerAnswer({**outputs, **(kept or {})}, exchange_s, result.t_server_s, result.t_decode_s, result.t_encode_s,
                        result.t_queue_s, received_bytes, result.beyond, result.held)  # fmt: skip
