"""`RunReport`: what a run measured, beside what its plan predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from lmos_opt.files import Amount, Count, Document, Name, Number, Record, Text
from lmos_opt.plan import STAGES, Plan
from runner.machine import Machine

EDGE_MEMORY = "edge_memory_bytes"


class Spread(Record):
    """Mean, median and 95th percentile (linear between neighbours) over the images of a run."""

    mean: Amount
    p50: Amount
    p95: Amount


class ImageResult(Record):
    """One image: its class (the largest output), and its stages.

    `t_edge_s` is the head's compute, `t_server_s` the tail's as the server reports it, `t_tx_s` the rest of the
    exchange, `latency_s` all of it from the tensor in memory to the class.
    """

    model_config = ConfigDict(populate_by_name=True)

    file: Text
    class_: Count = Field(alias="class")
    class_name: Text | None
    t_edge_s: Amount
    t_tx_s: Amount
    t_server_s: Amount
    latency_s: Amount


class Environment(Record):
    """Under which conditions a run took place.

    `weights` and `images` say in a sentence what they were, `seed` is that of seeded weights, `shape` the link's
    emulation, `server` None where everything ran at the edge.
    """

    started: Text
    edge: Machine
    server: Machine | None
    server_address: Text | None
    shape: Text | None
    weights: Text
    seed: Count | None
    images: Text


class RunReport(Document):
    """Written by `lmos run`: the plan, the predicted and the measured stages, and every image.

    Measured `edge_memory_bytes` is the most resident memory while the head runs, above the interpreter's own.
    `lost` images got no class, `retries` were sent again, `fallbacks` were finished at the edge.
    """

    SCHEMA: ClassVar[str] = "lmos.report/1"
    schema_: Literal["lmos.report/1"] = Field("lmos.report/1", alias="schema")
    plan: Plan
    images: Count
    predicted: dict[Name, Number]
    measured: dict[Name, Spread]
    per_image: Annotated[tuple[ImageResult, ...], Field(min_length=1)]
    lost: Count
    retries: Count
    fallbacks: Count
    environment: Environment


def make_report(
    plan: Plan, results: Sequence[ImageResult], edge_memory: Sequence[int], environment: Environment
) -> RunReport:
    """The report of a run in which every image got its class; `edge_memory` holds some measurements (B)."""
    measured = {stage: [getattr(result, stage) for result in results] for stage in STAGES if stage != EDGE_MEMORY}
    return RunReport(
        schema="lmos.report/1",
        plan=plan,
        images=len(results),
        predicted=plan.predicted,
        measured={stage: _spread(values) for stage, values in {**measured, EDGE_MEMORY: edge_memory}.items()},
        per_image=tuple(results),
        lost=0,
        retries=0,
        fallbacks=0,
        environment=environment,
    )


def _spread(values: Sequence[float]) -> Spread:
    p50, p95 = np.percentile(values, [50, 95])
    return Spread(mean=float(np.mean(values)), p50=float(p50), p95=float(p95))
