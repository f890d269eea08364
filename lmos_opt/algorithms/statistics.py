"""What a search did, for a user: sums over the whole front, and each subproblem in the objectives' own senses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lmos_opt.files import Amount, Count, Detail, Flag, Name, Record, Text, Value

if TYPE_CHECKING:
    import pandas as pd

Relation = Literal["<", "<=", ">", ">="]


class Bound(Record):
    """A bound of a subproblem on an objective's value: `latency < 0.5`."""

    objective: Name
    relation: Relation
    value: Value

    def __str__(self) -> str:
        return f"{self.objective} {self.relation} {self.value:.6g}"


class Subproblem(Record):
    """One subproblem of a search, and how it ended.

    `optimised` is the objective that was optimised within the `bounds`. It is None if a solution was improved to one that is at
    least as good in every objective, and best in the sum of all. `outcome` is `optimal` (then there are `values`), `infeasible`
    (nothing is within the bounds), or the reason why there is no answer. The subproblem took `solves` integer programs, `nodes` of
    search trees and `lps` linear programs; `seconds` is its whole time, and `lp_s` the time in linear programs. `certified` is
    False if the answer rests on an integer solver's answer, which is no proof.
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
    """What a search did: the sum over all its subproblems.

    `build_s` is the time to build the model, `search_s` all time after that, and `lp_s` the part of it in linear programs (s;
    without imports). `certified` is True if no answer rests on an integer solver's answer. `seed` and `threads` are the solver's,
    None if it has none. `tolerances`, and `solver_options` that a user gave, have the solver's names. `splits` is the number of
    splits that an enumeration evaluated; None after a search.
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
        """A pandas DataFrame with a row for each subproblem, in order; each objective's value has a column `value_NAME`."""
        import pandas as pd

        columns = [name for name in Subproblem.model_fields if name != "values"]
        names = dict.fromkeys(name for one in self.subproblems for name in one.values or ())
        rows = [{**{name: getattr(one, name) for name in columns}, "bounds": ", ".join(map(str, one.bounds)),
                 **{f"value_{name}": (one.values or {}).get(name) for name in names}} for one in self.subproblems]
        return pd.DataFrame(rows, columns=[*columns, *(f"value_{name}" for name in names)])
