"""`RunReport`: the measurements of a run, with the predictions of its plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny

from lmos_opt.files import LARGEST_NUMBER, Amount, Count, Document, Flag, Name, Number, Rate, Record, Text, Value
from lmos_opt.imports import late
from lmos_opt.plan import Plan
from lmos_opt.plans.predicted import stage_times_of
from lmos_opt.plans.promise import Kept
from lmos_opt.preprocessing import Preprocessing
from lmos_opt.units import counted, format_size, format_time
from measurement.medians import median_of
from runner import tasks
from runner.machine import Machine
from runner.wire.protocol.messages import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE_MEMORY = "edge_memory_bytes"
MOST_SHOWN = 48
"""Pictures in a report, at most."""


class Spread(Record):
    """Mean, median and 95th percentile (linear between neighbours) over the images of a run. `low` to `high` is the median's 95 %
    confidence interval, by order statistics (`measurement.medians`)."""

    mean: Amount
    p50: Amount
    p95: Amount
    low: Amount | None = None
    high: Amount | None = None


class ImageResult(Record):
    """One image: its class (the largest output), and its stages. If the result is no classification, the class is None, and
    `returns` says what the result is. `result` is what the network's task (`runner.tasks`) reads of the outputs (None: not read).

    `t_edge_s` is the time of the head, with `t_encode_s` in it under a codec. `t_server_s` is the time of the tail as the server
    reports it, with `t_decode_s` in it. `t_tx_s` is the time to send `sent_bytes` and to receive `received_bytes`, with all faults.
    `t_queue_s` is the wait before sending, `t_server_queue_s` the wait at the server until the tail began. `latency_s` is all of
    them, from the tensor in memory to the class. The image began `began_s` after the run did, and was sent again `retries` times.
    If it was `finished_at` the edge, `reason` says why, `t_edge_s` includes the time of its tail (`t_tail_s`), and `t_tx_s` is the
    time that the edge waited for the server. In a run that adapts, `cut` is the number of its edge layers. Over more than two
    places, `t_server_s` is of the second place, with `t_server_encode_s` in it, `t_tx_s` of the first hop, and `beyond` has the
    times of each further hop and place.
    """

    model_config = ConfigDict(populate_by_name=True)

    file: Text
    class_: Count | None = Field(alias="class")
    class_name: Text | None
    returns: Text | None = None
    t_edge_s: Amount
    t_tx_s: Amount
    t_server_s: Amount
    latency_s: Amount
    t_queue_s: Amount = 0.0
    t_server_queue_s: Amount = 0.0
    began_s: Amount | None = None
    t_tail_s: Amount = 0.0
    t_encode_s: Amount = 0.0
    t_decode_s: Amount = 0.0
    t_server_encode_s: Amount = 0.0
    sent_bytes: Count | None = None
    received_bytes: Count | None = None
    retries: Count = 0
    finished_at: Literal["plan", "edge"] = "plan"
    reason: Text | None = None
    cut: Count | None = None
    beyond: tuple[Span, ...] = ()
    result: Annotated[SerializeAsAny[tasks.Result], BeforeValidator(tasks.parse)] | None = None

    def times(self, n_places: int) -> tuple[float, ...]:
        """The time (s) of each place and hop, in the order in which data passes: 0 for those that the image did not reach."""
        ways = [self.t_edge_s, self.t_tx_s, self.t_server_s, *(t for span in self.beyond for t in (span.t_tx_s, span.t_server_s))]
        return tuple([*ways, *[0.0] * (2 * n_places)][: 2 * n_places - 1])

    @property
    def in_words(self) -> str:
        """The result in words: the class's name or number, or what the network returned."""
        return self.class_name or self.returns or ("" if self.class_ is None else str(self.class_))


class CutChange(Record):
    """A change of the cut: from the image `at_image` on, `at_s` after the run began, `x1_after` layers ran at the edge instead of
    `x1_before`, for the `reason`. The predictions are for both cuts at the estimated bandwidth of the `hop`. Over more than two
    places, `counts_before` and `counts_after` are the numbers of layers of each place."""

    at_image: Count
    at_s: Amount
    x1_before: Count
    x1_after: Count
    bandwidth_bytes_per_s: Rate
    predicted_before_s: Amount
    predicted_after_s: Amount
    reason: Text
    hop: Count = 1
    counts_before: tuple[Count, ...] = ()
    counts_after: tuple[Count, ...] = ()


