"""A front's options: keywords and records say the same, with the same types."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from lmos_opt import Instance, pareto_front
from lmos_opt.fronts.options import FrontKeywords, FrontOptions, SearchKeywords, SearchOptions


@pytest.mark.parametrize(("record", "keywords"), [(SearchOptions, SearchKeywords), (FrontOptions, FrontKeywords)])
def test_keywords_are_the_fields(record: Any, keywords: Any):
    written = {name: kind.__forward_arg__ for name, kind in keywords.__annotations__.items()}
    assert {field.name: field.type for field in fields(record)} == written


def test_a_keyword_goes_before_the_record_and_an_unknown_one_is_refused():
    layers = [{"name": name, "inputs": [before], "t_edge_s": 0.5, "t_server_s": 0.1, "weight_bytes": 8, "output_bytes": 4}
              for name, before in (("a", "input"), ("b", "a"))]  # fmt: skip
    instance = Instance.from_dict({"schema": "lmos.instance/1", "name": "toy", "input_bytes": 100, "rtt_s": 0.0,
                                   "bandwidth_bytes_per_s": 1000.0, "memory_limit_bytes": None, "layers": layers})
    options = FrontOptions(proper_split=True, time_limit_s=0.0)
    front = pareto_front(instance, options=options, time_limit_s=None)
    assert front.complete
    assert [point.x1 for point in front.points] == [1]
    assert [point.x1 for point in pareto_front(instance, options=options, proper_split=False, time_limit_s=None).points] != [1]
    with pytest.raises(TypeError, match="solvers"):
        pareto_front(instance, options=options, solvers="highs")  # type: ignore[call-arg]
