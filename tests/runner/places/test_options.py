"""Options as records: each field is a keyword of the call that takes the record, of the same type."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from runner.places.edge import run_plan
from runner.places.options import ConnectKeywords, ConnectOptions, RunKeywords, RunOptions, ServeKeywords, ServeOptions
from tests.runner.running import BRANCHED, Plans


@pytest.mark.parametrize(("record", "keywords"), [
    (ConnectOptions, ConnectKeywords), (RunOptions, RunKeywords), (ServeOptions, ServeKeywords),
])
def test_keywords_are_the_fields(record: Any, keywords: Any):
    assert {field.name for field in fields(record)} == set(get_type_hints(keywords))
    assert get_type_hints(record) == get_type_hints(keywords)


def test_a_keyword_goes_before_the_record_and_an_unknown_one_is_refused():
    options = RunOptions(networks=[BRANCHED], n=0)
    assert run_plan(Plans(BRANCHED)(-1), ("127.0.0.1", 1), options, n=2).images == 2
    with pytest.raises(TypeError, match="picture"):
        run_plan(Plans(BRANCHED)(-1), ("127.0.0.1", 1), options, picture=2)  # type: ignore[call-arg]
