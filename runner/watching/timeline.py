"""A run as a timeline: where the time of every image went, for Perfetto (ui.perfetto.dev) or chrome://tracing.

Made from a report alone, so it can be had while a run is written down or years later. The format is the Trace Event Format's
JSON object: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmos_opt.errors import InputError
from lmos_opt.plan import Plan
from lmos_opt.processes.writing import checked_suffix, write_atomically
from runner.watching.report import ImageResult, RunReport
from runner.wire.protocol import Span

_LANES = 1000
"""Numbers of lanes that a track may have: the first of `tracks` has 1 to 999 (`tid` in the file)."""
_PROCESS = 1
_US = 1e6
_TOUCHING_S = 1e-9
"""Sums of the same seconds in another order differ by as much: slices that meet do not overlap, and a shorter one is none."""
_WINDOW = 10
"""Images over which the goodput is taken."""


QUEUE = "queue"
"""The track of all waits."""


def tracks(plan: Plan) -> list[str]:
    """What an image passes through, from the top: places, hops, and after the first place the QUEUE. Where several images are in
    one at once, it has further lanes (`link 2`)."""
    if plan.n_places == 2:
        return ["edge", QUEUE, "link", "server"]
    return ["place 1", QUEUE, *(way for p in range(2, plan.n_places + 1) for way in (f"hop {p - 1}", f"place {p}"))]


@dataclass(frozen=True)
class Slice:
    """What happens to one image on one track, from `begin_s` on, for `length_s`."""

    track: str
    what: str
    begin_s: float
    length_s: float
    image: int

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.begin_s + self.length_s


def slices(report: RunReport) -> list[Slice]:
    """Where the images were, and when; stages that took no time are left out.

    The span of a place after the first is known, but not where in the exchange it lay: it is drawn as late as the answers allow,
    since a place computes one image after another and answers are small.
    Raises InputError if the report does not say when its images began.
    """
    found: list[Slice] = []
    first, _, *ways = tracks(report.plan)
    hops, places = ways[::2], ways[1::2]
    next_begins = dict.fromkeys(places, math.inf)
    for number, image in reversed(list(enumerate(report.per_image, 1))):
        if image.began_s is None:
            raise InputError("trace", "this report does not say when its images began; expected began_s in per_image")
        if image.finished_at == "edge":
            mine = list(_here(number, image, first, hops[0]))
        else:
            legs = [_Leg(hop, place, span) for hop, place, span in zip(hops, places, _spans(image), strict=False)]
            mine = list(_planned(number, image, first, legs, next_begins))
        for place in places:
            next_begins[place] = min((one.begin_s for one in mine if one.track == place), default=next_begins[place])
        found += mine
    return sorted((one for one in found if one.length_s > _TOUCHING_S), key=lambda one: (one.begin_s, one.image))


class _Leg(NamedTuple):
    """A hop, the place that it leads to, and what they took of an image."""

    hop: str
    place: str
    span: Span


def _spans(image: ImageResult) -> list[Span]:
    """What each hop and the place behind it took."""
    return [Span(t_tx_s=image.t_tx_s, t_server_s=image.t_server_s, t_queue_s=image.t_server_queue_s, t_decode_s=image.t_decode_s,
                 t_encode_s=image.t_server_encode_s, sent_bytes=image.sent_bytes), *image.beyond]  # fmt: skip


def _planned(number: int, image: ImageResult, first: str, legs: Sequence[_Leg],
             next_begins: Mapping[str, float]) -> Iterator[Slice]:  # fmt: skip
    """Head, codec, queue; a leg's hop, queue and place, with its codec before and after; the hops back."""
    head, encode = _head(number, image, first, 0.0)
    queue = Slice(QUEUE, "waits to be sent", encode.end_s, image.t_queue_s, number)
    yield from (head, encode, queue)
    end_s, back = queue.end_s, list[tuple[str, float]]()
    for leg in legs:
        span, is_last = leg.span, leg is legs[-1]
        latest = min(end_s + span.t_tx_s + span.t_queue_s, next_begins[leg.place] - span.t_server_s)
        begin_s = max(latest, end_s + span.t_queue_s)
        up = Slice(leg.hop, "up", end_s, begin_s - span.t_queue_s - end_s, number)
        where = "the server" if len(next_begins) == 1 else leg.place
        held = Slice(QUEUE, f"waits at {where}", up.end_s, span.t_queue_s, number)
        decode = Slice(leg.place, "decode", begin_s, span.t_decode_s, number)
        part_s = span.t_server_s - span.t_decode_s - span.t_encode_s
        part = Slice(leg.place, "tail" if is_last else "part", decode.end_s, part_s, number)
        again = Slice(leg.place, "encode", part.end_s, span.t_encode_s, number)
        yield from (up, held, decode, part, again)
        end_s = again.end_s
        back.insert(0, (leg.hop, span.t_tx_s - up.length_s))
    for hop, length_s in back:
        yield Slice(hop, "down", end_s, length_s, number)
        end_s += length_s


def _here(number: int, image: ImageResult, first: str, hop: str) -> Iterator[Slice]:
    """Head, codec, the wait for a server that did not answer, loading the tail, the tail."""
    head, encode = _head(number, image, first, image.t_tail_s)
    waiting = Slice(hop, "waits without an answer", encode.end_s, image.t_tx_s, number)
    loading = Slice(QUEUE, "loads the tail", waiting.end_s, image.t_queue_s, number)
    return iter((head, encode, waiting, loading, Slice(first, "tail", loading.end_s, image.t_tail_s, number)))


