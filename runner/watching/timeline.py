"""A run as a trace: where the time of every image went, for Perfetto (ui.perfetto.dev) or chrome://tracing.

Made from a report alone, so it can be had while a run is written down or years later. The format is the Trace Event Format's
JSON object: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmos_opt.errors import InputError
from lmos_opt.files import checked_suffix, write_atomically
from runner.watching.report import ImageResult, RunReport

TRACKS = ("edge", "queue", "link", "server")
"""What an image passes through, from the top. Where several are in one at once, it has further lanes (`link 2`)."""
_LANES = 1000
"""Numbers of lanes that a track may have: the first of TRACKS has 1 to 999 (`tid` in the file)."""
_PROCESS = 1
_US = 1e6
_TOUCHING_S = 1e-9
"""Sums of the same seconds in another order differ by as much: two slices that meet do not overlap."""
_WINDOW = 10
"""Images over which the goodput is taken."""


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

    The server's span is known, but not where in the exchange it lay: it is drawn as late as the answers allow, since a tail
    computes one image after another and its answers are small.
    Raises InputError where the report does not say when its images began.
    """
    found: list[Slice] = []
    next_begins = math.inf
    for number, image in reversed(list(enumerate(report.per_image, 1))):
        if image.began_s is None:
            raise InputError("trace", "this report does not say when its images began; expected began_s in per_image")
        mine = list(_here(number, image) if image.finished_at == "edge" else _planned(number, image, next_begins))
        next_begins = min((one.begin_s for one in mine if one.track == "server"), default=next_begins)
        found += mine
    return sorted((one for one in found if one.length_s > 0), key=lambda one: (one.begin_s, one.image))


def _planned(number: int, image: ImageResult, next_begins: float) -> Iterator[Slice]:
    """Head, codec, queue, link, queue at the server, codec, tail, link."""
    head, encode = _head(number, image, 0.0)
    queue = Slice("queue", "waits to be sent", encode.end_s, image.t_queue_s, number)
    latest = queue.end_s + image.t_tx_s + image.t_server_queue_s
    begin_s = max(min(latest, next_begins - image.t_server_s), queue.end_s + image.t_server_queue_s)
    decode = Slice("server", "decode", begin_s, image.t_decode_s, number)
    tail = Slice("server", "tail", decode.end_s, image.t_server_s - image.t_decode_s, number)
    up = Slice("link", "up", queue.end_s, begin_s - image.t_server_queue_s - queue.end_s, number)
    held = Slice("queue", "waits at the server", up.end_s, image.t_server_queue_s, number)
    down = Slice("link", "down", tail.end_s, image.t_tx_s - up.length_s, number)
    return iter((head, encode, queue, up, held, decode, tail, down))


def _here(number: int, image: ImageResult) -> Iterator[Slice]:
    """Head, codec, the wait for a server that did not answer, loading the tail, the tail."""
    head, encode = _head(number, image, image.t_tail_s)
    waiting = Slice("link", "waits without an answer", encode.end_s, image.t_tx_s, number)
    loading = Slice("queue", "loads the tail", waiting.end_s, image.t_queue_s, number)
    return iter((head, encode, waiting, loading, Slice("edge", "tail", loading.end_s, image.t_tail_s, number)))


def _head(number: int, image: ImageResult, t_tail_s: float) -> tuple[Slice, Slice]:
    """The head, and what encoded its tensors."""
    what = "head" if image.t_tx_s else "whole network"
    head = Slice("edge", what, image.began_s or 0.0, image.t_edge_s - image.t_encode_s - t_tail_s, number)
    return head, Slice("edge", "encode", head.end_s, image.t_encode_s, number)


def timeline_of(report: RunReport) -> dict[str, Any]:
    """The trace's JSON object: slices and counters of every image, what was out of the ordinary as instants.

    Times are microseconds since the run began. Raises InputError as `slices` does.
    """
    laid = list(_in_lanes(slices(report)))
    events = [
        *_metadata({tid for _, tid in laid}),
        *(_slice(report, one, tid) for one, tid in laid),
        *_counters(report),
        *({"name": event.event, "cat": "happening", "ph": "i", "s": "p", "pid": _PROCESS, "tid": 0, "ts": event.at_s * _US,
           "args": {"text": event.text}} for event in report.happened),
    ]  # fmt: skip
    network = report.plan.network
    about = {"network": network.name if network else None, "x1": report.plan.x1, "images": report.images, "lost": report.lost,
             "retries": report.retries, "fallbacks": report.fallbacks, "pipelined": report.pipelined,
             "started": report.environment.started}  # fmt: skip
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}


def save_timeline(report: RunReport, path: str | os.PathLike[str]) -> None:
    """Write the trace; InputError where there is none, or for another suffix than .json."""
    checked_suffix(path, [".json"])
    write_atomically(path, (json.dumps(timeline_of(report), allow_nan=False, ensure_ascii=False) + "\n").encode())


def _in_lanes(found: Iterable[Slice]) -> Iterator[tuple[Slice, int]]:
    """Each slice and its lane's number: that of the first lane of its track that is free by then."""
    ends: dict[str, list[float]] = {track: [] for track in TRACKS}
    for one in found:
        lanes = ends[one.track]
        free = next((k for k, end in enumerate(lanes) if end <= one.begin_s + _TOUCHING_S), len(lanes))
        lanes[free : free + 1] = [one.end_s]
        yield one, _LANES * TRACKS.index(one.track) + free + 1


def _metadata(tids: Iterable[int]) -> Iterator[dict[str, Any]]:
    common = {"ph": "M", "pid": _PROCESS, "ts": 0}
    yield {"name": "process_name", "tid": 0, "args": {"name": "lmos run"}, **common}
    for tid in sorted(tids):
        track, lane = TRACKS[tid // _LANES], tid % _LANES
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
    crossing_bytes = sum(tensor.bytes for tensor in report.plan.crossing)
    for image, end in zip(report.per_image, ends, strict=True):
        if image.finished_at == "plan" and image.t_tx_s > 0:
            sent_bytes = crossing_bytes if image.sent_bytes is None else image.sent_bytes
            yield _counter("crossing over link time (Mbit/s)", end, 8e-6 * sent_bytes / image.t_tx_s)


def _counter(name: str, at_s: float, value: float) -> dict[str, Any]:
    return {"name": name, "ph": "C", "pid": _PROCESS, "tid": 0, "ts": at_s * _US, "args": {"value": value}}
