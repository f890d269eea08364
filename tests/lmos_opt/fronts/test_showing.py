"""Fronts as text, and what lists of completions show of nouns."""

from __future__ import annotations

import re

import pytest

from lmos_opt import Front, Instance, pareto_front
from lmos_opt.fronts.showing import SHOWN
from tests.lmos_opt.documents import chain_data, front_data, instance_data, layer
from tests.lmos_opt.fronts.test_combining import front


def test_a_latex_table_by_hand():
    found = Front.from_dict(front_data() | {"complete": True, "reason": None})
    assert found.to_latex() == (
        "\\begin{tabular}{rrrrr}\n\\toprule\nlatency (s) & memory (B) & price (EUR) & $x_1$ & $x_2$ \\\\\n\\midrule\n"
        "0.5 & 0 & -1.5 & 0 & 3 \\\\\n1.5 & 6500000000 & 2 & 2 & 1 \\\\\n\\bottomrule\n\\end{tabular}\n")  # fmt: skip
    text = found.to_latex("50 % & more_of_it", "tab:front_1")
    assert text.startswith("\\begin{table}\n\\centering\n\\caption{50 \\% \\& more\\_of\\_it}\n\\label{tab:front_1}\n")
    assert text.endswith("\\end{tabular}\n\\end{table}\n")


def test_what_a_notebook_shows_is_escaped_and_short():
    many = front([(float(k), k) for k in range(3 * SHOWN)], instance="<b>&")
    text = many._repr_html_()
    assert "&lt;b&gt;&amp;: 60 points" in text
    assert len(re.findall("<tr>", text)) == 1 + SHOWN + 1
    assert "<td>0</td>" in text
    assert f"<td>{3 * SHOWN - 1}</td>" in text
    part = Front.from_dict(front_data())._repr_html_()
    assert "incomplete: " in part
    assert "2 points" in part
    one = pareto_front(Instance.from_dict(instance_data(layer("a", "input", edge=0.1))), ["latency", "memory"])
    assert one.remark.replace("'", "&#x27;") in one._repr_html_()


@pytest.mark.parametrize("make", [lambda: pareto_front(Instance.from_dict(chain_data())), lambda: Instance.from_dict(chain_data()),
                                  lambda: pareto_front(Instance.from_dict(chain_data()))[0]])  # fmt: skip
def test_completions_show_what_is_of_use_and_no_machinery(make):
    shown = [name for name in dir(make()) if not name.startswith("_")]
    assert not [name for name in shown if name.startswith("model_")]
    assert not {"json", "parse_obj", "construct", "dict", "schema_json", "from_orm", "validate", "copy"} & {*shown}
    found = make()
    assert all(hasattr(found, name) for name in type(found).model_fields)
    assert {*type(found).model_fields} <= {*dir(found)}
