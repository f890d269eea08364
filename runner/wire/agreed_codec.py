"""The codecs of a conversation, one for each tensor: the same on both sides, from what OPEN says."""

from __future__ import annotations

from measurement import codecs
from measurement.codec_choice import Choice, named
from measurement.codecs import RAW
from runner.wire.protocol import Open
from runner.wire.protocol.messages import CODECS


def codec_for(request: Open) -> Choice | None:
    """The codecs that a conversation was opened with; None where all tensors travel as they are.

    InputError for one that is not known or that the network cannot use, MissingExtraError for one that is not installed.
    """
    if not _used(request):
        return None
    return named(request.codec, request.codecs).for_network(request.network, request.input)


def needed_for(request: Open) -> list[str]:
    """What the other side must be able to do for its codecs."""
    return [*([CODECS] if request.codecs else []), *map(codecs.capability, _used(request))]


def _used(request: Open) -> list[str]:
    return [name for name in dict.fromkeys([request.codec, *request.codecs.values()]) if name != RAW]
