"""A recorded link, emulated on this machine: the shape of a trace, and the text that asks for a shape or a trace."""

from __future__ import annotations

from lmos_opt.errors import InputError
from lmos_opt.traces.loading import bundled_traces, is_trace, load_trace
from lmos_opt.traces.record import LinkTrace
from lmos_opt.units import parse_delay
from runner.wire.shaping import Shape, parse_shape


def shape_of(trace: LinkTrace, delay_s: float | None = None) -> Shape:
    """The emulated link of a trace. In a longer run the trace begins again. `delay_s` (s) replaces its round trips.

    An unknown round trip counts as 0. A round trip delays messages in the emulated direction, as a link's fixed cost does in the
    integer program.
    """
    first, *changes = zip(trace.seconds, trace.rate_bytes_per_s, strict=True)
    delays = list(zip(trace.seconds, trace.rtt_s or (), strict=True)) if trace.rtt_s and delay_s is None else []
    return Shape(first[1], delays[0][1] if delays else delay_s or 0.0, tuple(changes), tuple(delays[1:]), trace.ends_s, trace.name)


def link_shape(text: str) -> Shape:
    """The shape that text asks for: rates as `parse_shape`, or a trace, `TRACE[@PART][,DELAY]`. InputError for anything else."""
    name, comma, delay = text.rpartition(",")
    if comma and is_trace(name):
        return shape_of(load_trace(name), parse_delay(delay.strip(), "shape"))
    if is_trace(text):
        return shape_of(load_trace(text))
    try:
        return parse_shape(text)
    except InputError as error:
        if text[:1].isdigit() or not text.strip():
            raise
        raise InputError("shape", f"{text!r:.80} is neither a rate such as 10Mbps,20ms nor a trace (a file, or one of "
                                  f"{', '.join(bundled_traces())}): {error.reason}") from None  # fmt: skip