class Adapted(Record):
    """What a run could adapt to: the rule of its policy, and the cuts by their number of edge layers, the plan's own first (over
    more than two places, `counts` has the number of layers of each place). `probes` and `probed_bytes` were sent to measure
    the link."""

    rule: Text
    cuts: tuple[Count, ...]
    counts: tuple[tuple[Count, ...], ...] = ()
    probes: Count
    probed_bytes: Count


class FailedImage(Record):
    """An image without a result, and why."""

    file: Text
    reason: Text
    retries: Count


class ShownPicture(Record):
    """A picture of the run as the network saw it, made smaller: a JPEG as base64."""

    file: Text
    picture: tasks.Png


class SkippedPicture(Record):
    """A file of the folder that cannot be used as a picture, and why. It is not counted among the run's images."""

    file: Text
    reason: Text


class Happening(Record):
    """An unusual event, `at_s` after the run began: its name as in `runner.watching.events`, and one line of text."""

    at_s: Amount
    event: Name
    text: Text


class Compared(Record):
    """Pictures that were sent again after the run, with the codec and without it: for how many the class is the same (None: the
    network does not classify), and how much outputs differ at most."""

    pictures: Count
    top1_agree: Count | None
    max_logit_difference: Amount


class CodecReport(Record):
    """The effect of the plan's codecs: bytes per image over all hops, the times of encoding and decoding at all places, and the
    effect on outputs, if that was measured (`compared`).

    The times are parts of the places' times. `estimated_loss` is the plan's `fidelity_loss`, if it has one.
    """

    codec: Text
    raw_bytes: Count
    sent_bytes: Spread
    ratio: Amount
    t_encode_s: Spread
    t_decode_s: Spread
    compared: Compared | None = None
    estimated_loss: Amount | None = None

    @property
    def in_words(self) -> str:
        """All of it in half a sentence."""
        text = (f"{self.codec} sent {format_size(self.sent_bytes.mean)} of {format_size(self.raw_bytes)} an image "
                f"({self.ratio:.3f}), {format_time(self.t_encode_s.p50)} to encode, {format_time(self.t_decode_s.p50)} to decode")
        if self.estimated_loss is not None:
            text += f", loss estimated at {self.estimated_loss:.2%}"
        if self.compared is None:
            return text
        agree = self.compared.top1_agree
        same = "" if agree is None else f"class as without it on {agree} of {counted(self.compared.pictures, 'picture')}, "
        return (f"{text}, {same}outputs off by {self.compared.max_logit_difference:.3g} at most")


class Environment(Record):
    """Under which conditions a run took place.

    `weights` and `images` describe them in a sentence. `seed` is the seed of seeded weights, `shape` the emulated link. `server`
    is None if all layers ran at the edge; `beyond` are the machines of the places after the server. `preprocessing` says how
    pictures became inputs, if there were pictures.
    """

    started: Text
    edge: Machine
    server: Machine | None
    server_address: Text | None
    shape: Text | None
    weights: Text
    seed: Count | None
    images: Text
    preprocessing: Preprocessing | None = None
    beyond: tuple[Machine, ...] = ()


