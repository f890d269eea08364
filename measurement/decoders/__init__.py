"""Decoders of transformers as chains: an embedding, blocks, and a head that names the next token.

Each of them is one layer. Blocks keep keys and values of the text so far in a `State`, which lives where they run; what goes from
one to the next is the hidden state of the new tokens alone. The network's own code computes: a block is called with what its own
network's forward gives it (masks, positions), so that a chain's tokens are the undivided network's, bit for bit.
"""

from __future__ import annotations

import copy
import inspect
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lmos_opt.errors import InputError
from measurement.decoders.copies import eval_copy
from measurement.decoders.state import Given, State, held_state

__all__ = ["KINDS", "Block", "Chain", "Embed", "Head", "Stage", "State", "chain_of"]


class _Parts(NamedTuple):
    """What a kind calls its list of blocks, its last norm, and its embeddings of tokens and (where it has one) of positions."""

    blocks: str
    norm: str
    tokens: str
    positions: str | None = None


_USUAL = _Parts("layers", "norm", "embed_tokens")
KINDS = {"gpt2": _Parts("h", "ln_f", "wte", "wpe"), "llama": _USUAL, "qwen2": _USUAL, "mistral": _USUAL}
"""Decoders whose structure is known, by the `model_type` of their configurations."""
_CAUGHT: ContextVar[list[Given]] = ContextVar("_CAUGHT")


class Stage(nn.Module):
    """One layer of a chain, which is never looked into."""


class Embed(Stage):
    """Token ids (1, n) to hidden states (1, n, width)."""

    def __init__(self, tokens: nn.Module, positions: nn.Module | None) -> None:
        super().__init__()
        self.tokens, self.positions = tokens, positions

    def forward(self, ids: Tensor) -> Tensor:
        """The new tokens' hidden states, at the positions that follow the text so far."""
        found: Tensor = self.tokens(ids)
        return found if self.positions is None else found + self.positions(_positions(ids))


class Block(Stage):
    """One block. `number` is its own in the whole chain; `frame` says what it is called with, and is shared by all of its kind."""

    def __init__(self, layer: nn.Module, frame: nn.Module, number: int, cache: str) -> None:
        super().__init__()
        self.layer, self.frame, self.number, self._cache = layer, frame, number, cache

    def forward(self, hidden: Tensor) -> Tensor:
        """The new tokens' hidden states after the block; what it keeps of them is in the state that is held, if one is."""
        state = held_state()
        cache = state.cache_of(self.number, self.frame.config)
        given = state.given(self.number, self.frame.config, lambda: self._given(hidden, cache))
        args, options = given.called_with(cache)
        made = self.layer(hidden, *args, **options)
        state.tighten(self.number)
        found: Tensor = made[0] if isinstance(made, tuple) else made
        return found

    def _given(self, hidden: Tensor, cache: Any) -> Given:
        caught: list[Given] = []
        before = _CAUGHT.set(caught)
        try:
            self.frame(inputs_embeds=hidden, position_ids=_positions(hidden), use_cache=True, **{self._cache: cache})
        finally:
            _CAUGHT.reset(before)
        return caught[0]._replace(cache=cache)


class Head(Stage):
    """The last token's hidden state to the id of the next one (1, 1)."""

    def __init__(self, norm: nn.Module, scores: nn.Module) -> None:
        super().__init__()
        self.norm, self.scores = norm, scores

    def forward(self, hidden: Tensor) -> Tensor:
        """The most probable id, or a drawn one where the state that is held says how."""
        scores = self.scores(self.norm(hidden[:, -1:]))[:, -1]
        state = held_state()
        found: Tensor = state.pick.of(scores, state.length + hidden.shape[1])
        return found


class Chain(nn.Module):
    """A decoder: token ids (1, n) to the id of the next token (1, 1)."""

    def __init__(self, embed: Embed, blocks: list[Block], head: Head, longest: int | None, vocabulary: int) -> None:
        super().__init__()
        self.embed, self.blocks, self.head = embed, nn.ModuleList(blocks), head
        self.longest, self.vocabulary = longest, vocabulary

    def forward(self, ids: Tensor) -> Tensor:
        """The id that follows these, and the text in the state that is held, if one is."""
        hidden = self.embed(ids)
        for block in self.blocks:
            hidden = block(hidden)
        found: Tensor = self.head(hidden)
        return found


class _Catcher(nn.Module):
    """Takes the place of a block, and notes the arguments with which the network's forward calls it."""

    def forward(self, hidden: Tensor, *args: Any, **options: Any) -> Tensor:
        _CAUGHT.get().append(Given(args, options, None))
        return hidden


class _NoPositions(nn.Module):
    """Takes the place of an embedding of positions, because the positions are added already."""

    def forward(self, positions: Tensor) -> Tensor:
        return torch.zeros((), device=positions.device)


def chain_of(network: nn.Module, where: str) -> Chain:
    """The chain of a causal language model of transformers, over the same parameters; the network stays as it is.

    InputError, which names `where`, for a network that is not one of KINDS.
    """
    config: Any = getattr(network, "config", None)
    kind = getattr(config, "model_type", None)
    scores: Any = getattr(network, "get_output_embeddings", lambda: None)()
    if kind not in KINDS or scores is None:
        raise InputError(where, f"is a {type(network).__name__}, which is not known as a decoder; there are {', '.join(KINDS)}, "
                                "each with a head for language")  # fmt: skip
    base: Any = network.base_model
    names = KINDS[kind]
    cache = "cache" if "cache" in inspect.signature(base.forward).parameters else "past_key_values"
    frames: dict[str, nn.Module] = {}
    blocks = []
    for number, layer in enumerate(getattr(base, names.blocks)):
        types = getattr(config, "layer_types", None)
        type_ = types[number] if types else ""
        if type_ not in frames:
            frames[type_] = _frame(base, names, type_)
        blocks.append(Block(_first_of_cache(layer), frames[type_], number, cache))
    embed = Embed(getattr(base, names.tokens), None if names.positions is None else getattr(base, names.positions))
    longest = getattr(config, "max_position_embeddings", None)
    return Chain(embed, blocks, Head(getattr(base, names.norm), scores), longest if isinstance(longest, int) else None,
                 int(config.vocab_size)).eval()  # fmt: skip


def _frame(base: Any, names: _Parts, type_: str) -> nn.Module:
    """The network's body around one block of this type, which notes what it is called with: no embeddings, no norm."""
    frame: Any = eval_copy(base)
    frame.config = copy.deepcopy(base.config)
    frame.config.num_hidden_layers = 1
    if type_:
        frame.config.layer_types = [type_]
    frame._modules[names.blocks], frame._modules[names.norm] = nn.ModuleList([_Catcher()]), nn.Identity()
    del frame._modules[names.tokens]
    if names.positions is not None:
        frame._modules[names.positions] = _NoPositions()
    found: nn.Module = frame
    return found


def _first_of_cache(layer: nn.Module) -> nn.Module:
    """A block as the first one of a cache of its own."""
    found = eval_copy(layer)
    for part in found.modules():
        if hasattr(part, "layer_idx"):
            part.layer_idx = 0  # type: ignore[assignment]
    return found


def _positions(new: Tensor) -> Tensor:
    """Of new tokens, after those of the state that is held."""
    first = held_state().length
    return torch.arange(first, first + new.shape[1], device=new.device).unsqueeze(0)

