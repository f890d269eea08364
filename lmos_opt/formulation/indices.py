"""The names of the model's variables: by hop and name, and, with one hop, also by the name alone."""

from __future__ import annotations

from typing import Any

from pyomo.core.base.var import IndexedVar, ScalarVar

from lmos_opt.instance import Instance


class OneHop(ScalarVar):  # type: ignore[misc]
    """A variable of the only hop: itself, and the one with the index 1."""

    def __getitem__(self, index: Any) -> Any:
        """The variable; KeyError for another hop."""
        return self if index == 1 else super().__getitem__(index)


class OneHopNames(IndexedVar):  # type: ignore[misc]
    """Variables of the only hop: by name, and by (1, name)."""

    def __getitem__(self, index: Any) -> Any:
        """The variable of a name; KeyError for another hop."""
        if isinstance(index, tuple) and len(index) == 2 and index[0] == 1:
            index = index[1]
        return super().__getitem__(index)


class ByHop:
    """Variables of the only hop under a further name, by (1, name)."""

    def __init__(self, variables: OneHopNames) -> None:
        self._variables = variables

    def __getitem__(self, index: Any) -> Any:
        """The variable; KeyError, in Pyomo's words, for anything else."""
        if not (isinstance(index, tuple) and len(index) == 2 and index in self):
            raise KeyError(f"Index '{index}' is not valid for indexed component 'upto'")
        return self._variables[index]

    def __contains__(self, index: tuple[int, str]) -> bool:
        return index[0] == 1 and index[1] in self._variables


class AtPlace:
    """`m.at[p, v]`: 1 if layer v runs at place p, else 0, as an expression over `m.upto`."""

    def __init__(self, m: Any, instance: Instance) -> None:
        self._m, self._hops, self._names = m, len(instance.hops), frozenset(instance.names)

    def __getitem__(self, index: tuple[int, str]) -> Any:
        """The expression; KeyError, in Pyomo's words, for what is no place and layer."""
        is_pair = isinstance(index, tuple) and len(index) == 2
        if not is_pair or index[0] not in range(1, self._hops + 2) or index[1] not in self._names:
            raise KeyError(f"Index '{index}' is not valid for indexed component 'at'")
        p, v = index
        if p == 1:
            return self._m.upto[1, v]
        return (1 if p > self._hops else self._m.upto[p, v]) - self._m.upto[p - 1, v]
