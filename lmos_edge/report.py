"""The report of a run, as `lmos run` writes it (`runner.watching.report.RunReport`, which reads it), without pydantic."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lmos_edge.inputs import Inputs
from lmos_edge.plans import Plan
from lmos_edge.programs import ENGINE, Array, logits_of
from lmos_edge.server import Happened, Server
from lmos_opt import __version__
from lmos_opt.plans.predicted import stage_times_of
from lmos_opt.plans.proportion import wilson
from lmos_opt.processes.writing import write_atomically
from measurement.medians import median_of
from measurement.processor import cpu_name, processors

SCHEMA = "lmos.report/1"
EDGE_MEMORY = "edge_memory_bytes"
MOST_HAPPENINGS, MOST_LIKELY, MOST_LETTERS, MOST_WORDS = 1000, 5, 200, 500
LARGEST_NUMBER = 1e15
_PACKAGES = ("numpy", "onnxruntime", "pillow")


@dataclass
class Outcome:
    """The result of a run.

    `images` and `failed` are the images with and without a result, in the report's form. `memory_bytes` are measurements of the
    head's memory (B). `reason` says why the run ended early (None: it did not). `happened` are the events that are not usual.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    reason: str | None = None
    began_at: float = 0.0
    elapsed_s: float = 0.0
    happened: list[Happened] = field(default_factory=list)


@dataclass(frozen=True)
class Circumstances:
    """Under which conditions a run takes place: when it started, its inputs, threads (None: onnxruntime's own choice), the server
    (None: everything runs here), and the link's shape."""

    started: str
    inputs: Inputs
    threads: int | None
    server: Server | None
    shape: str | None


def make_report(plan: Plan, outcome: Outcome, around: Circumstances) -> dict[str, Any]:
    """The report. Without a single result, nothing is `measured` but the memory."""
    images, failed = outcome.images, outcome.failed
    planned = [image for image in images if image["finished_at"] == "plan"] or images
    names = stage_times_of(plan.n_places)
    times = [_times(image, plan.n_places) for image in planned]
    measured: dict[str, Sequence[float]] = {name: [found[k] for found in times] for k, name in enumerate(names)}
    measured["latency_s"] = [image["latency_s"] for image in planned]
    measured[EDGE_MEMORY] = outcome.memory_bytes
    spreads = {name: spread(values) for name, values in measured.items() if values}
    happened = [one for one in outcome.happened if one.at >= outcome.began_at][:MOST_HAPPENINGS]
    return {
        "schema": SCHEMA,
        "plan": plan.data,
        "images": len(images) + len(failed),
        "predicted": dict(plan.predicted),
        "measured": spreads,
        "errors": _errors(plan.predicted, spreads),
        "per_image": images,
        "lost": len(failed),
        **_promise(plan, [image["latency_s"] for image in images], len(failed)),
        "retries": sum(image["retries"] for image in [*images, *failed]),
        "fallbacks": sum(image["finished_at"] == "edge" for image in images),
        "environment": _environment(plan, around),
        "failed": failed,
        "skipped": [{"file": one.file, "reason": one.reason} for one in around.inputs.skipped],
        "complete": outcome.reason is None,
        "reason": outcome.reason,
        "elapsed_s": outcome.elapsed_s,
        "goodput_images_per_s": len(images) / outcome.elapsed_s if outcome.elapsed_s else None,
        "happened": [{"at_s": one.at - outcome.began_at, "event": one.event, "text": one.text} for one in happened],
        "codec": _codec(plan, images),
    }


