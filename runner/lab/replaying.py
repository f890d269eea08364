"""A recorded link on this machine: the shape that a trace stands for, and what people write for either."""

from __future__ import annotations

from lmos_opt.errors import InputError
from lmos_opt.traces.loading import bundled_traces, is_trace, load_trace
from lmos_opt.traces.record import LinkTrace
from lmos_opt.units import parse_time
from runner.wire.shaping import Shape, parse_shape


def shape_of(trace: LinkTrace, delay_s: float | None = None) -> Shape:
    """The link of a trace, which begins again where a run is longer; `delay_s` takes the place of its round trips.

    A round trip that is not known is 0. It delays messages in the direction that is shaped, as a link's fixed cost in the program.
    """
    first, *changes = zip(trace.seconds, trace.rate_bytes_per_s, strict=True)
    delays = list(zip(trace.seconds, trace.rtt_s or (), strict=True)) if trace.rtt_s and delay_s is None else []
    return Shape(first[1], delays[0][1] if delays else delay_s or 0.0, tuple(changes), tuple(delays[1:]), trace.ends_s, trace.name)


def link_shape(text: str) -> Shape:
    """The shape that text asks for: rates as `parse_shape`, or a trace, `TRACE[@PART][,DELAY]`. InputError for anything else."""
    name, comma, delay = text.rpartition(",")
    if comma and is_trace(name):
        return shape_of(load_trace(name), parse_time(delay.strip(), "shape"))
    if is_trace(text):
        return shape_of(load_trace(text))
    try:
        return parse_shape(text)
    except InputError as error:
        if text[:1].isdigit() or not text.strip():
            raise
        raise InputError("shape", f"{text!r:.80} is neither a rate such as 10Mbps,20ms nor a trace (a file, or one of "
                                  f"{', '.join(bundled_traces())}): {error.reason}") from None  # fmt: skip
