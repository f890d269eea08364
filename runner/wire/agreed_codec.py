"""The codec of a conversation: the same on both sides, from what OPEN says."""

from __future__ import annotations

from measurement import codecs
from measurement.codecs import RAW, Codec
from runner.wire.protocol import Open


def codec_for(request: Open) -> Codec | None:
    """The codec that a conversation was opened with; None where tensors travel as they are.

    InputError for one that is not known or that the network cannot use, MissingExtraError for one that is not installed.
    """
    return None if request.codec == RAW else codecs.get(request.codec).for_network(request.network, request.input)