def seen(outputs: Mapping[str, Array], labels: Sequence[str]) -> dict[str, Any]:
    """What the network made of an input: its class and the likeliest ones, or else what it returned."""
    logits = logits_of(outputs)
    if logits is None:
        words = ", ".join(f"{name} {array.dtype.name}{list(array.shape)}" for name, array in outputs.items())
        return {"class": None, "class_name": None, "returns": words[:MOST_WORDS], "result": None}
    flat = (np.abs(logits) if np.iscomplexobj(logits) else logits).reshape(-1)
    found = int(flat.argmax()) if flat.size else 0
    named = labels if len(labels) == flat.size else ()
    values = np.nan_to_num(flat.astype(np.float64), nan=-1e300, posinf=1e300, neginf=-1e300)
    with np.errstate(under="ignore"):
        shares = np.exp(values - values.max()) if flat.size else values
        shares = shares / (shares.sum() or 1.0)
    top = [{"index": int(k), "name": named[k][:MOST_LETTERS] if named else f"class {k}", "share": float(shares[k])}
           for k in np.argsort(-values, kind="stable")[:MOST_LIKELY]]  # fmt: skip
    return {"class": found, "class_name": named[found] if named else None, "returns": None,
            "result": {"task": "classes", "top": top}}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, median and 95th percentile, and where the true median lies with 95 % confidence."""
    p50, p95 = np.percentile(values, [50, 95])
    median = median_of(values)
    return {"mean": float(np.mean(values)), "p50": float(p50), "p95": float(p95), "low": median.low, "high": median.high}


def save(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as `write_atomically` does."""
    write_atomically(path, (json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _promise(plan: Plan, latencies_s: Sequence[float], lost: int) -> dict[str, Any]:
    """How often the plan's deadline was kept, if it has one."""
    promise = plan.data.get("promise")
    if promise is None:
        return {}
    n, kept = len(latencies_s) + lost, sum(latency_s <= promise["deadline_s"] for latency_s in latencies_s)
    low, high = wilson(kept, n)
    return {"promise": {**promise, "images": n, "kept": kept, "low": low, "high": high}}


def _times(image: Mapping[str, Any], n_places: int) -> list[float]:
    """What each place and hop took (s), in the order in which data passes: 0 for those that the image did not reach."""
    beyond = [t for span in image["beyond"] for t in (span["t_tx_s"], span["t_server_s"])]
    return [image["t_edge_s"], image["t_tx_s"], image["t_server_s"], *beyond, *[0.0] * (2 * n_places)][: 2 * n_places - 1]


def _errors(predicted: Mapping[str, float], measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {stage: predicted[stage] / found["p50"] - 1 for stage, found in measured.items()
            if stage in predicted and found["p50"] > 0 and predicted[stage] / found["p50"] < LARGEST_NUMBER}  # fmt: skip


def _codec(plan: Plan, images: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    coded = [image for image in images if image["finished_at"] == "plan" and image["sent_bytes"] is not None]
    raw_bytes = sum(tensor.bytes for tensor in plan.crossing.values())
    if not plan.codecs_used or plan.n_places > 2 or not coded or not raw_bytes:
        return None
    sent, encode, decode = (spread([image[key] for image in coded]) for key in ("sent_bytes", "t_encode_s", "t_decode_s"))
    return {"codec": plan.codec_words, "raw_bytes": raw_bytes, "sent_bytes": sent, "ratio": sent["mean"] / raw_bytes,
            "t_encode_s": encode, "t_decode_s": decode}


def _environment(plan: Plan, around: Circumstances) -> dict[str, Any]:
    server, weights, how = around.server, str(plan.network["weights"]), around.inputs.how
    kind, _, value = weights.partition(":")
    seed = int(value) if kind == "seeded" and value.isdecimal() else None
    return {
        "started": around.started,
        "edge": _machine(around.threads),
        "server": server.machine if server else None,
        "server_address": server.name if server else None,
        "shape": around.shape if server else None,
        "weights": f"{weights}: " + ("trained" if seed is None else "random numbers, so the classes mean nothing"),
        "seed": seed,
        "images": around.inputs.what,
        "preprocessing": how.data if how else None,
        "beyond": list(server.beyond) if server else [],
    }


def _machine(threads: int | None) -> dict[str, Any]:
    cores = processors()
    found = {"python": platform.python_version(), "lmos": __version__, "engine": ENGINE}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found, "system": platform.platform(), "cpu": cpu_name(), "cores": cores, "threads": threads or cores,
            "commit": None}