def _head(number: int, image: ImageResult, first: str, t_tail_s: float) -> tuple[Slice, Slice]:
    """The head, and what encoded its tensors."""
    what = "head" if image.t_tx_s else "whole network"
    head = Slice(first, what, image.began_s or 0.0, image.t_edge_s - image.t_encode_s - t_tail_s, number)
    return head, Slice(first, "encode", head.end_s, image.t_encode_s, number)


def timeline_of(report: RunReport) -> dict[str, Any]:
    """The trace's JSON object: slices and counters of every image, what was out of the ordinary as instants.

    Times are microseconds since the run began. Raises InputError as `slices` does.
    """
    names = tracks(report.plan)
    laid = list(_in_lanes(slices(report), names))
    events = [
        *_metadata({tid for _, tid in laid}, names),
        *(_slice(report, one, tid) for one, tid in laid),
        *_counters(report),
        *({"name": event.event, "cat": "happening", "ph": "i", "s": "p", "pid": _PROCESS, "tid": 0, "ts": event.at_s * _US,
           "args": {"text": event.text}} for event in report.happened),
    ]  # fmt: skip
    network = report.plan.network
    counts = {f"x{p}": n for p, n in enumerate(report.plan.counts[:1] if report.plan.n_places == 2 else report.plan.counts, 1)}
    about = {"network": network.name if network else None, **counts, "images": report.images, "lost": report.lost,
             "retries": report.retries, "fallbacks": report.fallbacks, "pipelined": report.pipelined,
             "started": report.environment.started}  # fmt: skip
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}


def save_timeline(report: RunReport, path: str | os.PathLike[str]) -> None:
    """Write the trace; InputError if there is none, or for another suffix than .json."""
    checked_suffix(path, [".json"])
    write_atomically(path, (json.dumps(timeline_of(report), allow_nan=False, ensure_ascii=False) + "\n").encode())


def _in_lanes(found: Iterable[Slice], names: Sequence[str]) -> Iterator[tuple[Slice, int]]:
    """Each slice and its lane's number: that of the first lane of its track that is free by then."""
    ends: dict[str, list[float]] = {track: [] for track in names}
    for one in found:
        lanes = ends[one.track]
        free = next((k for k, end in enumerate(lanes) if end <= one.begin_s + _TOUCHING_S), len(lanes))
        lanes[free : free + 1] = [one.end_s]
        yield one, _LANES * names.index(one.track) + free + 1


def _metadata(tids: Iterable[int], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    common = {"ph": "M", "pid": _PROCESS, "ts": 0}
    yield {"name": "process_name", "tid": 0, "args": {"name": "lmos run"}, **common}
    for tid in sorted(tids):
        track, lane = names[tid // _LANES], tid % _LANES
        yield {"name": "thread_name", "tid": tid, "args": {"name": track if lane == 1 else f"{track} {lane}"}, **common}
        yield {"name": "thread_sort_index", "tid": tid, "args": {"sort_index": tid}, **common}


def _slice(report: RunReport, one: Slice, tid: int) -> dict[str, Any]:
    image = report.per_image[one.image - 1]
    about = {"image": one.image, "file": image.file, "class": image.class_, "class_name": image.class_name,
             "retries": image.retries, "finished_at": image.finished_at, "reason": image.reason}  # fmt: skip
    return {"name": one.what, "cat": one.track, "ph": "X", "pid": _PROCESS, "tid": tid, "ts": one.begin_s * _US,
            "dur": one.length_s * _US, "args": {name: value for name, value in about.items() if value is not None}}  # fmt: skip


def _counters(report: RunReport) -> Iterator[dict[str, Any]]:
    """Images under way, images a second, and what the link gave, whenever an image begins or ends."""
    begins = [image.began_s or 0.0 for image in report.per_image]
    ends = [begin + image.latency_s for begin, image in zip(begins, report.per_image, strict=True)]
    under_way = 0
    for at_s, step in sorted([*((begin, 1) for begin in begins), *((end, -1) for end in ends)]):
        under_way += step
        yield _counter("images under way", at_s, under_way)
    ended = sorted(ends)
    for k, at_s in enumerate(ended):
        since_s, count = (ended[k - _WINDOW], _WINDOW) if k >= _WINDOW else (0.0, k + 1)
        if at_s > since_s:
            yield _counter("goodput (images/s)", at_s, count / (at_s - since_s))
    yield from _bandwidth(report, ends)


def _bandwidth(report: RunReport, ends: Sequence[float]) -> Iterator[dict[str, Any]]:
    plan = report.plan
    for image, end in zip(report.per_image, ends, strict=True):
        if image.finished_at == "edge":
            continue
        for h, (span, crossing) in enumerate(zip(_spans(image), plan.hops, strict=False), 1):
            if span.t_tx_s > 0:
                sent_bytes = sum(tensor.bytes for tensor in crossing) if span.sent_bytes is None else span.sent_bytes
                over = "crossing over link time" if plan.n_places == 2 else f"hop {h}: crossing over its time"
                yield _counter(f"{over} (Mbit/s)", end, 8e-6 * sent_bytes / span.t_tx_s)


def _counter(name: str, at_s: float, value: float) -> dict[str, Any]:
    return {"name": name, "ph": "C", "pid": _PROCESS, "tid": 0, "ts": at_s * _US, "args": {"value": value}}
