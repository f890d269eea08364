"""Names of tensors, and what every list of layers has to satisfy."""

from __future__ import annotations

import pytest

from lmos_opt.errors import InvalidError
from lmos_opt.graph import check_order, tensor_names


@pytest.mark.parametrize(("layer", "count", "names"), [
    ("a", 1, ("a",)), ("a", 2, ("a[0]", "a[1]")), ("a[0]", 1, ("a[0][0]",)), ("a[x]", 1, ("a[x]",)), ("a", 0, ()),
])  # fmt: skip
def test_tensors_of_different_layers_have_different_names(layer, count, names):
    assert tensor_names(layer, count) == names


@pytest.mark.parametrize(("layers", "complaints"), [
    ([("a", ["input"]), ("a", ["a"])], ["layers[1].name: 'a' is already the name of layers[0]"]),
    ([("input", [])], ["layers[0].name: 'input' is reserved for an input"]),
    ([("a", ["z"])], ["layers[0].inputs[0]: 'z' is neither an earlier layer nor 'input'"]),
    ([("a", ["b"]), ("b", ["input"])], ["layers[0].inputs[0]: 'b' stands later in the list; expected topological order"]),
    ([("a", ["b"]), ("b", ["a"])], ["layers[0].inputs[0]: 'b' makes a cycle with 'a'; expected an earlier layer"]),
    ([("a", ["a"])], ["layers[0].inputs[0]: 'a' makes a cycle with 'a'; expected an earlier layer"]),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(layers, complaints):
    with pytest.raises(InvalidError) as caught:
        check_order(layers)
    assert [str(problem) for problem in caught.value.problems] == complaints


def test_several_inputs_are_all_named():
    check_order([("a", ["x", "y"]), ("b", ["a", "x"])], ("x", "y"))
    with pytest.raises(InvalidError, match="nor one of the inputs 'x', 'y'"):
        check_order([("a", ["z"])], ("x", "y"))
