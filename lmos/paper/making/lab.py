"""`Lab`: where an experiment gets its instances, fronts and kept results from; it notes what was used and what was computed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmos_opt.cache import Cache, source_digest
from lmos_opt.data import data_dir
from lmos_opt.device import Device
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import BANDWIDTH, EDGE, SERVER
from lmos_opt.sweep import sweep
from runner.errors import RunnerError

if TYPE_CHECKING:
    import pandas as pd

Labels = Mapping[str, Any]


class IncompleteFrontError(RunnerError):
    """A front that is not whole: no table is made from it."""


@dataclass
class Lab:
    """One run of `lmos reproduce`. `on_step` is told of each piece of work: (done, of how many)."""

    cache: Cache
    seed: int = 0
    solver: str = "highs"
    jobs: int | None = None
    dask: str | None = None
    on_step: Callable[[int, int], None] = lambda done, total: None
    used: set[Path] = field(default_factory=set)
    """Files of data that went into what was made since `begin`."""
    computed: int = 0
    reused: int = 0

    def begin(self) -> None:
        """Start a new account."""
        self.used, self.computed, self.reused = set(), 0, 0

    def data(self, *parts: str) -> Path:
        """A bundled file, noted as used."""
        path = data_dir().joinpath(*parts)
        self.used.add(path)
        return path

    def csv(self, *parts: str) -> pd.DataFrame:
        """A bundled table, noted as used; places (`source`, `section`) are text."""
        import pandas as pd

        return pd.read_csv(self.data(*parts), dtype={"source": str, "section": str})

    def paper(self, name: str) -> pd.DataFrame:
        """A table of the paper's numbers."""
        return self.csv("paper", f"{name}.csv")

    def claim(self, name: str) -> str:
        """A statement of the paper's text, with its section."""
        claims = self.paper("claims").set_index("claim")
        return f"Section {claims['section'][name]} says: {claims['says'][name]}"

    def device(self, name: str) -> Device:
        """A bundled device, noted as used."""
        return Device.load(self.data("devices", f"{name}.json"))

    def instance(self, network: str, *, edge: str = EDGE, server: str = SERVER, bandwidth: str = BANDWIDTH,
                 memory: str | None = None) -> Instance:  # fmt: skip
        """A bundled network in the paper's setting, but for what is said."""
        profile = NetworkProfile.load(self.data("profiles", f"{network}.json"))
        return Instance.from_profile(profile, edge=self.device(edge), server=self.device(server), bandwidth=bandwidth,
                                     memory=memory)

    def choices(self, cases: Sequence[tuple[Labels, Instance]], rules: Sequence[str],
                memory_model: MemoryModel = "sum") -> pd.DataFrame:  # fmt: skip
        """`sweep` over labelled instances; IncompleteFrontError if one is not whole."""
        done = 0

        def step(from_cache: bool) -> None:
            nonlocal done
            done += 1
            self.reused += from_cache
            self.computed += not from_cache
            self.on_step(done, len(cases))

        found = sweep([instance for _, instance in cases], rules, labels=[labels for labels, _ in cases],
                      memory_model=memory_model, solver=self.solver, jobs=self.jobs, dask=self.dask, cache=self.cache,
                      on_front=step)
        if not found["complete"].all():
            name = cases[int(found.loc[~found["complete"], "instance"].iloc[0])][1].name
            raise IncompleteFrontError(name, "its front is not whole, so nothing is made from it")
        return found

    def kept(self, kind: str, ingredients: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """A result (JSON values) from the cache, or made now; the code it is made with is an ingredient always."""
        key = self.cache.key(kind, {**ingredients, "code": source_digest("lmos_opt", "measurement", "runner", "lmos")})
        found = self.cache.read(key)
        if found is None:
            found = make()
            self.cache.write(key, found)
            self.computed += 1
        else:
            self.reused += 1
        return found


def rows(frame: pd.DataFrame) -> list[Any]:
    """A frame's rows, each with its columns as attributes."""
    return list(frame.itertuples(index=False))


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of a file."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
