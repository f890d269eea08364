"""What a search did, as a user reads it: sums over the whole front, and each subproblem in the objectives' own senses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Detail, Flag, Name, Record, Text, Value

if TYPE_CHECKING:
    import pandas as pd

Relation = Literal["<", "<=", ">", ">="]


class Bound(Record):
    """What a subproblem asked of an objective's value: `latency < 0.5`."""

    objective: Name
    relation: Relation
    value: Value

    def __str__(self) -> str:
        return f"{self.objective} {self.relation} {self.value:.6g}"


class Subproblem(Record):
    """One subproblem of a search, and how it ended.

    `optimised` is the objective that was optimised within the `bounds`; None where a solution was moved to one that is nowhere
    worse, and best in the sum of all objectives. `outcome` is `optimal` (then there are `values`), `infeasible`
    (nothing is within the bounds), or why there is no answer. It took `solves` integer programs, `nodes` of search trees and
    `lps` linear programs, `seconds` in all and of these `lp_s` in linear programs. `certified` is False where the answer rests on
    an integer solver's own word, which is no proof.
    """

    number: Count
    optimised: Name | None
    bounds: tuple[Bound, ...]
    outcome: Text
    values: dict[Name, Value] | None
    solves: Count
    lps: Count
    nodes: Count
    lp_s: Amount
    seconds: Amount
    certified: Flag


class Statistics(Record):
    """What a search took, all its subproblems together.

    `build_s` is the time to build the model, `search_s` all that follows, of which `lp_s` went into linear programs (s; imports
    are left out). `certified` is True where no answer rests on an integer solver's own word. `seed` and `threads` are the
    solver's, None where it has no such thing; `tolerances` and `solver_options`, those that a user gave, are by its own names.
    `splits` is how many splits an enumeration looked at; None where there was a search.
    """

    algorithm: Name
    solves: Count
    lps: Count
    nodes: Count
    build_s: Amount
    lp_s: Amount
    search_s: Amount
    certified: Flag
    seed: Count | None
    threads: Count | None
    tolerances: dict[Name, Value]
    solver_options: dict[Name, Flag | Detail] = Field(default_factory=dict)
    splits: Count | None = None
    subproblems: tuple[Subproblem, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with a row for each subproblem, in their order; each objective's value has a column `value_NAME`."""
        import pandas as pd

        columns = [name for name in Subproblem.model_fields if name != "values"]
        names = dict.fromkeys(name for one in self.subproblems for name in one.values or ())
        rows = [{**{name: getattr(one, name) for name in columns}, "bounds": ", ".join(map(str, one.bounds)),
                 **{f"value_{name}": (one.values or {}).get(name) for name in names}} for one in self.subproblems]
        return pd.DataFrame(rows, columns=[*columns, *(f"value_{name}" for name in names)])
