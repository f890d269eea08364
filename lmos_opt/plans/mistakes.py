"""Problems of a plan that the types of its keys do not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmos_opt.errors import Problem


def repeated_names(hops: Sequence[Sequence[str]]) -> Iterator[Problem]:
    """Names that stand twice among those of the tensors that cross a hop."""
    for h, names in enumerate(hops):
        first: dict[str, int] = {}
        where = f"later_crossing[{h - 1}]" if h else "crossing"
        for k, name in enumerate(names):
            if first.setdefault(name, k) != k:
                yield Problem(f"{where}[{k}].name", f"{name!r} is the name of {where}[{first[name]}] too, so the plan does not say "
                                                    "which tensor is which; make the plan again")  # fmt: skip
