"""The true loss of a split: all that crosses does so under its codec, over inputs that no loss was measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from lmos_opt.codec_sizes import RAW, Calibration
from lmos_opt.errors import InputError
from lmos_opt.files import Amount, Document, Text
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.plans.proportion import wilson
from lmos_opt.units import counted
from measurement.codec_choice import Choice, named
from measurement.tracing import TracedNetwork
from measurement.tracing.calls import Example, call
from runner.images.labelled import Labelled
from runner.lab.fidelity.judging import Expected, Outputs, Tally, criterion_of, mean
from runner.lab.fidelity.losses import Share
from runner.parts.network import flat_outputs
from runner.parts.part import Crossing, Head, Part
from runner.parts.split import split_along
from runner.wire.tensors import pack, unpack_read


class LossReport(Document):
    """How much of the network's result a plan's split loses: `measured` on the inputs that `on` describes, and `estimated`, the sum
    of the losses of its tensors one by one (None: the plan has no estimate).

    `low` to `high` is the 95 % confidence interval of the true loss (Wilson's; None if losses are not shares of inputs).
    `error` is how far outputs are off, relative to their length (the mean). `right` is the share of inputs that the split
    classifies right (None: right classes are not known); `on.right` is that share for the whole network. `raw_bytes` and
    `sent_bytes` are the bytes that cross for an input, without and with codecs (means).
    """

    SCHEMA: ClassVar[str] = "lmos.fidelity/1"
    schema_: Literal["lmos.fidelity/1"] = Field("lmos.fidelity/1", alias="schema")
    network: Text
    codec: Text
    counts: tuple[int, ...]
    estimated: Amount | None
    measured: Amount
    low: Amount | None
    high: Amount | None
    error: Amount
    right: Amount | None
    raw_bytes: Amount
    sent_bytes: Amount
    on: Calibration
    estimated_on: Calibration | None


@dataclass(frozen=True)
class CodedSplit:
    """A network in parts, between which tensors go under codecs."""

    parts: Sequence[Part]
    codec: Choice

    @torch.inference_mode()
    def run(self, example: Example | Any) -> tuple[Outputs, int, int]:
        """What it makes of an input, and the bytes that crossed all hops: as they are, and as they were sent."""
        head, *later = self.parts
        assert isinstance(head, Head)
        value, raw, sent = call(head, example), 0, 0
        for part in later:
            assert not isinstance(part, Head)
            headers, pieces = pack(value, self.codec, value.encoded)
            raw += sum(header.bytes for header in headers)
            sent += sum(header.bytes if header.encoded_bytes is None else header.encoded_bytes for header in headers)
            tensors, encoded = unpack_read(headers, memoryview(bytearray(b"".join(pieces))), self.codec, part.incoming.read)
            value = part(Crossing(tensors, value.scalars, value.kept, encoded))
        return flat_outputs(value), raw, sent


def measure_split(plan: Plan, traced: TracedNetwork, inputs: Labelled, share: Share,
                  tell: Callable[[str], None] = lambda _: None) -> LossReport:  # fmt: skip
    """The loss of the plan's split over a `share` of the inputs. `traced` is the plan's network; nothing is sent over a link.

    `tell` is called with a line about each input. Ctrl-C ends the measuring after the inputs so far, and the record says so.
    Raises InputError for a plan made from an instance file, or a codec that cannot be used with the network.
    """
    network = check_runnable(plan, "plan")
    coded = CodedSplit(split_along(traced, plan.edge_layers, plan.later_layers),
                       named(plan.codec, plan.codecs).for_network(network, network.input))  # fmt: skip
    plain = replace(coded, codec=named(RAW, {}))
    numbers, tally = share.of(inputs), None
    whole, raw, sent = list[bool](), list[float](), list[float]()
    try:
        for k in numbers:
            tell(f"input {len(whole) + 1} of {len(numbers)}")
            example = inputs.images.load(k)
            expected = Expected(plain.run(example)[0], None if inputs.right is None else inputs.right[k])
            outputs, raw_bytes, sent_bytes = coded.run(example)
            tally = tally or Tally(criterion_of(expected))
            tally.add(expected, outputs)
            whole.append(expected.is_right)
            raw.append(raw_bytes)
            sent.append(sent_bytes)
    except KeyboardInterrupt:
        if not whole:
            raise
    assert tally is not None
    n, knows = len(whole), tally.criterion == "labels"
    low, high = (None, None) if tally.criterion == "outputs" else wilson(round(tally.loss * n), n)
    return LossReport(
        schema="lmos.fidelity/1",
        network=network.name,
        codec=plan.codec_words,
        counts=plan.counts,
        estimated=plan.predicted.get("fidelity_loss"),
        measured=tally.loss,
        low=low,
        high=high,
        error=tally.error,
        right=mean(list(map(float, tally.right))) if knows else None,
        raw_bytes=mean(raw),
        sent_bytes=mean(sent),
        on=Calibration(criterion=tally.criterion, of=inputs.images.what, part=share.part, inputs=n, seed=share.seed,
                       right=mean(list(map(float, whole))) if knows else None, complete=n == len(numbers),
                       weights=network.weights),
        estimated_on=plan.calibration,
    )


def check_apart(plan: Plan, share: Share, inputs: Labelled) -> str | None:
    """Why a measured loss is none on inputs that were held out, in a sentence; None if nothing speaks against it.

    InputError if the plan's losses were measured on another half of the same inputs than the seed would hold out.
    """
    known = plan.calibration
    if known is None or known.of != inputs.images.what:
        return None
    if share.part != "held-out":
        return f"{share.part} has inputs that the estimate was made from: {counted(known.inputs, 'input')} of {known.of}"
    if known.part != "calibration":
        return f"the estimate was made from {known.part} of these inputs"
    if known.seed != share.seed:
        raise InputError("--seed", f"is {share.seed}, but losses were measured on the half that seed {known.seed} gives: under "
                                   "another seed some of these inputs are among them")  # fmt: skip
    return None
