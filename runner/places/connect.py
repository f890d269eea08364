"""`connect` and `connect_async`: your own tensors through a split network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from lmos_opt.plan import Plan
from runner.client.pipeline import PIPELINE_DEPTH
from runner.parts.loading import OwnNetwork
from runner.places.asynchronous import AsyncSplit
from runner.places.connected import ConnectedSplit
from runner.places.options import ConnectKeywords, ConnectOptions
from runner.wire.access import Access
from runner.wire.connecting import parse_address
from runner.wire.tls import Tls


def connect(plan: Plan | Path | str, server: str | tuple[str, int], *, module: OwnNetwork | None = None, token: str | None = None,
            tls: Tls | None = None, **options: Unpack[ConnectKeywords]) -> ConnectedSplit:  # fmt: skip
    """A split network that is ready: `split(tensor)` returns what the network returns, `split.map(tensors)` does so for many.

    `plan` is a plan or its file, `server` the address (`HOST:PORT`) at which `lmos serve` listens. `module` is the plan's network,
    if that is your own code and exists already: the module itself, or the result of `measurement.trace`, which saves tracing it
    again. The server may ask for a `token` (`runner.wire.access.read_token`) and for `tls` (`runner.wire.tls.edge_tls`). The other
    keywords are the fields of `runner.places.options.ConnectOptions`, among them `shape`, `networks`, `timeouts`, `adapt` and
    `observers`. Close the result, most simply with a `with` block.

    Raises InputError for a plan or options that cannot be used, and `runner.errors.RunnerError` if the server cannot be reached or
    refuses.
    """
    return _checked(plan, server, module, Access(token, tls), options).open()


def connect_async(plan: Plan | Path | str, server: str | tuple[str, int], *, module: OwnNetwork | None = None,
                  token: str | None = None, tls: Tls | None = None, depth: int = PIPELINE_DEPTH,
                  **options: Unpack[ConnectKeywords]) -> AsyncSplit:  # fmt: skip
    """`connect` for asyncio: `async with connect_async(...) as split`, then `await split(tensor)`, from any number of tasks.

    At most `depth` inputs are under way at once; other tasks wait. The connection to the server is made when the block begins,
    which raises what `connect` raises.
    """
    return AsyncSplit(_checked(plan, server, module, Access(token, tls), options), depth)


def _checked(plan: Plan | Path | str, server: str | tuple[str, int], module: OwnNetwork | None, access: Access,
             options: ConnectKeywords) -> ConnectedSplit:  # fmt: skip
    file = None if isinstance(plan, Plan) else Path(plan)
    loaded = plan if isinstance(plan, Plan) else Plan.load(Path(plan))
    address = parse_address(server) if isinstance(server, str) else server
    return ConnectedSplit(loaded, address, replace(ConnectOptions(access=access), **options), module=module, file=file)
