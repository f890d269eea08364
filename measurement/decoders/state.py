"""What blocks keep of a text from call to call, and how the next token is chosen.

A state is held for a `with` block, in its thread alone; layers find it there. Its tensors stay where they were made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

_MIX = 1_000_003
"""A prime that keeps the draws of neighbouring seeds and positions apart."""
_LARGEST_SEED = 2**63
_SLACK = 1.25
"""How much larger the memory behind a tensor may be than the tensor."""


@dataclass(frozen=True)
class Pick:
    """How the next token is chosen: the most probable one, or, at a `temperature`, one that is drawn.

    What is drawn depends on the seed, the position and the scores alone: the same again after a fault, wherever it is drawn.
    """

    temperature: float | None = None
    seed: int = 0

    def of(self, scores: Tensor, position: int) -> Tensor:
        """The id (1, 1) for the token at this position, from scores (1, vocabulary)."""
        if self.temperature is None or scores.is_meta:
            return scores.argmax(-1, keepdim=True)
        draw = torch.Generator().manual_seed((self.seed * _MIX + position) % _LARGEST_SEED)
        return torch.multinomial((scores.float() / self.temperature).softmax(-1), 1, generator=draw)


GREEDY = Pick()


class Given(NamedTuple):
    """The arguments with which a network's forward calls a block, except the hidden states. One of them is a block's `cache`."""

    args: tuple[Any, ...]
    options: dict[str, Any]
    cache: Any

    def called_with(self, cache: Any) -> tuple[list[Any], dict[str, Any]]:
        """The same for a block with another cache."""
        return ([cache if one is self.cache else one for one in self.args],
                {key: cache if one is self.cache else one for key, one in self.options.items()})


class State:
    """The state of one text: `length` tokens, in one cache for each block that has run.

    There is one call at a time. `call` holds the state, and adds its tokens to `length` at the end. After an error the state is
    empty, because it is not known which blocks have taken the tokens in.
    """

    def __init__(self, pick: Pick = GREEDY) -> None:
        self.pick, self.length = pick, 0
        self._caches: dict[int, Any] = {}
        self._frozen = False
        self._given: dict[int, Given] = {}
        self._last = -1

    @contextmanager
    def call(self, n_tokens: int) -> Iterator[None]:
        """Hold the state while these tokens go through the blocks."""
        try:
            with held(self):
                yield
        except BaseException:
            self.clear()
            raise
        self.length += n_tokens
        self._given.clear()  # masks of a long text are large
        self._last = -1

    def tighten(self, number: int) -> None:
        """Copy what a block keeps as a small part of a longer text's tensor, which would stay whole in memory."""
        for layer in self._caches[number].layers if number in self._caches else ():
            for name, value in vars(layer).items():
                if isinstance(value, Tensor) and value.untyped_storage().nbytes() > _SLACK * value.nbytes:
                    setattr(layer, name, value.clone())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold the state for any number of calls, each of which begins with the text as it is now."""
        self._frozen = True
        try:
            with held(self):
                yield
        finally:
            self._frozen = False

    def clear(self) -> None:
        """Forget the text."""
        self.length = 0
        self._caches.clear()
        self._given.clear()
        self._last = -1

    def cut_to(self, length: int) -> bool:
        """Forget the tokens after the first `length` ones. False if a block cannot go back so far, for example because of a window
        of tokens; the state is then empty."""
        if length == self.length:
            return True
        back = length - self.length
        try:
            for cache in self._caches.values():
                for layer in cache.layers:
                    layer.crop(back)
        except (RuntimeError, ValueError, NotImplementedError):
            length = 0
        if length <= 0:
            self.clear()
        self.length = max(length, 0)
        return self.length == length and length > 0

    def cache_of(self, number: int, config: Any) -> Any:
        """The cache of the block with this number. It has one layer, and is made if there is none."""
        found = self._caches.get(number)
        if found is None:
            from transformers import DynamicCache

            found = self._caches[number] = DynamicCache(config=config)
        return _apart(found) if self._frozen else found

    def given(self, number: int, config: object, make: Callable[[], Given]) -> Given:
        """What blocks like this one are called with in this call; made for the first of them."""
        if number <= self._last:  # another call
            self._given.clear()
        self._last = number
        key = id(config)
        if key not in self._given:
            self._given[key] = make()
        return self._given[key]

    @property
    def tensors(self) -> dict[int, dict[str, Tensor]]:
        """What each block keeps, by its number and the cache's own names."""
        return {number: {name: value for layer in cache.layers for name, value in vars(layer).items()
                         if isinstance(value, Tensor) and value.dim() > 0}
                for number, cache in self._caches.items()}  # fmt: skip

    def window(self, number: int) -> int | None:
        """How many tokens a block remembers at most; None: all."""
        windows = [layer.sliding_window - 1 for layer in self._caches[number].layers if getattr(layer, "sliding_window", None)]
        return min(windows, default=None)

    @property
    def n_bytes(self) -> int:
        """The memory that all of it holds (B); more than the tensors' own bytes where one is a view of a longer text's."""
        return sum(tensor.untyped_storage().nbytes() for kept in self.tensors.values() for tensor in kept.values())


_HELD: ContextVar[State | None] = ContextVar("_HELD", default=None)


def held_state() -> State:
    """The state that is held; a new empty one, which is not kept, if none is held."""
    found = _HELD.get()
    return State() if found is None else found


@contextmanager
def held(state: State) -> Iterator[None]:
    """Layers that are called inside the block find this state; its tokens are not counted, as `State.call` does."""
    before = _HELD.set(state)
    try:
        yield
    finally:
        _HELD.reset(before)


def _apart(cache: Any) -> Any:
    """A cache that goes on from this one and leaves it alone: what it keeps is replaced in it, and not written to."""
    found = copy.copy(cache)
    found.layers = [copy.copy(layer) for layer in cache.layers]
    return found
