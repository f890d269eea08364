"""Rules are found by their files' names; what a page says of each."""

from __future__ import annotations

import pytest

from lmos_opt import Front, InputError, rules
from lmos_opt.rules.selection import RULES
from tests.lmos_opt.documents import front_data


def test_the_shipped_rules_stand_in_the_order_of_the_documentation():
    assert [rule.written for rule in rules.shipped()] == list(RULES)
    assert RULES[:6] == ("lmos", "knee", "ideal", "min_latency", "budget:SECONDS", "slack:PERCENT")
    assert rules.names() == sorted(rule.name for rule in rules.shipped())


@pytest.mark.parametrize(("text", "name"), [("knee", "knee"), ("budget:2s", "budget"), ("budget", "budget"), ("knee:3", "knee"),
                                            ("ECO", None), ("", None), ("moving", None), ("Knee", None)])  # fmt: skip
def test_a_text_names_a_rule_whatever_its_argument(text, name):
    found = rules.find_rule(text)
    assert (None if found is None else found.name) == name


def test_a_rule_and_its_argument_are_told_apart():
    rule, argument = rules.get("slack:50%")
    assert (rule.name, argument) == ("slack", "50%")


@pytest.mark.parametrize(("text", "message"), [
    ("knee:3", "'knee:3' takes no argument; expected knee"), ("slack", "'slack' lacks its argument; expected slack:PERCENT"),
    ("slack:", "'slack:' lacks its argument; expected slack:PERCENT"),
    ("best", f"'best' is not a selection rule; there are {', '.join(RULES)}"),
    ("Knee", f"'Knee' is not a selection rule; there are {', '.join(RULES)}; did you mean 'knee'?")])  # fmt: skip
def test_an_unknown_rule_and_a_wrong_number_of_arguments_are_refused(text, message):
    with pytest.raises(InputError) as caught:
        rules.get(text)
    assert str(caught.value) == f"rule: {message}"


@pytest.mark.parametrize(("text", "words"), [
    ("lmos", "the best value of the optimised objective, which is the paper's ranking read literally"),
    ("knee", "farthest from the line through the front's ends on the ideal point's side, all objectives scaled to [0, 1]; "
             "nearest to the ideal point where no point lies on that side"),
    ("ideal", "nearest to the ideal point, all objectives scaled to [0, 1]"),
    ("min_latency", "the least latency"),
    ("budget:1500ms", "the most edge memory within a latency of 1.500 s"),
    ("slack:50%", "the most edge memory within 50 % over the least latency"),
])  # fmt: skip
def test_what_a_rule_means_in_words(text, words):
    rule, argument = rules.get(text)
    assert rule.meaning(argument) == words


def test_the_least_latency_alone_is_about_latency():
    assert [rule.name for rule in rules.shipped() if rule.least_latency] == ["min_latency"]


def test_a_new_rule_is_one_new_file_and_is_known_everywhere(new_rule):
    new_rule("last", "from lmos_opt.rules import Rule\n"
                     'RULE = Rule("last", lambda front, _: len(front.points) - 1, lambda _: "the last point")\n')  # fmt: skip
    front = Front.from_dict(front_data())
    assert front.select("last") is front.points[-1]
    assert "last" in [rule.name for rule in rules.shipped()]
    with pytest.raises(InputError, match=r"slack:PERCENT, (\S+, )*last"):
        front.select("worst")
