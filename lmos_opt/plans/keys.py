"""The keys of a plan's files: those of two places (`lmos.plan/1`), and of more (`lmos.plan/2`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmos_opt.errors import InvalidError, Problem

TWO, PLACES = "lmos.plan/1", "lmos.plan/2"
LAYER_KEYS = frozenset({"edge_layers", "places"})
"""Where a plan's file names layers."""
_OF_TWO = ("edge_layers", "x1", "x2")
_FIELDS = ("n_layers", "later_layers", "later_crossing", "policy", "later_policies")
_LINK = ("bandwidth_bytes_per_s", "back_bytes_per_s", "rtt_s")


def from_places(data: Any) -> Any:
    """The fields of a plan from the keys of a file over any number of places. Keys of other files are returned unchanged.

    InvalidError for wrong keys.
    """
    if not isinstance(data, Mapping) or data.get("schema") != PLACES:
        return data
    places, crossing = data.get("places"), data.get("crossing")
    problems = [Problem(key, "is not a key of this schema") for key in (*_OF_TWO, *_FIELDS) if key in data]
    if not _are_lists(places) or len(places or ()) < 3:
        problems.append(Problem("places", "is missing" if places is None else "expected at least three lists of layers"))
    elif not _are_lists(crossing) or len(crossing or ()) != len(places or ()) - 1:
        problems.append(Problem("crossing", "is missing" if crossing is None else
                                f"expected a list of tensors for each of {len(places or ()) - 1} hops"))
    policies = data.get("policies", ())
    if not isinstance(policies, list | tuple) or (policies and len(policies) != len(crossing or ())):
        problems.append(Problem("policies", "expected a policy, or null, for each hop"))
    if problems:
        raise InvalidError(problems)
    assert isinstance(places, Sequence)
    assert isinstance(crossing, Sequence)
    rest = {key: value for key, value in data.items() if key not in ("places", "crossing", "policies")}
    if policies:
        rest |= {"policy": policies[0], "later_policies": policies[1:]}
    return {**rest, "edge_layers": places[0], "n_layers": sum(map(len, places)), "later_layers": places[1:],
            "crossing": crossing[0], "later_crossing": crossing[1:]}  # fmt: skip


def to_places(found: dict[str, Any]) -> dict[str, Any]:
    """The keys of a plan's file from its fields. The file of two places has no keys of further ones."""
    later, beyond, policies = (found.pop(key, ()) for key in _FIELDS if key.startswith("later_"))
    if not later:
        return found
    spelled = {"edge_layers": ("places", [found["edge_layers"], *later]), "crossing": ("crossing", [found["crossing"], *beyond]),
               "policy": ("policies", [found["policy"], *(policies or [None] * len(beyond))])}  # fmt: skip
    return dict(spelled.get(key, (key, value)) for key, value in found.items() if key not in _OF_TWO[1:])


def in_places(path: str) -> str:
    """The path, in a file over any number of places, of the key that has this path among a plan's fields."""
    for field, key in (("edge_layers", "places"), ("crossing", "crossing"), ("policy", "policies")):
        path = re.sub(rf"^{field}(?=\W|$)", f"{key}[0]", path)
    for field, key in (("later_layers", "places"), ("later_crossing", "crossing"), ("later_policies", "policies")):
        path = re.sub(rf"^{field}\[(\d+)\]", lambda found, key=key: f"{key}[{int(found[1]) + 1}]", path)  # type: ignore[misc]
    return path


def setting_from_places(data: Any) -> Any:
    """The fields of a setting from the keys of its file.

    Over more than two places, the fields of two places have the values of the first and the last place, and of the first hop.
    InvalidError for wrong keys.
    """
    if not isinstance(data, Mapping) or not data.get("places"):
        return data
    places, hops = data["places"], data.get("hops")
    if not _are_records(places) or not _are_records(hops) or len(places) < 3 or len(hops or ()) != len(places) - 1:
        raise InvalidError([Problem("places", "expected at least three, and hops between them")])
    assert isinstance(hops, Sequence)
    ends = {"edge": places[0].get("name"), "server": places[-1].get("name"),
            "memory_limit_bytes": places[0].get("memory_limit_bytes")}  # fmt: skip
    return {**data, **ends, **{key: hops[0].get(key) for key in _LINK}}


def setting_to_places(found: dict[str, Any]) -> dict[str, Any]:
    """The keys of a setting's file from its fields."""
    if not found.get("places"):
        found.pop("places", None), found.pop("hops", None)
        return found
    places = [{key: value for key, value in place.items() if key != "power" or value is not None} for place in found["places"]]
    rest = {key: value for key, value in found.items() if key not in ("edge", "server", "memory_limit_bytes", *_LINK)}
    return {"places": places, "hops": found["hops"], **{k: v for k, v in rest.items() if k not in ("places", "hops")}}


def _are_lists(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, list | tuple) for item in value)


def _are_records(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)