class RunReport(Document):
    """Written by `lmos run`: the plan, the predicted and the measured stages, and every image.

    `measured` stages are those of the images that went as planned (of all images, if none did); `edge_memory_bytes` is the largest
    private memory of the edge's process while the head runs, without the program itself (see `runner/places/head.py`).
    `lost` is the number of images in `failed`, `retries` how often an image was sent again, `fallbacks` how many were finished at
    the edge. If the run was cut short, `complete` is false and `reason` says why. `elapsed_s` is the time of the whole run without
    its warm-up, and `goodput_images_per_s` the number of images with a result divided by it.
    `errors` says for each stage how far off its prediction was, relative to the measured median: 0.1 is a tenth too high.
    `happened` lists unusual events: connections lost and made again, questions sent again, changes of the cut, images that failed.
    `skipped` lists files of the folder that cannot be used as pictures. `shown` are the first pictures, for the page. `codec` is
    present if tensors were encoded. If the cut could change, `adapted` says between which cuts, and `adaptation` lists the changes;
    `predicted` remains the prediction for the plan's own cut, and `measured` is of all images.
    `promise` says how often the plan's deadline was kept, if it has one; lost images did not keep it.
    """

    SCHEMA: ClassVar[str] = "lmos.report/1"
    schema_: Literal["lmos.report/1"] = Field("lmos.report/1", alias="schema")
    plan: Plan
    images: Count
    predicted: dict[Name, Value]
    measured: dict[Name, Spread]
    errors: dict[Name, Number] = Field(default_factory=dict)
    per_image: tuple[ImageResult, ...]
    lost: Count
    retries: Count
    fallbacks: Count
    environment: Environment
    failed: tuple[FailedImage, ...] = ()
    skipped: tuple[SkippedPicture, ...] = ()
    complete: Flag = True
    reason: Text | None = None
    pipelined: Flag = False
    elapsed_s: Amount | None = None
    goodput_images_per_s: Amount | None = None
    happened: tuple[Happening, ...] = ()
    codec: CodecReport | None = None
    adapted: Adapted | None = None
    adaptation: tuple[CutChange, ...] = ()
    promise: Kept | None = None
    shown: Annotated[tuple[ShownPicture, ...], Field(max_length=MOST_SHOWN)] = ()

    def plot(self, ax: Axes | None = None, *, kind: str | None = None) -> Axes:
        """Draw the run as `stages` (measured beside predicted) or as `gantt` (each image over time). Without a `kind` a
        pipelined run is drawn as `gantt`, any other as `stages`. Returns the matplotlib Axes."""
        axes: Axes = late("runner.watching.plots:draw_report")(self, ax, kind)
        return axes


@dataclass(frozen=True)
class Outcome:
    """What a run gave: the images with a result and those without, the pictures left out, some measurements of the edge's
    memory (B), why it was cut short (None: it was not), its time without the warm-up, unusual events, the effect of its codec, its
    changes of the cut if it adapted, and the first pictures."""

    results: Sequence[ImageResult]
    edge_memory: Sequence[int]
    failed: Sequence[FailedImage] = ()
    skipped: Sequence[SkippedPicture] = ()
    reason: str | None = None
    pipelined: bool = False
    elapsed_s: float | None = None
    happened: Sequence[Happening] = ()
    compared: Compared | None = None
    adapted: Adapted | None = None
    adaptation: Sequence[CutChange] = ()
    shown: Sequence[ShownPicture] = ()


def make_report(plan: Plan, outcome: Outcome, environment: Environment) -> RunReport:
    """The report of a run. Without any result, `measured` has the memory alone."""
    results, failed, elapsed_s = outcome.results, outcome.failed, outcome.elapsed_s
    planned = [result for result in results if result.finished_at == "plan"] or results
    times = zip(*(result.times(plan.n_places) for result in planned), strict=True)
    measured = dict(zip(stage_times_of(plan.n_places), map(list, times), strict=bool(planned)))
    measured |= {"latency_s": [result.latency_s for result in planned]}
    spreads = {stage: _spread(values) for stage, values in {**measured, EDGE_MEMORY: outcome.edge_memory}.items() if values}
    return RunReport(
        schema="lmos.report/1",
        plan=plan,
        images=len(results) + len(failed),
        predicted=plan.predicted,
        measured=spreads,
        errors=relative_errors(plan.predicted, spreads),
        per_image=tuple(results),
        lost=len(failed),
        retries=sum(image.retries for image in results) + sum(image.retries for image in failed),
        fallbacks=sum(result.finished_at == "edge" for result in results),
        environment=environment,
        failed=tuple(failed),
        skipped=tuple(outcome.skipped),
        complete=outcome.reason is None,
        reason=outcome.reason,
        pipelined=outcome.pipelined,
        elapsed_s=elapsed_s,
        goodput_images_per_s=len(results) / elapsed_s if elapsed_s else None,
        happened=tuple(outcome.happened),
        codec=_codec_report(plan, results, outcome.compared),
        adapted=outcome.adapted,
        adaptation=tuple(outcome.adaptation),
        promise=plan.promise and plan.promise.kept_in([result.latency_s for result in results], len(failed)),
        shown=tuple(outcome.shown),
    )


