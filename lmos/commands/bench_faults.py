"""`lmos bench faults`: what happens to images when something happens to the server, the link or the disk; and who is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lmos.lists import names_of
from lmos.output import activity, err, out, print_json, table
from lmos_opt.errors import LmosError, MissingExtraError
from lmos_opt.units import counted, format_time

if TYPE_CHECKING:
    from lmos.bench.faults.refusals import Refused
    from lmos.bench.faults.scenes import Outcome

NETWORK, X1 = "squeezenet1_1", 35
"""Trained, so that its classes mean something; 32 kB cross after 35 of its 66 layers."""
X2, PATH = 50, "rpi4 > 10Mbps > jetson-orin-nano-cpu > 10Mbps > i7-8700"
"""Over three places."""
REFUSALS = "refusals"


class Disturbed(LmosError):
    """An image was lost, or has another class than in a run that nothing happens to; or a refusal was not clear."""


def run(n: int, only: str | None, pipelined: bool, as_json: bool) -> None:
    """Play the scenes and print; InputError for a scene that is none, Disturbed if one did harm."""
    if find_spec("torch") is None:
        raise MissingExtraError("the benchmark of faults", "torch")
    names = _names(only)
    with activity("playing") as tell, TemporaryDirectory() as folder:
        outcomes = _play(names, n, pipelined, Path(folder), tell)
        refused = _refuse(Path(folder), tell) if REFUSALS in names else []
    if as_json:
        found = {"network": NETWORK, "x1": X1, "pipelined": pipelined, "scenes": [asdict(one) for one in outcomes],
                 "refusals": [asdict(one) for one in refused]}  # fmt: skip
        print_json(json.dumps(found, indent=1) + "\n")
    else:
        _print(outcomes, refused, n, pipelined)
    bad = [one.scene for one in outcomes if not one.is_good] + [one.case for one in refused if not one.is_clear]
    if bad:
        raise Disturbed(f"not as it should be: {', '.join(bad)}")


def _names(only: str | None) -> list[str]:
    from lmos.bench.faults.disk import DISK
    from lmos.bench.faults.scenes import SCENES

    known = [*(scene.name for scene in SCENES), DISK.name, REFUSALS]
    return known if only is None else names_of(only, "--only", known)


def _play(names: Sequence[str], n: int, pipelined: bool, folder: Path, tell: Callable[[str], None]) -> list[Outcome]:
    from lmos.bench.faults.disk import DISK, NotHere, play_disk
    from lmos.bench.faults.scenes import SCENES, play, undisturbed
    from lmos.bench.faults.stage import planned, planned_over

    scenes = [scene for scene in SCENES if scene.name in names]
    if not scenes and DISK.name not in names:
        return []
    plan, _ = planned(NETWORK, X1)
    over_three = planned_over(NETWORK, PATH, (X1, X2))
    expected = undisturbed(planned(NETWORK, None)[0], n)
    found = [play(scene, plan if scene.place is None else over_three, n, expected, folder, pipelined, tell) for scene in scenes]
    if DISK.name in names:
        tell(DISK.name)
        try:
            found.append(play_disk(plan, n, expected, folder))
        except NotHere as error:
            err().print(str(error))
    return found


def _refuse(folder: Path, tell: Callable[[str], None]) -> list[Refused]:
    from lmos.bench.faults.refusals import refusals

    return list(refusals(folder, tell=lambda case: tell(f"refusing: {case}")))


def _print(outcomes: Sequence[Outcome], refused: Sequence[Refused], n: int, pipelined: bool) -> None:
    if outcomes:
        rows = [[one.scene, one.what + (f" ({one.events})" if one.events else ""), str(one.lost), str(one.differing),
                 str(one.fallbacks), str(one.retries), format_time(one.slowest_s), f"{one.seconds:.1f} s"]
                for one in outcomes]  # fmt: skip
        out().print(table(f"{counted(n, 'image')} a scene, {NETWORK}, {counted(X1, 'layer')} at the edge"
                          f"{', pipelined' if pipelined else ''}",
                          ["scene", "what happens", "lost", "other class", "finished at the edge", "sent again", "slowest image",
                           "in all"], rows, left=[0, 1]))  # fmt: skip
    for one in refused:
        out().print(f"{one.case}\n  edge: {' / '.join(one.edge)}\n  server: {' / '.join(dict.fromkeys(one.server))}"
                    + ("\n  the server opened the plan all the same" if one.was_opened else ""))
