"""Inputs through a head and a server: each ends with a result, from the server or from the whole network here, or with a reason."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmos_edge.inputs import find_inputs
from lmos_edge.plans import Plan
from lmos_edge.programs import Array, Exported, Program, onnxruntime, outputs_of
from lmos_edge.report import Circumstances, Outcome, make_report, seen
from lmos_edge.server import Exchange, Happened, Server, Way
from lmos_opt.errors import LmosError
from lmos_opt.processes.signals import Held
from lmos_opt.units import format_size
from runner.memory import PeakMemory, private_bytes, release
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.reconnecting import State
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import PATIENT, Timeouts

MEMORY_RUNS = 3


@dataclass(frozen=True)
class Options:
    """What a run is asked for: the head's file or its folder, inputs (None: the bundled pictures) and how many, whether pictures
    that cannot be read are left out, onnxruntime's threads, and how the server is reached; `tell` hears what is being done."""

    head: Path | None
    images: Path | None = None
    n: int | None = None
    skip_bad_images: bool = False
    threads: int | None = None
    shape: Shape | None = None
    access: Access = OPEN_DOOR
    deadline_s: float | None = None
    tell: Callable[[str], None] = lambda what: None


def run_plan(plan: Plan, address: tuple[str, int], options: Options, held: Held) -> dict[str, Any]:
    """The report of a run, as `lmos run` writes it. The server is not contacted where the plan leaves it nothing to do.

    Raises InputError for a plan, a head or inputs that cannot be used, RunnerError if the server cannot be reached or refuses
    before the first input. From then on every input has an end in the report; KeyboardInterrupt ends the run early, and so does an
    input that cannot be read any more. A signal that comes after the last input is `held`: it does not take the report.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with held.let_through():
        exported = Exported.of(plan, options.head)
        how = plan.preprocessing or exported.preprocessing
        inputs = find_inputs(plan, how, options.images, options.n, options.skip_bad_images)
    n = inputs.n if options.n is None else options.n
    outcome = Outcome()
    pacer = None if options.shape is None else Pacer(options.shape)
    usual_s = max(PATIENT.result_s, 10 * plan.predicted.get("latency_s", 0.0))
    patient = replace(PATIENT, result_s=usual_s if options.deadline_s is None else options.deadline_s)
    way = Way(patient, options.access, pacer, outcome.happened.append)
    server = Server(address, plan, way) if plan.offloads else None
    run = Run(plan, exported, server, patient, options.threads, outcome)
    try:
        with held.let_through():
            run.make_ready(inputs.load, options.tell)
        if pacer is not None:
            pacer.start()
        run.begin()
        try:
            with held.let_through():
                for k in range(n):
                    run.one(inputs.name(k % inputs.n), inputs.load(k % inputs.n))
                    options.tell(f"{k + 1} of {n}")
        except KeyboardInterrupt:
            outcome.reason = "interrupted"
        except LmosError as error:
            if not (outcome.images or outcome.failed):
                raise
            outcome.reason = str(error)
    finally:
        if server is not None:
            server.close(politely=outcome.reason is None)
    if held.take():
        outcome.reason = "interrupted"
    shape = None if options.shape is None else str(options.shape)
    return make_report(plan, outcome, Circumstances(started, inputs, options.threads, server, shape))


@dataclass
class Run:
    """One run: its programs, its server (None: the whole network runs here), and its outcome."""

    plan: Plan
    exported: Exported
    server: Server | None
    timeouts: Timeouts
    threads: int | None
    outcome: Outcome
    head: Program | None = None
    _whole: Program | None = None
    _unusable: str | None = None
    _late: int = 0
    _number: int = 0
    _usual_s: list[float] = field(default_factory=list)

    def make_ready(self, load: Callable[[int], Mapping[str, Array]], tell: Callable[[str], None]) -> None:
        """Reach the server, load the head, measure its memory, and run the first input once each way."""
        onnxruntime()
        server = self.server
        if server is not None:
            tell(f"asking {server.name}")
            server.reach(State.OPENING, may_fail=True)
        image = load(0)
        release()
        program_bytes = private_bytes()
        if self.exported.head is not None:
            tell(f"loading {self.exported.head.path.name}")
            self.head = Program(self.exported.head, self.threads)
            for _ in range(MEMORY_RUNS):
                with PeakMemory() as peak:
                    self.head.run(image)
                self.outcome.memory_bytes.append(max(peak.private_bytes - program_bytes, 0))
        if server is not None:
            tell("waiting for the server")
            server.reach(State.READY, may_fail=self.why_not_here() is None)
        tell("warming up")
        self.one("", image)
        self.outcome.images.clear()
        self.outcome.failed.clear()
        self._late = 0
        gc.freeze()  # what exists now is not looked through in some image's time

    def begin(self) -> None:
        """Begin to count times."""
        self.outcome.began_at = time.perf_counter()

    def one(self, name: str, image: Mapping[str, Array]) -> None:
        """Run one input; it ends in the outcome's `images` or `failed`."""
        number, self._number = self._number, self._number + 1
        begin = time.perf_counter()
        made, kept = self.head.run(image) if self.head is not None else ({}, {})
        t_edge_s = time.perf_counter() - begin
        result: dict[str, Any] = {
            "file": name, "t_edge_s": t_edge_s, "t_tx_s": 0.0, "t_server_s": 0.0, "latency_s": 0.0, "retries": 0, "beyond": [],
            "began_s": max(begin - self.outcome.began_at, 0.0), "finished_at": "plan", "sent_bytes": None,
        }  # fmt: skip
        if self.server is None:
            self._done(result, kept, begin)
            return
        head = self.exported.head
        exchange = Exchange(number, outputs_of(head, made, self.plan, image), self.plan, {} if head is None else head.sizes)
        result["t_edge_s"] += exchange.t_encode_s
        result["t_encode_s"] = exchange.t_encode_s
        try:
            self._ask(self.server, exchange, result, kept, image, begin)
        except KeyboardInterrupt:
            self._lost(result, "interrupted", exchange)
            raise

    def _ask(self, server: Server, exchange: Exchange, result: dict[str, Any], kept: Mapping[str, Array],
             image: Mapping[str, Array], begin: float) -> None:  # fmt: skip
        """Wait for the answer, or do without it."""
        asked_at, loading_s = server.now(), 0.0
        server.ask(exchange)
        if not server.wait(exchange, asked_at + self._patience_s(server)):
            self._late += 1
            loading_s = self._load_whole()
        refusal = self.why_not_here()
        if not exchange.is_over and refusal is not None:
            server.wait(exchange, asked_at + self.timeouts.give_up_s)
        wrong = None if exchange.answer is None else _wrong(exchange)
        if exchange.answer is not None and wrong is None:
            header, outputs = exchange.answer
            self._late = 0
            result.update(t_server_s=header["t_server_s"], t_decode_s=header["t_decode_s"],
                          t_server_encode_s=header["t_encode_s"], t_server_queue_s=header["t_queue_s"],
                          t_queue_s=exchange.t_queue_s, beyond=[*header["beyond"]], sent_bytes=exchange.sent_bytes,
                          received_bytes=sum(array.nbytes for array in outputs.values()), retries=exchange.retries,
                          t_tx_s=max(exchange.exchange_s - _span_s(header), 0.0))  # fmt: skip
            self._done(result, {**outputs, **kept}, begin)
            self._usual_s = [*self._usual_s[-8:], result["latency_s"]]
            return
        reason = wrong or self._reason(server, exchange, asked_at)
        server.withdraw()
        if refusal is None:
            self._here(result, reason, exchange, image, begin, loading_s)
        else:
            self._lost(result, f"{reason}; {refusal}" if refusal else reason, exchange)

    def why_not_here(self) -> str | None:
        """Why the whole network does not run here, in half a sentence; None if it may."""
        whole, limit = self.exported.whole, self.plan.memory_limit_bytes
        if whole is None:
            return "the whole network is not here ('lmos export --whole' writes it)"
        if self._unusable is not None:
            return self._unusable
        if limit is None or (whole.memory_bytes is not None and whole.memory_bytes <= limit):
            return None
        needed = format_size(whole.memory_bytes or 0)
        return f"the whole network needs {needed} at the edge, the plan's limit is {format_size(limit)}"

    def _load_whole(self) -> float:
        """Load the whole network, if it may run here. If its file cannot be used, images wait for the server from now on. The time
        (s) that this took."""
        begin = time.perf_counter()
        if self._whole is None and self.exported.whole is not None and self.why_not_here() is None:
            try:
                self._whole = Program(self.exported.whole, self.threads)
            except LmosError as error:
                self._unusable = str(error)
        return time.perf_counter() - begin

    def _here(self, result: dict[str, Any], reason: str, exchange: Exchange, image: Mapping[str, Array], begin: float,
              loading_s: float) -> None:  # fmt: skip
        """Run the whole network on the image. `loading_s` (s) is what loading it took so far, while the image waited."""
        loading_s += self._load_whole()
        if self._whole is None:
            self._lost(result, f"{reason}; {self._unusable}", exchange)
            return
        running = time.perf_counter()
        try:
            _, outputs = self._whole.run(image)
        except LmosError as error:
            self._lost(result, f"{reason}; and at the edge: {error}", exchange)
            return
        tail_s = time.perf_counter() - running
        result.update(t_edge_s=result["t_edge_s"] + tail_s, t_tail_s=tail_s, t_queue_s=loading_s,
                      t_tx_s=running - exchange.packed_at - exchange.t_queue_s - loading_s,
                      finished_at="edge", reason=reason, retries=exchange.retries)  # fmt: skip
        self._done(result, outputs, begin)

    def _done(self, result: dict[str, Any], outputs: Mapping[str, Array], begin: float) -> None:
        result.update(seen(outputs, self.exported.labels))
        ended = time.perf_counter()
        result["latency_s"] = ended - begin
        self.outcome.images.append(result)
        self.outcome.elapsed_s = max(ended - self.outcome.began_at, 0.0)

    def _lost(self, result: Mapping[str, Any], reason: str, exchange: Exchange) -> None:
        self.outcome.failed.append({"file": result["file"], "reason": reason, "retries": exchange.retries})
        self.outcome.happened.append(Happened(time.perf_counter(), "image_ended", f"image {exchange.number}: failed ({reason})"))
        self.outcome.elapsed_s = max(time.perf_counter() - self.outcome.began_at, 0.0)

    def _patience_s(self, server: Server) -> float:
        """How long an image may wait for its answer. The time gets shorter with each image in a row that got none."""
        if not self._late:
            return self.timeouts.result_s
        if server.state is not State.READY:
            return 0.0
        return max(self.timeouts.result_s * 0.5**self._late, 4 * max(self._usual_s, default=0.0))

    def _reason(self, server: Server, exchange: Exchange, asked_at: float) -> str:
        if exchange.failure is not None:
            return exchange.failure
        if server.refused is not None:
            return str(server.refused)
        if server.failures and server.reason:
            return server.reason
        return f"{server.name}: no answer within {server.now() - asked_at:.1f} s"


def _span_s(header: Mapping[str, Any]) -> float:
    beyond = sum(span["t_tx_s"] + span["t_server_s"] + span["t_queue_s"] for span in header["beyond"])
    return float(header["t_server_s"] + header["t_queue_s"] + beyond)


def _wrong(exchange: Exchange) -> str | None:
    """What cannot be true of an answer."""
    assert exchange.answer is not None
    header, _ = exchange.answer
    if header["t_decode_s"] + header["t_encode_s"] <= header["t_server_s"] and _span_s(header) <= exchange.exchange_s:
        return None
    return f"the server reports {_span_s(header)} s of work in an exchange of {exchange.exchange_s} s"
