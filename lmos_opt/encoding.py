"""What a codec makes of a profiled network between two devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lmos_opt.device import LOCAL, CodecTimes, TimesLayers
from lmos_opt.errors import InputError

if TYPE_CHECKING:
    from lmos_opt.profile import NetworkProfile, TensorSpec
from lmos_opt.codec_sizes import RAW, Coding, Sent


class SizesTensors(Protocol):
    """What an instance needs of a codec; `measurement.codecs.get` has them by name."""

    name: str

    def sent_bytes(self, tensor: TensorSpec, /) -> int | None:
        """The bytes that a tensor takes; None where they depend on its numbers."""


def coding_of(profile: NetworkProfile, codec: SizesTensors, edge: TimesLayers, server: TimesLayers) -> Coding | None:
    """What a codec makes of a profiled network between two devices; None for the codec that changes nothing.

    Bytes are exact where they follow from shapes, and else those that the profile measured. Times are those that the
    profile measured where a device is `local`, for other devices what their files say (`codecs`), and 0 where they say nothing.
    Raises InputError where the profile lacks what it would have to have measured.
    """
    if codec.name == RAW:
        return None
    measured = (profile.codecs or {}).get(codec.name)
    found = {}
    tensors = {name: (spec,) for name, spec in profile.input_tensors.items()}
    for name, specs in {**tensors, **{layer.name: layer.outputs for layer in profile.layers}}.items():
        sizes = [codec.sent_bytes(spec) for spec in specs]
        known = None if measured is None else measured.sent.get(name)
        if measured is None and (None in sizes or LOCAL in (_name(edge), _name(server))):
            what = "sizes, which depend on the tensors' numbers," if None in sizes else "times"
            raise InputError(profile.name, f"holds no measured {what} under the codec {codec.name}; make a profile with: "
                                           f"lmos profile NETWORK --codec {codec.name} -o profile.json")
        if None in sizes and known is None:
            continue  # it travels as it is
        sizes = [] if None in sizes else sizes
        raw = sum(spec.bytes for spec in specs)
        found[name] = Sent(
            bytes=sum(filter(None, sizes)) if sizes or known is None else known.bytes,
            encode_s=known.encode_s if known and _name(edge) == LOCAL else _times(edge, codec.name).encode_s_per_byte * raw,
            decode_s=known.decode_s if known and _name(server) == LOCAL else _times(server, codec.name).decode_s_per_byte * raw,
            parts=() if len(specs) == 1 else tuple(n for n in sizes if n is not None) or (known.parts if known else ()),
        )
    return Coding(codec=codec.name, sent=found)


def _name(device: TimesLayers) -> object:
    return getattr(device, "name", None)


def _times(device: TimesLayers, codec: str) -> CodecTimes:
    """What a device's file says of a codec, or of all with its name before the colon; nothing is no time."""
    known: dict[str, CodecTimes] = getattr(device, "codecs", {})
    return known.get(codec) or known.get(codec.partition(":")[0]) or CodecTimes(encode_s_per_byte=0.0, decode_s_per_byte=0.0)
