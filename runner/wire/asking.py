"""One question to a server on its way, whatever its tensors and its answer are kept as."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

A = TypeVar("A")  # the answer


class Asking(Generic[A]):
    """A question's bytes and what becomes of them: `answer` or `failure` says how it ended, at `ended_at` (`time.perf_counter`).

    Packing its tensors took `t_encode_s` under a codec and ended at `packed_at`; `t_queue_s` passed from there until they were sent
    for the first time. `sent` is how often they were sent, `sent_bytes` what of them is tensors' on the way.
    """

    t_queue_s = 0.0
    sent = 0
    is_under_way = False
    answer: A | None = None
    ended_at = 0.0
    failure: str | None = None

    def __init__(self, number: int, payload: list[memoryview], t_encode_s: float) -> None:
        self.number, self.payload, self.t_encode_s = number, payload, t_encode_s
        self.sent_bytes = sum([part.nbytes for part in payload])
        self.packed_at = time.perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether there is an answer, or will be none."""
        return self.answer is not None or self.failure is not None

    @property
    def retries(self) -> int:
        """How many times the question was sent again."""
        return max(self.sent - 1, 0)

    def note_sent(self) -> None:
        """Note that the question is sent now."""
        if not self.sent:
            self.t_queue_s = time.perf_counter() - self.packed_at
        self.sent += 1
        self.is_under_way = True

    def answered(self, answer: A) -> None:
        """Note the answer: the exchange is over."""
        self.answer, self.ended_at = answer, time.perf_counter()
