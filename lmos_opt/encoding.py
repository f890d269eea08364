"""What a codec does with a profiled network along a path of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lmos_opt.device import LOCAL, CodecTimes, TimesLayers
from lmos_opt.errors import InputError, likely

if TYPE_CHECKING:
    from lmos_opt.profile import NetworkProfile, TensorSpec
from lmos_opt.codec_sizes import RAW, Choice, Coding, Ends, Sent


class SizesTensors(Protocol):
    """What an instance needs of a codec; `measurement.codecs.get` has them by name."""

    name: str

    def sent_bytes(self, tensor: TensorSpec, /) -> int | None:
        """The number of bytes of an encoded tensor; None if it depends on the tensor's numbers."""


class ChoosesCodecs(Protocol):
    """A codec for each tensor. A codec is one too, itself for all tensors; `measurement.codec_choice.chosen` makes others."""

    @property
    def name(self) -> str:
        """The name of the codec for every tensor that is not in `own`."""

    @property
    def own(self) -> Mapping[str, str]:
        """Codecs' names by those of layers and inputs."""

    def of(self, tensor: str, /) -> SizesTensors:
        """The codec of a layer's output, or of an input."""


def coding_of(profile: NetworkProfile, choice: ChoosesCodecs, devices: Sequence[TimesLayers]) -> Coding | None:
    """What codecs do with a profiled network along a path of devices; None if they change nothing.

    Bytes are those that the profile measured, also of a tensor that travelled as it is; without a measurement they follow from
    shapes. Times are those that the profile measured if a device is `local`; for other devices those of their files (`codecs`), and
    0 if the files have none. Raises InputError if the profile lacks a measurement that is needed, or has no layer that is named
    with a codec of its own.
    """
    found = {}
    tensors = {name: (spec,) for name, spec in profile.input_tensors.items()} | {
        layer.name: layer.outputs for layer in profile.layers}  # fmt: skip
    for name in choice.own:
        if name not in tensors:
            raise InputError("codec", f"{name}={choice.own[name]}: {profile.name} has no layer or input {name!r}"
                                      f"{likely(name, tensors)}")  # fmt: skip
    for name, specs in tensors.items():
        codec = choice.of(name)
        if codec.name == RAW:
            continue
        measured = (profile.codecs or {}).get(codec.name)
        sizes = [codec.sent_bytes(spec) for spec in specs]
        known = None if measured is None else measured.sent.get(name)
        if measured is None and (None in sizes or LOCAL in map(_name, devices)):
            what = "sizes, which depend on the tensors' numbers," if None in sizes else "times"
            raise InputError(profile.name, f"holds no measured {what} under the codec {codec.name}; make a profile with: "
                                           f"lmos profile NETWORK --codec {codec.name} -o profile.json")
        parts = tuple(n for n in sizes if n is not None)
        if known is not None:
            parts = known.parts or (known.bytes,)
        elif len(parts) < len(sizes):
            continue  # it travels as it is
        raw = sum(spec.bytes for spec in specs)
        ends = [_ends(device, codec.name, raw, known) for device in devices]
        found[name] = Sent(
            bytes=sum(parts),
            encode_s=ends[0].encode_s,
            decode_s=ends[-1].decode_s,
            parts=parts if len(specs) > 1 else (),
            at_places=tuple(ends) if len(ends) > 2 else (),
        )
    own = {name: codec for name, codec in choice.own.items() if codec != choice.name}
    return Coding(codec=choice.name, codecs=own, sent=found) if own or choice.name != RAW else None


def choices_of(profile: NetworkProfile, codecs: Sequence[ChoosesCodecs],
               devices: Sequence[TimesLayers]) -> dict[str, tuple[Choice, ...]]:  # fmt: skip
    """For each tensor of a profiled network the ways in which it may cross, of which one is chosen: as it is, without loss, and in
    each codec whose loss there the profile has, except those that are nowhere better than another.

    Raises InputError if the profile does not have a codec's losses, and as `coding_of`.
    """
    known = {} if profile.fidelity is None else profile.fidelity.counted_with
    unknown = [codec.name for codec in codecs if codec.name not in (RAW, *known)]
    if unknown or not known:
        what = unknown[0] if unknown else "codecs"
        raise InputError(profile.name, f"does not say what is lost under {what}; make a profile with: lmos profile NETWORK "
                                       "--fidelity IMAGES -o profile.json")  # fmt: skip
    raw = {name: spec.bytes for name, spec in profile.input_tensors.items()}
    raw |= {layer.name: layer.output_bytes for layer in profile.layers}
    found = {name: [Choice(name=RAW, bytes=n_bytes)] for name, n_bytes in raw.items()}
    for codec in codecs:
        coding = None if codec.name == RAW else coding_of(profile, codec, devices)
        for name, sent in ({} if coding is None else coding.sent).items():
            if name in known[codec.name]:
                made = {key: getattr(sent, key) for key in Sent.model_fields}
                found[name].append(Choice(name=codec.name, loss=known[codec.name][name], **made))
    return {name: tuple(_worth_it(choices)) for name, choices in found.items() if len(choices) > 1}


def _worth_it(choices: Sequence[Choice]) -> list[Choice]:
    """Those that are better than each other one in something: bytes, loss, or time anywhere. Of equal ones the first."""
    costs = [(one.bytes, one.loss, *(t for ends in (one.at_places or (one,)) for t in (ends.encode_s, ends.decode_s)))
             for one in choices]  # fmt: skip
    return [one for k, one in enumerate(choices) if not any(
        all(a <= b for a, b in zip(other, costs[k], strict=True)) and (other != costs[k] or i < k)
        for i, other in enumerate(costs) if i != k)]  # fmt: skip


def _ends(device: TimesLayers, codec: str, raw_bytes: int, known: Sent | None) -> Ends:
    """The times (s) of encoding and decoding a tensor of this many bytes on a device."""
    if known is not None and _name(device) == LOCAL:
        return Ends(encode_s=known.encode_s, decode_s=known.decode_s)
    times = _times(device, codec)
    return Ends(encode_s=times.encode_s_per_byte * raw_bytes, decode_s=times.decode_s_per_byte * raw_bytes)


def _name(device: TimesLayers) -> object:
    return getattr(device, "name", None)


def _times(device: TimesLayers, codec: str) -> CodecTimes:
    """The times of a codec in the device's file, with or without the codec's argument; 0 if the file has none."""
    known: dict[str, CodecTimes] = getattr(device, "codecs", {})
    return known.get(codec) or known.get(codec.partition(":")[0]) or CodecTimes(encode_s_per_byte=0.0, decode_s_per_byte=0.0)
