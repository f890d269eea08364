"""The two machines' fronts, inputs, crossing tensors and classes beside each other: `compare.py WORK`; exit code 1 where classes or
fronts differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def main(work: Path) -> int:
    """Print what is equal, and by how much the rest differs."""
    is_equal = True
    for here in sorted(work.glob("*.here.json")):
        name = here.name.removesuffix(".here.json")
        ours, theirs = (_front(work / f"{name}.{machine}.json") for machine in ("here", "arm64"))
        is_equal &= ours == theirs
        _say(f"front of {name}: {len(ours)} points, {'equal to the last bit' if ours == theirs else 'DIFFERENT'}")
    here, arm64 = (np.load(work / f"{machine}.npz") for machine in ("here", "arm64"))
    _say(f"here: {here['machine']}\narm64: {arm64['machine']}")
    for what in ("input", "crossing"):
        names = [name for name in here.files if name.startswith(what)]
        same = sum(np.array_equal(here[name], arm64[name]) for name in names)
        worst = max(float(np.abs(here[name] - arm64[name]).max() / np.abs(here[name]).max()) for name in names)
        _say(f"{what}: {same} of {len(names)} equal to the last bit; at most {worst:.1e} of the largest value apart")
    wanted = _classes(work / "here.json")
    for edge in ("arm64", "torch"):
        if (report := work / f"{edge}.json").exists():
            found = _classes(report)
            is_equal &= found == wanted
            _say(f"classes, arm64 edge ({'without torch' if edge == 'arm64' else 'with torch'}): "
                  f"{sum(found.get(name) == number for name, number in wanted.items())} of {len(wanted)} equal")
    return 0 if is_equal else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _front(path: Path) -> list[object]:
    """The points alone: solver times differ."""
    return list(json.loads(path.read_text())["points"])


def _classes(path: Path) -> dict[str, int]:
    return {one["file"]: one["class"] for one in json.loads(path.read_text())["per_image"]}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
