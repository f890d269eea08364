"""`decoder_int8:DIRECTORY`: the decoder `decoder:DIRECTORY` with its blocks' weights in eight bits, packed here.

Embedding and head stay as they are, which they often share. Packages that bring kernels for packed weights are not needed.
"""

from __future__ import annotations

from torch import nn

from measurement.decoders import Chain, chain_of
from measurement.decoders.packed import pack
from measurement.sources import decoder


class PackedDecoders(decoder.Decoders):
    """Of the same folders, with the same weights before they are packed."""

    def chain(self, network: nn.Module, name: str) -> Chain:
        """The chain of a network whose blocks' linear layers are packed, in place."""
        found = chain_of(network, f"decoder_int8:{name}")
        for block in found.blocks:
            pack(block)
        return found


SOURCE = PackedDecoders()
