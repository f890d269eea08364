"""Options that are lists with commas."""

from __future__ import annotations

import pytest

from lmos.lists import names_of, parts_of
from lmos_opt import InputError


def test_blanks_beside_commas_do_not_count() -> None:
    assert names_of(" latency , memory", "--objectives", ["memory", "latency"]) == ["latency", "memory"]
    assert parts_of("5Mbps, 5Mbps", "--rates") == ["5Mbps", "5Mbps"]


@pytest.mark.parametrize(("text", "said"), [
    ("", "--names: '' names none"), (" , ", "--names: ' , ' names none"), ("a,,b", "'a,,b' has an empty entry"),
    (",a", "',a' has an empty entry"), ("a, ", "'a, ' has an empty entry"), ("a,b, a", "'a,b, a' names 'a' twice"),
    ("a,x", "'x' is not one of a, b"),
])  # fmt: skip
def test_what_is_no_list_of_names_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        names_of(text, "--names", ["a", "b"])
