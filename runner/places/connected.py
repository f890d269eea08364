"""A split network and its connection to the server. Crossing tensors go to the server, and the network's own output comes back.

Before the first input, in this order: this side checks what it can check alone, asks the server to build its part, builds its own
part, measures the head's memory, and runs one input through both parts.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from lmos_opt.errors import InputError, of_file
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.plans.keys import LAYER_KEYS
from measurement import engines
from measurement.networks.conventions import conventions_for
from measurement.networks.labels import names_of
from measurement.timing import torch_threads
from measurement.tracing.calls import ByParameter
from runner.adaptation.cuts import Choice, plans_of
from runner.adaptation.hop import WatchedHop
from runner.adaptation.scout import Scout
from runner.adaptation.steering import Steering
from runner.client.pipeline import PIPELINE_DEPTH, Ended, Pipeline, Progress, Route, Underway
from runner.client.reaching import reach_all
from runner.client.remote import opening
from runner.client.server_connection import ServerConnection
from runner.errors import RunnerError
from runner.images import Images, random_inputs
from runner.machine import this_machine
from runner.memory import release, settled
from runner.parts.loading import OwnNetwork
from runner.places.arguments import arguments_of, as_inputs
from runner.places.checked import about_weights, check_crossing, patient_with, seed_of, weights_of
from runner.places.generating import Text, Way, asked
from runner.places.head import build_routes, head_memory, place_heads
from runner.places.looking import Look
from runner.places.options import ConnectOptions
from runner.watching.events import Events, RunBegan, RunEnded, shown
from runner.watching.recorder import Recorder
from runner.watching.report import Environment, FailedImage, ImageResult, Outcome, RunReport, make_report
from runner.wire.shaping import as_pacer

MOST_REPORTED = 10_000
"""The most inputs in a report: a loop over a camera may run for weeks."""

Keep = Callable[[ImageResult, Mapping[str, Tensor]], None]
"""A function of an image's result and of the network's outputs by path."""


@dataclass(frozen=True)
class Source:
    """What is known of the inputs before they come.

    - `pictures`: inputs for measuring the head's memory and for the first run (None: random ones).
    - `n`: how many inputs there will be, if that is known.
    - `pipelined`: whether several will be under way at once.
    - `tell`: is called with a line on what is being done before the first input.
    - `keep`: is called with the outputs of each image.
    """

    pictures: Images | None = None
    n: int | None = None
    pipelined: bool = False
    tell: Callable[[str], None] = lambda what: None
    keep: Keep | None = None


UNKNOWN = Source()


class ConnectedSplit:
    """A network that runs here and at a server, as its plan says. It is called as the network is; `map` takes many inputs.

    Any thread may call it. One head is computed at a time, but several inputs may wait for the server at once. `report` says what
    was measured so far. The end of a `with` block, or `close`, ends the connection. `connect` makes such objects.
    """

    def __init__(self, plan: Plan, server: tuple[str, int], options: ConnectOptions, source: Source = UNKNOWN,
                 module: OwnNetwork | None = None, file: Path | None = None) -> None:  # fmt: skip
        """Check all that can be checked without the server and without the network; nothing is contacted yet.

        `file` is where the plan was read, for messages.
        """
        self.plan, self.network = plan, check_runnable(plan, "plan" if file is None else str(file))
        self._file = file
        self._options, self._source, self._module = options, source, module
        self._weights = weights_of(self.network.weights, options.weights_file)
        check_crossing(plan, self.network)
        self._timeouts = options.timeouts or patient_with(plan)
        self._engine = engines.get(options.engine, options.precision)
        self._pictures = source.pictures or random_inputs(self.network)
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._recorder, self._link = Recorder(), as_pacer(options.shape)
        self._steering = self._make_steering(server)
        self._plans = [plan] if self._steering is None else plans_of(plan, self._steering.choices)
        self._events = Events([self._recorder, *([self._steering] if self._steering else []), *options.observers])
        self._connections = [ServerConnection(server, opening(one, self.network), self._link, self._timeouts, options.access,
                                              events=self._events) if one.offloads else None for one in self._plans]  # fmt: skip
        self._look = Look(self.network, source.pictures.preprocessing if source.pictures else None, options.shown)
        self._names = count(1)
        self._stack = ExitStack()
        self._closing = threading.Lock()
        self._dropped = weakref.finalize(self, _end, self._stack, self._connections, politely=False)  # where nobody closes it
        self._is_open = False
        self._reason: str | None = None
        self._threads = 0
        self._began_at = 0.0
        self._memory: Sequence[int] = ()
        self._remarks: Sequence[str] = ()
        self._longest: int | None = None

    def open(self) -> Self:
        """Reach the server, build both parts, measure the head's memory, and run one input through every cut.

        Raises RunnerError if the server cannot be reached or refuses, and what `build_routes` raises. Then nothing stays open.
        """
        try:
            release()
            self._stack.enter_context(settled())  # what the user's program holds is not looked through again and again
            self._stack.enter_context(torch_threads(self._options.threads))
            with of_file(self._file, LAYER_KEYS):
                self._make_ready()
            self._begin()
        except BaseException:
            self._let_go(politely=False)
            raise
        self._is_open = True
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close(politely=kind is None or issubclass(kind, Exception))

    def close(self, politely: bool = True) -> None:
        """End the connection. Threads that wait for an answer get none. No thread is left. A second call does nothing.

        With `politely`, the server is told that the conversation ends.
        """
        with self._closing:
            if not self._is_open:
                return
            self._is_open = False
            self._let_go(politely and self._reason is None)
        report = self.report()
        self._events.tell(RunEnded(images=report.images, lost=report.lost, fallbacks=report.fallbacks, retries=report.retries,
                                   elapsed_s=self.pipeline.elapsed_s, reason=report.reason))  # fmt: skip

    def interrupt(self, reason: str = "interrupted") -> None:
        """Note that the run ends early, and why. The report says so. The server is then not told that the conversation ends."""
        known = self._reason
        if known is None or reason not in known:
            self._reason = reason if known is None else f"{known}; {reason}"

    # one's own data --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns for these arguments: tensors or numpy arrays, as the network takes them.

        Raises InputError if an input does not have the plan's shape or dtype, and RunnerError if neither the server nor this side
        could finish the input.
        """
        begun = self.begin(*args, **kwargs)
        return self.output(begun if isinstance(begun, Ended) else self.pipeline.finish(begun))

    def map(self, items: Iterable[Any], depth: int = PIPELINE_DEPTH) -> Generator[Any]:
        """The network's outputs for many inputs, in their order, with up to `depth` inputs under way at once.

        An item is a tensor or an array, a tuple of arguments, or a dict of keyword arguments. `items` may use the memory of an item
        again for the next one. If `items` raises, the outputs of the earlier items come first. If the iterator is closed or
        dropped, the inputs under way are given up. Raises InputError if `depth` is below 1, or above 1 while the cut follows the
        link.
        """
        if depth < 1:
            raise InputError("depth", f"{depth} inputs under way at once cannot be; expected at least 1")
        if depth > 1 and self._steering is not None:
            raise InputError("depth", "must be 1 where the cut follows the link (adapt)")
        self._check_open()
        return self._map(items, depth)

    def generate(self, ids: Sequence[int], max_new_tokens: int = 64, *, temperature: float | None = None, seed: int | None = None,
                 stop: Sequence[int] = ()) -> list[int]:  # fmt: skip
        """The ids of the tokens that a decoder writes after the prompt `ids`, all at once. Arguments and errors are those of
        `text`."""
        return list(self.text(ids, max_new_tokens, temperature=temperature, seed=seed, stop=stop))

    def text(self, ids: Sequence[int], max_new_tokens: int = 64, *, temperature: float | None = None, seed: int | None = None,
             stop: Sequence[int] = ()) -> Text:  # fmt: skip
        """An iterator over the ids that a decoder writes after the prompt `ids`: at most `max_new_tokens`, up to the first one in
        `stop`.

        Without a `temperature`, each token is the most probable one. With it, tokens are drawn, and the `seed` repeats the draw.
        The tokens do not depend on the cut. Several texts may be under way, each in its own thread. Raises InputError if the
        network is no decoder, if the plan has a codec or the cut follows the link, and for ids that the decoder does not take. The
        iterator raises RunnerError if no server answers.
        """
        self._check_open()
        if self._longest is None or self.plan.encodes or self._steering is not None:
            raise InputError(self.network.name, "writes no text: it is no decoder (lmos profile hf:DIRECTORY --prompt N)"
                             if self._longest is None else "writes no text under codecs, or where the cut follows the link")
        most = next(iter(self.network.input_tensors.values())).high
        wanted = asked(ids, max_new_tokens, temperature, seed, stop).check(None if most is None else most + 1, self._longest)
        pipeline = self.pipeline
        return Text(wanted, Way(pipeline.route, pipeline.numbers, self._timeouts.give_up_s, pipeline.heads))

    def report(self) -> RunReport:
        """A report on the inputs that have ended, the last MOST_REPORTED at most. They are called `input:1`, `input:2` and so on.
        """
        return self.report_of(Outcome(results=(), edge_memory=()))

    def report_of(self, run: Outcome) -> RunReport:
        """The report, with what else is known of a `run`: skipped pictures, why it ended early, and what its codec changes."""
        pipeline, steering = self.pipeline, self._steering
        outcome = replace(
            run,
            results=tuple(self._look.compared(pipeline.results)),
            shown=self._look.shown,
            failed=tuple(pipeline.failed),
            edge_memory=self._memory,
            pipelined=pipeline.was_pipelined,
            elapsed_s=pipeline.elapsed_s,
            reason=self._reason,
            happened=self._recorder.since(self._began_at),
            adapted=steering.adapted if steering else None,
            adaptation=steering.changes if steering else (),
        )
        return make_report(self.plan, outcome, self._environment())

    def run(self, pictures: Images, n: int, depth: int, tell: Progress | None = None) -> None:
        """Run n pictures; after the last one the first comes again. The report has their results, under the pictures' names."""
        self.pipeline.run(self._look.at(pictures), n, depth, tell)

    # in two steps, for whoever waits otherwise -----------------------------------------------------------------------

    def begin(self, *args: Any, **kwargs: Any) -> Underway | Ended:
        """Compute the head for these arguments, and ask the server. `pipeline.finish` waits for the answer. Errors as for a call.
        """
        self._check_open()
        return self.pipeline.begin(*self._named_input(args, kwargs))

    def output(self, ended: Ended) -> Any:
        """What the network returns for an input that has ended. Raises RunnerError if the input failed."""
        if isinstance(ended.result, FailedImage) or ended.outputs is None:
            raise RunnerError(ended.result.file, ended.result.reason or "failed")
        return self._form.build({path: tensor.clone() if tensor.is_inference() else tensor
                                 for path, tensor in ended.outputs.items()})  # fmt: skip

    def _map(self, items: Iterable[Any], depth: int) -> Generator[Any]:
        with closing(self.pipeline.stream(self._named(items), depth)) as stream:
            for ended in stream:
                yield self.output(ended)

    def _named(self, items: Iterable[Any]) -> Iterator[tuple[str, Tensor | ByParameter]]:
        for item in items:
            self._check_open()
            yield self._named_input(*arguments_of(item))

    def _named_input(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, Tensor | ByParameter]:
        image, name = as_inputs(self.network, self._call, args, kwargs), f"input:{next(self._names)}"
        self._look.see(name, image)
        return name, image

    def _check_open(self) -> None:
        if not self._is_open:
            raise RunnerError(self.network.name, "the connection is closed")

    # before the first input, and after the last ----------------------------------------------------------------------

    @property
    def route(self) -> Route:
        """The plan's own."""
        return self._routes[0]

    def _make_steering(self, server: tuple[str, int]) -> Steering | None:
        options = self._options
        if not options.adapt:
            return None
        if self._source.pipelined:
            raise InputError("--adapt", "takes one image after another; leave out --pipeline")
        hops = self.plan.setting.hops or [self.plan.setting]
        return Steering([
            WatchedHop(choice, Scout(server, self._link, self._timeouts, options.access, choice.hop),
                       hops[choice.hop - 1].back_bytes_per_s)
            for choice in Choice.all_of(self.plan)
        ])  # fmt: skip

    def _make_ready(self) -> None:
        tell, network, timeouts = self._source.tell, self.network, self._timeouts
        reach_all(self._connections, "is_asked", timeouts, may_fail=True)
        tell(f"building {network.builder}")
        ways = list(zip(self._plans, self._connections, strict=True))
        built = build_routes(ways, network, self._weights, self._options.networks, self._pictures, self._module,
                             self._options.graphs, self._engine)  # fmt: skip
        built = place_heads(built, self._engine, network)
        self._routes, self._call, self._form, self._remarks = built.routes, built.call, built.form, built.remarks
        self._longest = built.longest
        fallback = self.route.fallback
        tell("waiting for the server")
        reach_all(self._connections, "is_open", timeouts, may_fail=fallback is None or fallback.refusal is None)
        self._memory = head_memory(built, self._pictures)
        tell("warming up")
        self.pipeline = Pipeline(self.route, names_of(conventions_for(network).labels), timeouts, self._events)
        for route in reversed(self._routes):  # each way once; the pipeline is left on the first
            self.pipeline.route = route
            self.pipeline.warm_up(self._pictures)
        self.pipeline.look = _looking(self._look, self._source.keep)
        if self._source.n is None:
            self.pipeline.most_kept = MOST_REPORTED
        if self._link is not None:
            self._link.start()

    def _begin(self) -> None:
        """Say that the run begins; until the end, the process is settled and the scout, if there is one, probes."""
        connection = self._connection
        self._events.tell(RunBegan(network=self.network.name, digest=shown(self.network.digest), cut=self.plan.x1,
                                   images=self._source.n, peer=connection.name if connection else None,
                                   pipelined=self._source.pipelined))  # fmt: skip
        self._stack.enter_context(settled())
        if self._steering is not None:
            self._stack.enter_context(self._steering)
            self._steering.begin(self.pipeline, self._routes)
        self._threads, self._began_at = torch.get_num_threads(), time.perf_counter()
        self.pipeline.start()

    def _let_go(self, politely: bool) -> None:
        self._dropped.detach()
        _end(self._stack, self._connections, politely)

    @property
    def _connection(self) -> ServerConnection | None:
        """The first that there is; all go to the same server."""
        return next((connection for connection in self._connections if connection is not None), None)

    def _environment(self) -> Environment:
        connection, shape, pictures = self._connection, self._options.shape, self._source.pictures
        return Environment(
            started=self._started,
            edge=this_machine(self._threads, self._engine.told).remarked(self._remarks),
            server=connection.machine if connection else None,
            server_address=connection.name if connection else None,
            beyond=connection.beyond if connection else (),
            shape=str(shape) if shape and connection else None,
            weights=about_weights(self.network.weights),
            seed=seed_of(self.network.weights),
            images=pictures.what if pictures else "given from Python",
            preprocessing=pictures.preprocessing if pictures else None,
        )


def _end(stack: ExitStack, connections: Sequence[ServerConnection | None], politely: bool) -> None:
    """End the connections, and leave the process as it was."""
    with stack:
        for connection in filter(None, connections):
            connection.close(politely)


def _looking(look: Look, keep: Keep | None) -> Callable[[ImageResult, Mapping[str, Tensor]], ImageResult]:
    """Each image's outputs are kept, where they are to be, and then looked at. (No method: the split would be held by its own part,
    and what the collector leaves alone would never go.)"""

    def looked(result: ImageResult, outputs: Mapping[str, Tensor]) -> ImageResult:
        if keep is not None:
            keep(result, outputs)
        return look(result, outputs)

    return looked
