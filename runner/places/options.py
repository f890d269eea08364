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
    """How `connect` and `run_plan` come to a split network, and what they do about the link.

    `shape` is the link's emulation, `networks` the builders that may run here beside torchvision's,
    `weights_file` the state dict in place of the plan's `file:PATH`, `threads` torch's (default: as they are), `timeouts` how long
    is waited (default: `patient_with` the plan), `access` what the server wants to see. With `adapt`, the cut follows the link by
    the plan's policy. `observers` are told what happens (`runner.watching.events`). `graphs` are of networks traced
    before. The first `shown` pictures are kept, smaller, in the report, for its page. The `engine` computes this side's part
    (`measurement.engines`), in its `precision`.
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
    """How `run_plan` runs a plan: beside what ConnectOptions say, over which images.

    `images` is a folder of pictures, or what else `runner.images.find_images` takes (default: the bundled pictures), `n` how many
    images are run (default: each once); `skip_bad_images` leaves out pictures that cannot be read. One image runs after another,
    or several are under way (`pipelined`). `progress` is called as the run goes on. Under a codec, `compared` pictures are asked
    twice more after the run: with the codec and without it. Every output goes into a file in the folder `save_outputs`, if one is
    named.
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

    `networks` are the builders that may be built here beside torchvision's, `weights_files` the state
    dicts for plans with weights from a file; with `digests`, no other networks than these are run. `threads` are torch's
    (default: as they are). Up to `batch` images of several edges are computed at once, where that is faster; their last bits
    may then differ. The `engine` computes parts (`measurement.engines`), in its `precision`. Of plans over more than two places,
    the `next` place is asked for what this one does not do.
    All that the server sends is held to `shape`, if there is one: a slow way back on a fast machine. Edges must bear the `token`.
    An address beyond this machine is refused without token and TLS, unless `unprotected` allows it.
    `ready` is called with the port, which port 0 leaves to the system. `observers` are told what happens
    (`runner.watching.events`), after the log; `watch` is given a function that says how busy the server is.
    `graphs` are of networks of `networks` that were traced before.
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
