"""`decoder:DIRECTORY`: a language model of transformers as a folder describes it, token by token (`measurement.decoders`).

The folder is that of `hf:DIRECTORY`, and so are its weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from measurement.decoders import Chain, chain_of
from measurement.sources import Example, hf, indices

_TOKENS = 32
"""In an example."""


class Decoders(hf.Transformers):
    """Of a folder with the configuration of a decoder that is known (`measurement.decoders.KINDS`)."""

    whose: ClassVar[str | None] = "hf"
    is_decoder: ClassVar[bool] = True

    def chain(self, network: nn.Module, name: str) -> Chain:
        """The chain of a network that is no longer needed otherwise."""
        return chain_of(network, f"decoder:{name}")

    def build(self, name: str) -> nn.Module:
        """The chain of the folder's network with initial weights."""
        return self.chain(super().build(name), name)

    def trained(self, name: str, value: str, weights: str, mapped: bool) -> tuple[nn.Module, Path | None]:
        """The chain of the network with the weights beside its configuration."""
        module, file = super().trained(name, value, weights, mapped)
        return self.chain(module, name), file

    def example(self, name: str, module: nn.Module) -> Example:
        """A short text."""
        assert isinstance(module, Chain)
        return ids_of(module.vocabulary, min(_TOKENS, module.longest or _TOKENS))

    def remarks(self, name: str) -> tuple[str, ...]:
        """No remarks: here the cache, which `hf:` switches off, is the state that blocks keep."""
        del name
        return ()


def ids_of(vocabulary: int, n_tokens: int) -> torch.Tensor:
    """A text (1, n) of seeded ids; the last id and the first are among them, where there is room."""
    found = indices(1, n_tokens, below=vocabulary)
    found[0, 0] = vocabulary - 1
    if n_tokens > 1:
        found[0, -1] = 0
    return found


SOURCE = Decoders()
