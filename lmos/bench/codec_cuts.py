"""Codecs at every cut of a network: bytes, times, and what becomes of the classes.

Tensors are packed as the edge packs them and unpacked as the server does; the halves are the runner's. Outputs are compared with
the whole network's, which those of tensors as they are equal bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from lmos_opt.errors import InputError
from lmos_opt.graph import INPUT
from lmos_opt.instance import Instance
from lmos_opt.plan import PlannedNetwork
from lmos_opt.profile import NetworkSource
from lmos_opt.split import down_closed_sets
from measurement import codecs
from measurement.codecs import Codec
from measurement.networks import build_network, network_digest, parse_builder
from measurement.profiling import profile_traced
from measurement.tracing import TracedNetwork, trace_network
from runner.images import find_images
from runner.parts.network import class_of, flat_outputs, logits_of
from runner.parts.part import Crossing
from runner.parts.split import split_traced
from runner.wire.tensors import pack, unpack

CODECS = ("raw", "fp16", "int8", "zstd", "jpeg:75")
MOST_SPLITS = 2000
"""Of a graph with more, the cuts after each layer in topological order are taken."""
PROMISED_RATIO = 0.27
"""Of int8: at most so many of the bytes of tensors as they are, at every cut."""


@dataclass(frozen=True)
class Row:
    """One codec at one cut, over some pictures: bytes and times are means over them, the difference is the largest."""

    codec: str
    x1: int
    last_layer: str
    crossing: tuple[str, ...]
    raw_bytes: float
    sent_bytes: float
    encode_s: float
    decode_s: float
    pictures: int
    top1_agree: int
    max_logit_difference: float

    @property
    def ratio(self) -> float:
        """Bytes sent over bytes of the tensors as they are."""
        return self.sent_bytes / self.raw_bytes

    @property
    def keeps_its_promise(self) -> bool:
        """Whether every class is the same, in at most PROMISED_RATIO of the bytes."""
        return self.top1_agree == self.pictures and self.ratio <= PROMISED_RATIO


def bench(network: str, weights: str, names: Sequence[str], cuts: Sequence[int] | None, pictures: int | None,
          tell: Callable[[str], None] = lambda what: None) -> list[Row]:  # fmt: skip
    """Every codec at every split where something crosses, or at the cuts after so many layers.

    Raises InputError for networks, codecs or cuts that are none.
    """
    tell(f"building {network}")
    builder = parse_builder(network)
    module = build_network(builder, weights, allow_code=True)
    traced = trace_network(module, torch.zeros(1, 3, 224, 224))
    source = NetworkSource(builder=builder, weights=weights, digest=network_digest(module, traced.structure))
    planned = PlannedNetwork(**source.model_dump(), name=network, granularity="module", input=traced.input)
    chosen = [codecs.get(name).for_network(source, traced.input) for name in names]
    images = find_images(planned, None, pictures)
    inputs = [traced.tensors_of(images.load(k))[0] for k in range(len(images))]
    found = []
    with torch.inference_mode():
        whole = [_logits(module(image)) for image in inputs]
        splits = _splits(Instance.from_profile(profile_traced(traced, network=source)), cuts)
        for k, edge in enumerate(splits):
            tell(f"split {k + 1} of {len(splits)}")
            found += _at(traced, edge, chosen, inputs, whole)
    return found


def _logits(output: object) -> Tensor:
    """The tensor with the classes, or, of a network that does not classify, its first one."""
    outputs = flat_outputs(output)
    found = logits_of(outputs)
    return next(iter(outputs.values())) if found is None else found


def _splits(instance: Instance, cuts: Sequence[int] | None) -> list[tuple[str, ...]]:
    names = instance.names
    if cuts is not None:
        for n in cuts:
            if not 0 <= n < len(names):
                raise InputError("--cuts", f"{n} is not between 0 and {len(names) - 1}, where something crosses")
        return [names[:n] for n in cuts]
    sets = list(islice(down_closed_sets(instance), MOST_SPLITS + 1))
    if len(sets) > MOST_SPLITS:
        return [names[:n] for n in range(len(names))]
    return sorted((tuple(name for name in names if name in edge) for edge in sets if len(edge) < len(names)), key=len)


def _at(traced: TracedNetwork, edge: tuple[str, ...], chosen: Sequence[Codec], inputs: Sequence[Tensor],
        whole: Sequence[Tensor]) -> list[Row]:  # fmt: skip
    head, tail = split_traced(traced, edge)
    crossings = [head(image) for image in inputs]
    names = tuple(crossings[0])
    fitting = [codec for codec in chosen if not codec.only_input or names == (INPUT,)]
    return [_row(codec, edge, names, crossings, tail, whole) for codec in fitting]


def _row(codec: Codec, edge: tuple[str, ...], names: tuple[str, ...], crossings: Sequence[Crossing],
         tail: Callable[[Crossing], object], whole: Sequence[Tensor]) -> Row:  # fmt: skip
    raw = sent = agree = 0
    encode_s = decode_s = difference = 0.0
    for crossing, expected in zip(crossings, whole, strict=True):
        begin = time.perf_counter()
        headers, parts = pack(crossing, codec)
        encode_s += time.perf_counter() - begin
        payload = memoryview(bytearray(b"".join(parts)))
        begin = time.perf_counter()
        arrived = Crossing(unpack(headers, payload, codec), crossing.scalars, crossing.kept)
        decode_s += time.perf_counter() - begin
        logits = _logits(tail(arrived))
        raw += sum(tensor.nbytes for tensor in crossing.values())
        sent += payload.nbytes
        agree += class_of({"output": logits}) == class_of({"output": expected})
        difference = max(difference, float((logits - expected).abs().max()))
    n = len(crossings)
    return Row(codec.name, len(edge), edge[-1] if edge else "(none)", names, raw / n, sent / n, encode_s / n, decode_s / n,
               n, agree, difference)  # fmt: skip


def summaries(rows: Sequence[Row]) -> list[dict[str, object]]:
    """A line for each codec over all its cuts: least, mean and largest ratio, times per megabyte, agreement, largest error."""
    found: list[dict[str, object]] = []
    for name in dict.fromkeys(row.codec for row in rows):
        mine = [row for row in rows if row.codec == name]
        megabytes = sum(row.raw_bytes for row in mine) / 1e6
        found.append({
            "codec": name, "cuts": len(mine), "least_ratio": min(row.ratio for row in mine),
            "mean_ratio": sum(row.sent_bytes for row in mine) / sum(row.raw_bytes for row in mine),
            "largest_ratio": max(row.ratio for row in mine),
            "encode_s_per_mb": sum(row.encode_s for row in mine) / megabytes,
            "decode_s_per_mb": sum(row.decode_s for row in mine) / megabytes,
            "pictures": sum(row.pictures for row in mine), "top1_agree": sum(row.top1_agree for row in mine),
            "max_logit_difference": max(row.max_logit_difference for row in mine),
        })  # fmt: skip
    return found
