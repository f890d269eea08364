"""What is solved: split instances from 21 to 1000 layers, and published integer programs with their fronts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError, InvalidError, Problem
from lmos_opt.files import Name, Number, Record, input_errors, read_json
from lmos_opt.instance import Instance
from lmos_opt.sources import Options, instance_of, load_source

Row = Annotated[tuple[Number, ...], Field(min_length=1)]
Relation = Literal["<=", ">=", "=="]


class IntegerProgram(Record):
    """The program `opt c x + c0` under `A x (row_sense) b`, with x binary or integer in 0..ub, and its front if it is known.

    The keys are those of the files under `data/published`. Other keys of a file give the source of the numbers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    sense: Annotated[tuple[Literal["min", "max"], ...], Field(min_length=2)]
    c: tuple[Row, ...]
    c0: tuple[Number, ...]
    A: tuple[Row, ...]
    b: tuple[Number, ...]
    row_sense: Relation | tuple[Relation, ...]
    vars: Literal["binary", "integer"]
    ub: tuple[Number, ...] | None = None
    front: tuple[tuple[Number, ...], ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        p, n, m = len(self.sense), len(self.c[0]) if self.c else 0, len(self.A)
        lengths = [("c", len(self.c), p), ("c0", len(self.c0), p), ("b", len(self.b), m),
                   *((f"c[{k}]", len(row), n) for k, row in enumerate(self.c)),
                   *((f"A[{k}]", len(row), n) for k, row in enumerate(self.A)),
                   *((f"front[{k}]", len(point), p) for k, point in enumerate(self.front or ()))]  # fmt: skip
        if isinstance(self.row_sense, tuple):
            lengths.append(("row_sense", len(self.row_sense), m))
        if self.vars == "integer":
            lengths.append(("ub", len(self.ub or ()), n))
        wrong = [Problem(path, f"has {found} entries, expected {wanted}") for path, found, wanted in lengths if found != wanted]
        if wrong:
            raise InvalidError(wrong)
        return self

    @property
    def upper(self) -> tuple[float, ...]:
        """The variables' upper bounds."""
        return self.ub if self.vars == "integer" and self.ub is not None else (1.0,) * len(self.c[0])

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relation of each row."""
        return self.row_sense if isinstance(self.row_sense, tuple) else (self.row_sense,) * len(self.A)

    @property
    def is_integral(self) -> bool:
        """Whether every objective takes whole values only."""
        return all(value == int(value) for row in (*self.c, self.c0) for value in row)


@dataclass(frozen=True)
class Case:
    """One instance of a suite. `size` is the number of layers, or of variables."""

    suite: str
    name: str
    size: int
    problem: Instance | IntegerProgram

    @property
    def senses(self) -> tuple[str, ...]:
        """The objectives' senses; a split instance has latency (min) and memory (max, model `sum`)."""
        return ("min", "max") if isinstance(self.problem, Instance) else self.problem.sense

    @property
    def kind(self) -> Literal["chain", "graph", "program"]:
        """What contestants declare that they can do."""
        if isinstance(self.problem, IntegerProgram):
            return "program"
        return "chain" if self.problem.is_chain else "graph"


def random_split(n_layers: int, seed: int, chain: bool) -> Instance:
    """A network's magnitudes: layers of 0.1 to 300 ms at the edge, outputs of 10 kB to 4 MB, up to 10 MB of weights, 10 Mbps.

    A graph's layer reads the one before it (three times of five), or one or two of the four before it.
    """
    rng = random.Random(f"{n_layers}, {seed}, {chain}")
    layers = []
    for k in range(n_layers):
        before = ["input", *(f"layer{i}" for i in range(k))][-4:]
        inputs = before[-1:] if chain or rng.random() < 0.6 else sorted(rng.sample(before, min(len(before), rng.randint(1, 2))))
        layers.append({"name": f"layer{k}", "inputs": inputs, "t_edge_s": rng.uniform(1e-4, 0.3),
                       "t_server_s": rng.uniform(1e-5, 0.02), "weight_bytes": rng.randint(0, 10**7),
                       "output_bytes": int(10 ** rng.uniform(4, 6.6))})  # fmt: skip
    return Instance.from_dict({
        "schema": "lmos.instance/1", "name": f"{'chain' if chain else 'dag'}{n_layers}-{seed}", "input_bytes": 602112,
        "bandwidth_bytes_per_s": 1.25e6, "rtt_s": 0.0, "memory_limit_bytes": None, "layers": layers,
    })  # fmt: skip


def chains(quick: bool) -> list[Case]:
    """Chains: three of 21 and of 44 layers (as AlexNet and VGG19 have), VGG19 itself, and longer ones."""
    asked = [(21, 3), (44, 1)] if quick else [(21, 3), (44, 3), (100, 1), (220, 1), (1000, 1)]
    found = [_split("chains", random_split(n, seed, chain=True)) for n, count in asked for seed in range(count)]
    return [*found, _split("chains", instance_of(load_source("vgg19"), Options()))]


def graphs(quick: bool) -> list[Case]:
    """Graphs: three of 40 layers, and GoogLeNet."""
    found = [_split("dags", random_split(40, seed, chain=False)) for seed in range(1 if quick else 3)]
    return found if quick else [*found, _split("dags", instance_of(load_source("googlenet"), Options()))]


def published(quick: bool, folder: Path | None = None) -> list[Case]:
    """The integer programs of a folder (default: the bundled ones), without the largest if `quick`. InputError if it has none."""
    folder = folder or data_dir() / "published"
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(str(folder), "holds no *.json of published instances")
    found = []
    for path in paths:
        with input_errors(str(path)):
            program = IntegerProgram.model_validate(read_json(path))
        found.append(Case("published", program.name, len(program.upper), program))
    return [case for case in found if case.size <= _QUICK_VARIABLES] if quick else found


_QUICK_VARIABLES = 20
SUITES: dict[str, Callable[[bool], list[Case]]] = {"chains": chains, "dags": graphs, "published": published}


def cases(suites: Iterable[str], quick: bool = False, instances: Path | None = None, only: str = "*") -> list[Case]:
    """The cases of the named suites whose names match a pattern as of file names; `instances` is a folder of published ones.

    Raises InputError for an unknown suite, or where none is left.
    """
    found: list[Case] = []
    for name in suites:
        if name not in SUITES:
            raise InputError("--suites", f"{name!r} is not a suite; there are {', '.join(SUITES)}")
        found += published(quick, instances) if name == "published" else SUITES[name](quick)
    chosen = [case for case in found if fnmatchcase(case.name, only)]
    if not chosen:
        raise InputError("--only", f"no instance matches {only!r}; there are {', '.join(case.name for case in found)}")
    return chosen


def _split(suite: str, instance: Instance) -> Case:
    return Case(suite, instance.name, len(instance.layers), instance)
