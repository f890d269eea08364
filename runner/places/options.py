"""How a plan is run, and how a server serves: a record each, and its fields as the keywords that `run_plan` and `serve` take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from measurement.engines import DEFAULT
from runner.client.pipeline import Progress
from runner.faults.limits import ORDINARY, Limits, Load
from runner.parts.network import Graphs
from runner.places.comparing import COMPARED
from runner.places.onward import Next
from runner.watching.events import Observer
from runner.wire.access import OPEN_DOOR, Access
from runner.wire.shaping import Pacer, Shape
from runner.wire.timeouts import Timeouts
from runner.wire.tls import Tls

SHOWN = 12
"""Pictures of a report, unless another number is asked for."""


@dataclass(frozen=True, kw_only=True)
class ConnectOptions:
    """How `connect` and `run_plan` make a split network ready, and what they do about the link.

    `shape` emulates a slower link. `networks` are builders that may run here in addition to torchvision's. `weights_file` is the
    state dict in place of the plan's `file:PATH`. `threads` is the number of torch's threads (default: unchanged), `timeouts` how
    long to wait (default: `patient_with` the plan), `access` the token and the certificates for the server. With `adapt`, the cut
    follows the link by the plan's policy. `observers` are called with each event (`runner.watching.events`). `graphs` holds
    networks that were traced before. The report keeps the first `shown` pictures, made smaller, for its page. `engine` computes
    this side's part (`measurement.engines`), in its `precision`.
    """

    shape: Shape | Pacer | None = None
    networks: Sequence[str] = ()
    weights_file: Path | None = None
    threads: int | None = None
    timeouts: Timeouts | None = None
    access: Access = OPEN_DOOR
    adapt: bool = False
    observers: Sequence[Observer] = ()
    graphs: Graphs | None = None
    shown: int = SHOWN
    engine: str = DEFAULT
    precision: str = "float32"


class ConnectKeywords(TypedDict, total=False):
    """The fields of ConnectOptions, as keywords."""

    shape: Shape | Pacer | None
    networks: Sequence[str]
    weights_file: Path | None
    threads: int | None
    timeouts: Timeouts | None
    access: Access
    adapt: bool
    observers: Sequence[Observer]
    graphs: Graphs | None
    shown: int
    engine: str
    precision: str


@dataclass(frozen=True, kw_only=True)
class RunOptions(ConnectOptions):
    """How `run_plan` runs a plan: the fields of ConnectOptions, and which images run.

    `images` is a folder of pictures, or anything else that `runner.images.find_images` takes (default: the bundled pictures). `n`
    is the number of images to run (default: each once). `skip_bad_images` leaves out pictures that cannot be read. One image runs
    after another; if `pipelined`, several are under way at once. `progress` is called as the run goes on. Under a codec, `compared`
    pictures are sent twice more after the run: with the codec and without it. If `save_outputs` names a folder, the outputs of
    every image are written to a file there.
    """

    images: Path | None = None
    n: int | None = None
    pipelined: bool = False
    progress: Progress | None = None
    compared: int = COMPARED
    skip_bad_images: bool = False
    save_outputs: Path | None = None


class RunKeywords(ConnectKeywords, total=False):
    """The fields of RunOptions, as keywords."""

    images: Path | None
    n: int | None
    pipelined: bool
    progress: Progress | None
    compared: int
    skip_bad_images: bool
    save_outputs: Path | None


@dataclass(frozen=True)
class ServeOptions:
    """How `serve` serves.

    `networks` are builders that may be built here in addition to torchvision's. `weights_files` are the state dicts for plans with
    weights from a file. With `digests`, the server runs only networks with one of these digests. `threads` is the number of torch's
    threads (default: unchanged). Up to `batch` images of several edges are computed together if that is faster; their last bits may
    then differ. `engine` computes parts (`measurement.engines`), in its `precision`. Of a plan over more than two places, the
    `next` place computes the layers after this one's.
    `shape` limits the rate of all that the server sends: a slow way back on a fast machine. `limits` bound what edges may use.
    Edges must send the `token`. Without token and TLS, the server refuses an address that other machines can reach, unless
    `unprotected` allows it. `ready` is called with the port; port 0 lets the system choose one. `observers` are called with each
    event (`runner.watching.events`), after the log. `watch` is called with a function that returns the server's `Load`. `graphs`
    holds networks of `networks` that were traced before.
    """

    networks: Sequence[str] = ()
    weights_files: Sequence[Path] = ()
    digests: Collection[str] | None = None
    threads: int | None = None
    batch: int = 1
    engine: str = DEFAULT
    precision: str = "float32"
    limits: Limits = ORDINARY
    shape: Shape | None = None
    next: Next | None = None
    token: str | None = None
    tls: Tls | None = None
    unprotected: bool = False
    ready: Callable[[int], None] | None = None
    observers: Sequence[Observer] = ()
    watch: Callable[[Callable[[], Load]], None] | None = None
    graphs: Graphs | None = None


class ServeKeywords(TypedDict, total=False):
    """The fields of ServeOptions, as keywords."""

    networks: Sequence[str]
    weights_files: Sequence[Path]
    digests: Collection[str] | None
    threads: int | None
    batch: int
    engine: str
    precision: str
    limits: Limits
    shape: Shape | None
    next: Next | None
    token: str | None
    tls: Tls | None
    unprotected: bool
    ready: Callable[[int], None] | None
    observers: Sequence[Observer]
    watch: Callable[[Callable[[], Load]], None] | None
    graphs: Graphs | None