def _codec_report(plan: Plan, results: Sequence[ImageResult], compared: Compared | None) -> CodecReport | None:
    coded = [result for result in results if result.finished_at == "plan" and result.sent_bytes is not None]
    raw_bytes = sum(tensor.bytes for hop in plan.hops for tensor in hop)
    if not plan.encodes or not coded or not raw_bytes:
        return None
    sent = _spread([sum(n or 0 for n in (result.sent_bytes, *(span.sent_bytes for span in result.beyond))) for result in coded])
    encode = [fsum([result.t_encode_s, result.t_server_encode_s, *(span.t_encode_s for span in result.beyond)]) for result in coded]
    decode = [fsum([result.t_decode_s, *(span.t_decode_s for span in result.beyond)]) for result in coded]
    return CodecReport(codec=plan.codec_words, raw_bytes=raw_bytes, sent_bytes=sent, ratio=sent.mean / raw_bytes,
                       t_encode_s=_spread(encode), t_decode_s=_spread(decode), compared=compared,
                       estimated_loss=plan.predicted.get("fidelity_loss"))  # fmt: skip


def relative_errors(predicted: Mapping[str, float], measured: Mapping[str, Spread]) -> dict[str, float]:
    """The error of each prediction, as a share of the measured median; left out if the median is 0."""
    return {stage: float(predicted[stage]) / spread.p50 - 1 for stage, spread in measured.items()
            if stage in predicted and spread.p50 > 0 and float(predicted[stage]) / spread.p50 < LARGEST_NUMBER}  # fmt: skip


STAGE_COLUMNS = ("stage", "predicted", "range", "measured median", "95 % interval", "p95", "error")
"""The columns of `stage_rows`. Without measurements only the first three are used."""


def decided(plan: Plan) -> str:
    """For people, the values of the user's own variables: those that are not 0."""
    found = [f"{name} = {value:.6g}" for name, value in (plan.solution or {}).items() if value]
    zeros = len(plan.solution or {})
    return ", ".join(found) or ("0" if zeros == 1 else f"all {zeros} are 0")


def memory_note(plan: Plan) -> str | None:
    """For people, why a prediction of the edge's memory is far off: not where the plan's model is meant to come true."""
    if plan.setting.memory_model != "sum":
        return None
    return "edge memory: predicted by sum, the paper's count, as if every output were kept; peak predicts what a head takes"


def stage_names(plan: Plan) -> dict[str, str]:
    """For people, what the stages are called, by their keys."""
    names = plan.setting.place_names
    ways = ["edge", "link", "server"] if plan.n_places == 2 else [
        word for p, name in enumerate(names, 1) for word in (f"place {p}, {name}", f"hop {p}")][:-1]  # fmt: skip
    return dict(zip(plan.stages, [*ways, "whole image", "edge memory"], strict=True))


def stage_rows(plan: Plan, report: RunReport | None) -> list[list[str]]:
    """A table for people with a row for each stage: its key, and the prediction with its interval.

    With a report also: the measured median with its interval, the 95th percentile, and the error of the prediction; empty cells
    for what was not measured.
    """
    rows = []
    for key in plan.stages:
        show = format_size if key.endswith("bytes") else format_time
        predicted = show(float(plan.predicted[key])) if key in plan.predicted else "not predicted"
        row = [key, predicted, _between(plan.predicted_interval.get(key), show)]
        spread = report.measured.get(key) if report is not None else None
        if spread is not None and report is not None:
            error = (report.errors or relative_errors(report.predicted, report.measured)).get(key)
            ends = None if spread.low is None or spread.high is None else (spread.low, spread.high)
            row += [show(spread.p50), _between(ends, show), show(spread.p95), "" if error is None else f"{100 * error:+.1f} %"]
        elif report is not None:
            row += [""] * 4
        rows.append(row)
    return rows


def _between(ends: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    return "" if ends is None else f"{show(ends[0])} to {show(ends[1])}"


def _spread(values: Sequence[float]) -> Spread:
    p50, p95 = np.percentile(values, [50, 95])
    found = median_of(values)
    return Spread(mean=float(np.mean(values)), p50=float(p50), p95=float(p95), low=found.low, high=found.high)
