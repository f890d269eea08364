"""A codec for each tensor that crosses: one for all, or others for some by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmos_opt.codec_sizes import RAW
from lmos_opt.errors import InputError
from measurement import codecs
from measurement.codecs import Codec

if TYPE_CHECKING:
    from lmos_opt.profile import NetworkSource, TensorSpec


@dataclass(frozen=True)
class Several:
    """Codecs for different tensors: `own` has the codec's name for some tensors, all others have the codec `name`.

    `kinds` are the codecs by name. It has the same methods as a single `Codec`.
    """

    name: str
    own: Mapping[str, str]
    kinds: Mapping[str, Codec]

    def of(self, tensor: str) -> Codec:
        """The codec of a tensor, by its name."""
        return self.kinds[self.own.get(tensor, self.name)]

    def for_network(self, network: NetworkSource, tensor: TensorSpec | None) -> Several:
        """As `Codec.for_network`, of each."""
        return replace(self, kinds={name: codec.for_network(network, tensor) for name, codec in self.kinds.items()})

    def check_crossing(self, names: Iterable[str]) -> None:
        """As `Codec.check_crossing`, each tensor by its own codec."""
        for name in names:
            self.of(name).check_crossing([name])


Choice = Codec | Several


def named(codec: str, others: Mapping[str, str]) -> Choice:
    """The codec for every tensor, and those of the others by their names. Raises as `measurement.codecs.get`."""
    default = codecs.get(codec)
    if not others:
        return default
    found = {name: codecs.get(name) for name in dict.fromkeys(others.values())}
    kinds = {one.name: one for one in (default, *found.values())}
    return Several(default.name, {tensor: found[name].name for tensor, name in others.items()}, kinds)


def chosen(texts: Sequence[str]) -> Choice | None:
    """The codecs of the typed options: a codec's name for all tensors, and `LAYER=NAME` for single ones; None without options.

    Raises InputError if a tensor gets two codecs, and the errors of `measurement.codecs.get`.
    """
    for_all = [text for text in texts if "=" not in text]
    if len(for_all) > 1:
        raise InputError("--codec", f"{for_all[0]} and {for_all[1]} cannot both be for all; expected LAYER=NAME for others")
    others: dict[str, str] = {}
    for tensor, _, codec in (text.rpartition("=") for text in texts if "=" in text):
        if not tensor:
            raise InputError("--codec", f"'={codec}' names no layer; expected LAYER=NAME, such as input=jpeg:75")
        if tensor in others:
            raise InputError("--codec", f"{tensor} gets {others[tensor]} and {codec}; expected one codec for each layer")
        others[tensor] = codec
    return named(for_all[0] if for_all else RAW, others) if texts else None
