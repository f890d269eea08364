"""Where the device alone is fastest, where sending the whole input is, and where a cut inside the network is: exactly, over a
link's bandwidth.

A split with a codec for each tensor that crosses takes `edge_s * slower + other_s + bytes * s`: s is seconds a byte, `slower` a
factor on all that the device computes. Over s it is a line, so the fastest way anywhere is on the lower envelope of the lines of
all that is within a limit of losses. It is found in rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Literal, NamedTuple

from lmos_opt.codec_sizes import RAW, Ends
from lmos_opt.device import TimesLayers, load_device
from lmos_opt.encoding import ChoosesCodecs, coding_of
from lmos_opt.errors import InputError
from lmos_opt.fronts.limits import SLACK
from lmos_opt.instance import Instance
from lmos_opt.policies.lines import Piece, pieces
from lmos_opt.profile import NetworkProfile
from lmos_opt.rules.moving import Polynomial
from lmos_opt.split import down_closed_sets

Kind = Literal["device", "input", "cut"]
KINDS: tuple[Kind, ...] = ("device", "input", "cut")
"""All layers at the device; all at the server, so the input is sent; a cut inside. Of equally fast kinds the first is given."""
MOST_SETS = 20_000
"""The most edge sets that are examined one by one. A network with more is refused."""


class Sending(NamedTuple):
    """One way for a tensor to cross: a codec, times at both ends (s), bytes, and loss (None: not measured)."""

    codec: str
    edge_s: Fraction
    other_s: Fraction
    bytes: int
    loss: Fraction | None


@dataclass(frozen=True)
class Way:
    """A split with codecs for its crossing tensors.

    `edge_s` is the device's time (s), `other_s` all other time (s) without that of the bytes, `bytes` what crosses, `loss` the sum
    of losses (None: not known), `codecs` the codec of each crossing tensor.
    """

    kind: Kind
    edge_s: Fraction
    other_s: Fraction
    bytes: int
    loss: Fraction | None
    edge: frozenset[str]
    codecs: Mapping[str, str] = field(default_factory=dict)

    def at(self, s: Fraction, slower: Fraction) -> Fraction:
        """The latency (s), if a byte takes `s` seconds, and the device takes `slower` times as long."""
        return self.edge_s * slower + self.other_s + self.bytes * s


@dataclass(frozen=True)
class Crossings:
    """A profiled network between a device and a server, and how each of its tensors may cross."""

    instance: Instance
    sendings: Mapping[str, tuple[Sending, ...]]

    @classmethod
    def of(cls, profile: NetworkProfile, device: str, server: str, codecs: Sequence[ChoosesCodecs]) -> Crossings:
        """The crossings of a profiled network, if each tensor may cross raw or in one of the `codecs`.

        Losses are those that the profile counts with (`Fidelity.counted_with`), and 0 for a lossless codec. InputError if the
        profile lacks sizes or times.
        """
        instance = Instance.from_profile(profile, edge=device, server=server)
        ends: list[TimesLayers] = [load_device(device), load_device(server)]
        known = {} if profile.fidelity is None else profile.fidelity.counted_with
        none = Fraction(0)
        found = {name: [Sending(RAW, none, none, instance.tensor_bytes(name), none)] for name in instance.tensors}
        for codec in codecs:
            coding = None if codec.name == RAW else coding_of(profile, codec, ends)
            for name, sent in ({} if coding is None else coding.sent).items():
                loss = 0.0 if getattr(codec, "is_lossless", False) else known.get(codec.name, {}).get(name)
                at: Ends = sent
                found[name].append(Sending(codec.name, Fraction(at.encode_s), Fraction(at.decode_s), sent.bytes,
                                           None if loss is None else Fraction(loss)))  # fmt: skip
        return cls(instance, {name: tuple(ways) for name, ways in found.items()})

    def ways(self, limit: float | None) -> list[Way]:
        """The ways that may be the fastest for some bandwidth, speed of the device and fixed cost of an exchange.

        The sum of their losses must be known and at most `limit` (None: any loss). InputError for a network with more than
        MOST_SETS edge sets.
        """
        instance = self.instance
        sets = list(islice(down_closed_sets(instance), MOST_SETS + 1))
        if len(sets) > MOST_SETS:
            raise InputError(instance.name, f"can be cut in more than {MOST_SETS} ways, too many to look at each; expected a chain "
                                            "or a graph with few branches")  # fmt: skip
        times = {layer.name: (Fraction(layer.t_s[0]), Fraction(layer.t_s[1])) for layer in instance.layers}
        scale = max(t.denominator for both in times.values() for t in both)  # powers of two: sums of whole numbers are quick
        whole = {name: (int(a * scale), int(b * scale)) for name, (a, b) in times.items()}
        everything = frozenset(instance.names)
        at_server = sum(b for _, b in whole.values())
        sent = cache(lambda crossing: _assigned([self.sendings[name] for name in crossing], limit))
        found: dict[Kind, list[Way]] = {kind: [] for kind in KINDS}
        for edge in sets:
            kind: Kind = "device" if edge == everything else "cut" if edge else "input"
            here, there = sum(whole[v][0] for v in edge), at_server - sum(whole[v][1] for v in edge)
            crossing = () if edge == everything else instance.crossing(edge)
            for one in sent(crossing):
                found[kind].append(Way(kind, Fraction(here, scale) + one.edge_s, Fraction(there, scale) + one.other_s, one.bytes,
                                       one.loss, edge, dict(zip(crossing, one.codecs, strict=True))))  # fmt: skip
        return [way for kind in KINDS for way in _least(found[kind])]


class _Assigned(NamedTuple):
    edge_s: Fraction
    other_s: Fraction
    bytes: int
    loss: Fraction | None
    codecs: tuple[str, ...]


def _assigned(sendings: Sequence[Sequence[Sending]], limit: float | None) -> list[_Assigned]:
    """The choices of codecs for tensors that cross together, within the limit, that no other choice dominates.

    They are compared by both times, bytes and, if there is a limit, loss. As on a front with a limit, 1 % and 2 % are within 3 %,
    although the sum of these doubles is a little more.
    """
    most = None if limit is None else Fraction(limit) * (1 + Fraction(SLACK))
    found = [_Assigned(Fraction(0), Fraction(0), 0, Fraction(0), ())]
    for ways in sendings:
        longer = [_Assigned(a.edge_s + b.edge_s, a.other_s + b.other_s, a.bytes + b.bytes,
                            None if a.loss is None or b.loss is None else a.loss + b.loss, (*a.codecs, b.codec))
                  for a in found for b in ways]  # fmt: skip
        admitted = [one for one in longer if most is None or (one.loss is not None and one.loss <= most)]
        found = []
        for one in sorted(admitted, key=lambda one: (one.bytes, one.edge_s, one.other_s, one.loss is None, one.loss or 0)):
            if not any(other.edge_s <= one.edge_s and other.other_s <= one.other_s
                       and (most is None or (other.loss or 0) <= (one.loss or 0)) for other in found):  # fmt: skip
                found.append(one)
    return found


def _least(ways: Sequence[Way]) -> list[Way]:
    """The ways of one kind that no other dominates in bytes and both times; of equal ways the first."""
    kept: list[Way] = []
    for way in sorted(ways, key=lambda way: (way.bytes, way.edge_s, way.other_s)):
        if not any(other.edge_s <= way.edge_s and other.other_s <= way.other_s for other in kept):
            kept.append(way)
    return kept


def fastest(ways: Sequence[Way], s: Fraction, slower: Fraction = Fraction(1), rtt_s: Fraction = Fraction(0)) -> Way:
    """The fastest way at s seconds for a byte. Of equally fast ways: the one of the earlier kind, then the one with fewer bytes."""
    return min(ways, key=lambda way: (_line(way, slower, rtt_s)[0] + way.bytes * s, KINDS.index(way.kind), way.bytes))


def stretches(ways: Sequence[Way], low: float, high: float, slower: float = 1.0, rtt_s: float = 0.0) -> list[Piece[Way]]:
    """The fastest way at every bandwidth (B/s) from low to high, lowest bandwidth first, between exact ends.

    `rtt_s` is the fixed cost (s) of an exchange, if any layer runs at the server.
    """
    factor, rtt = Fraction(slower), Fraction(rtt_s)
    lines = {id(way): _line(way, factor, rtt) for way in ways}
    fast, slow = 1 / Fraction(high), 1 / Fraction(low)

    def look(s: Fraction) -> tuple[int, list[Polynomial]]:
        best = fastest(ways, s, factor, rtt)
        a, b = lines[id(best)]
        changes: list[Polynomial] = [(c - a, Fraction(d - b)) for c, d in lines.values()]
        return index[id(best)], changes

    index = {id(way): k for k, way in enumerate(ways)}
    found = pieces(fast, slow, look)
    return [Piece(1 / piece.high, 1 / piece.low, ways[piece.label]) for piece in reversed(found)]


def _line(way: Way, slower: Fraction, rtt_s: Fraction) -> tuple[Fraction, int]:
    return way.edge_s * slower + way.other_s + (0 if way.kind == "device" else rtt_s), way.bytes
