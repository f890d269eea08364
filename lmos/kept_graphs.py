"""Graphs that are kept on disk: `lmos serve` and `lmos run` read what `lmos profile` traced, or another of them before.

A graph's key is the digest of its network, the inputs, and the versions of what traces. It is no proof: whoever reads it holds it
against the network itself, which is built each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from lmos.kept import imported, shared_cache, unchanged, versions
from lmos_opt.cache import SharedCache
from lmos_opt.profile import NetworkSource
from lmos_opt.tensors import TakesInputs


@dataclass(frozen=True)
class KeptGraphs:
    """Graphs in the folder of what is kept."""

    cache: SharedCache

    @classmethod
    def here(cls) -> Self | None:
        """The kept graphs of this user; None if nothing is kept."""
        cache = shared_cache()
        return None if cache is None else cls(cache)

    def read(self, source: NetworkSource, inputs: TakesInputs) -> dict[str, Any] | None:
        """The graph of a network for these inputs; None if there is none, or the code that built it has changed."""
        entry = self.cache.read(self._key(source, inputs))
        if not isinstance(entry, dict) or not unchanged(entry.get("files")):
            return None
        found = entry.get("graph")
        return found if isinstance(found, dict) else None

    def write(self, source: NetworkSource, inputs: TakesInputs, document: dict[str, Any]) -> None:
        """Keep a graph, unless the code that built its network may be newer than this process."""
        files = imported(source.builder)
        if files is not None:
            self.cache.write(self._key(source, inputs), {"graph": document, "files": files})

    def _key(self, source: NetworkSource, inputs: TakesInputs) -> str:
        taken = {name: spec.model_dump(mode="json") for name, spec in inputs.input_tensors.items()}
        return self.cache.key("graph", {"digest": source.digest, "opaque": list(source.opaque), "inputs": taken,
                                        "arguments": str(inputs.arguments), **versions()})  # fmt: skip
