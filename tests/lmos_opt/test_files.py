"""Documents: they read back equal, stay as they are, refuse what is wrong with its path, and are written whole or not."""

from __future__ import annotations

import copy
import inspect
import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pydantic
import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmos_opt import InputError, Instance
from lmos_opt.files import LARGEST_WHOLE, Document, Record, parse_json, read_json
from tests.lmos_opt import documents
from tests.lmos_opt.documents import chain_data, examples, instance_data, layer, listed

EXAMPLES = examples()
EACH = pytest.mark.parametrize("document", EXAMPLES.values(), ids=EXAMPLES.keys())
JsonPath = tuple[int | str, ...]


def spelled(path: JsonPath) -> str:
    """`layers[0].name` for ("layers", 0, "name")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def leaves(value: Any, path: JsonPath = ()) -> Iterator[tuple[JsonPath, Any]]:
    """Every value that is neither an object nor a list, with its path."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def objects(value: Any, path: JsonPath = ()) -> Iterator[tuple[JsonPath, dict[str, Any]]]:
    """Every object, with its path."""
    if isinstance(value, dict):
        yield path, value
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from objects(item, (*path, key))


def changed(data: dict[str, Any], path: JsonPath, value: Any) -> dict[str, Any]:
    """A copy with the value at the path."""
    found = copy.deepcopy(data)
    target: Any = found
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return found


def problems(document: Document, data: object) -> list[str]:
    """The paths of what is wrong with the data, as a file of the document's kind."""
    with pytest.raises(InputError) as caught:
        type(document).from_dict(data, "some.json")
    assert str(caught.value).startswith("some.json: ")
    return [problem.path for problem in caught.value.problems]


@EACH
def test_the_example_reads_back_equal(document, tmp_path):
    file = tmp_path / f"{type(document).__name__}.json"
    document.save(file)
    again = type(document).load(file)
    assert again == document
    assert again.to_dict() == document.to_dict() == json.loads(file.read_text())
    assert type(document).from_dict(document.to_dict()) == document
    assert listed(tmp_path) == [file.name]


@given(st.one_of(documents.instances(), documents.profiles(), documents.fronts(), documents.plans()))
def test_any_document_reads_back_equal(document):
    data = document.to_json().encode()
    again = type(document).from_dict(parse_json(data, "some.json"))
    assert again == document
    assert again.to_json().encode() == data


def test_a_document_equals_its_copy_after_both_were_used():
    one, other = Instance.from_dict(chain_data()), Instance.from_dict(chain_data())
    assert one.consumers["a"] == ("b",)
    assert one == other


@EACH
def test_documents_are_frozen(document):
    for name in type(document).model_fields:
        with pytest.raises(pydantic.ValidationError):
            setattr(document, name, None)


@EACH
def test_a_wrong_type_anywhere_is_refused_with_its_path_and_value(document):
    data = document.to_dict()
    for path, value in leaves(data):
        wrong: list[Any] = [{"an": "object"}]
        if isinstance(value, str):
            wrong += [None] if path[-1] not in ("class_name", "constrained", "cpu") else []
            wrong += [5]
        elif isinstance(value, bool):
            wrong += [1, "true", None]
        elif isinstance(value, int | float):
            wrong += [float("nan"), float("inf"), True] + ["12"] * ("spread" not in path)
        for bad in wrong:
            found = problems(document, changed(data, path, bad))
            assert found
            assert all(p == spelled(path) or (value is None and p.startswith(f"{spelled(path)}.")) for p in found), found


@EACH
def test_negative_times_and_sizes_are_refused_with_their_path(document):
    data = document.to_dict()
    free = {"values", "predicted", "price", "spread", "errors", "mean", "std", "scale"}
    amounts = [path for path, value in leaves(data) if type(value) in (int, float) and not free & set(path)]
    assert amounts
    for path in amounts:
        with pytest.raises(InputError) as caught:
            type(document).from_dict(changed(data, path, -1), "some.json")
        assert f"{spelled(path)}: got -1, expected greater than or equal to" in str(caught.value)


OPTIONAL = {
    "power", "ops_per_cycle_by_kind", "unknown_operations", "timing", "t_local_s", "t_local_low_s",
    "t_local_high_s", "peak_local_bytes", "errors", "low", "high", "predicted_interval", "complete", "reason", "constrained",
    "codec", "codecs", "coding", "wire_bytes", "encode_s", "decode_s", "parts", "at_places", "t_server_encode_s", "hop", "counts",
    "counts_before", "counts_after",
    "schema", "retries", "t_queue_s", "finished_at", "failed", "pipelined", "elapsed_s", "goodput_images_per_s", "began_s",
    "work", "cost", "rates", "held_out", "happened", "t_tail_s", "policy", "adapted", "adaptation", "cut",
    "t_encode_s", "t_decode_s", "sent_bytes", "compared", "returned", "back_bytes_per_s",
    "preprocessing", "interpolation", "origin", "skipped",
    "beyond", "returns", "received_bytes", "t_server_queue_s", "result", "shown", "promise",
}  # fmt: skip


@EACH
def test_a_missing_key_and_an_unknown_one_are_refused_with_their_path(document):
    data = document.to_dict()
    for path, found in objects(data):
        if {"values", "predicted", "timing", "versions", "ops_per_cycle_by_kind", "measured", "errors",
                "predicted_interval"} & set(path[-1:]):
            continue  # maps from names to numbers
        for key in set(found) - OPTIONAL:
            without = changed(data, (*path, key), None)
            target: Any = without
            for part in path:
                target = target[part]
            del target[key]
            assert spelled((*path, key)) in problems(document, without)
        if not (isinstance(document, Instance) and "layers" in path):  # there, further numbers are welcome
            assert problems(document, changed(data, (*path, "colour"), 1)) == [spelled((*path, "colour"))]


@EACH
def test_an_unknown_schema_and_anything_but_an_object_are_refused(document):
    data = document.to_dict()
    for schema in ("lmos.instance/9", "lmos", "", None, 1, ["lmos.instance/1"]):
        assert problems(document, data | {"schema": schema}) == ["schema"]
    assert problems(document, {key: value for key, value in data.items() if key != "schema"}) == ["schema"]
    for other in ([], [data], "text", 5, None, True):
        assert problems(document, other) == [""]


def test_everything_wrong_is_reported_at_once():
    data = instance_data(layer("a", "input", edge=-1.0), layer("b", "a", out=0.5), rtt_s="soon", input_bytes=None)
    del data["layers"][1]["weight_bytes"]
    with pytest.raises(InputError) as caught:
        Instance.from_dict(data, "bad.json")
    assert str(caught.value) == (
        "bad.json: input_bytes: got null, expected a valid integer; rtt_s: got \"soon\", expected a valid number; "
        "layers[0].t_edge_s: got -1.0, expected greater than or equal to 0; layers[1].weight_bytes: is missing; "
        "layers[1].output_bytes: got 0.5, expected a valid integer"
    )


def test_a_long_list_of_problems_is_cut_and_counted():
    data = instance_data(*(layer(f"v{k}", "input", edge=-1.0) for k in range(20)))
    with pytest.raises(InputError, match=r"; and 12 more$") as caught:
        Instance.from_dict(data)
    assert len(caught.value.problems) == 20


@pytest.mark.parametrize("value", [10**400, LARGEST_WHOLE + 1, 1e300])
def test_numbers_too_large_to_compute_with_are_refused(value):
    assert problems(EXAMPLES["instance"], chain_data(input_bytes=value)) == ["input_bytes"]
    assert problems(EXAMPLES["instance"], chain_data(rtt_s=value)) == ["rtt_s"]


def test_a_whole_float_is_a_count_and_a_fraction_is_not():
    assert Instance.from_dict(chain_data(input_bytes=4000.0)) == Instance.from_dict(chain_data())
    assert problems(EXAMPLES["instance"], chain_data(input_bytes=4000.5)) == ["input_bytes"]


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "a\tb", "\x1b[31m", "x" * 501, "a\u2028b"])
def test_names_are_printable(name):
    assert problems(EXAMPLES["instance"], chain_data(name=name)) == ["name"]


def test_text_that_no_file_can_hold_is_refused():
    """JSON spells half a surrogate pair, UTF-8 cannot: what was read could not have been written."""
    front = documents.front_data()
    assert problems(EXAMPLES["front"], front | {"reason": "\ud800"}) == ["reason"]
    sense = {"objectives": [front["objectives"][0] | {"sense": "\ud800"}, *front["objectives"][1:]]}
    assert problems(EXAMPLES["front"], front | sense) == ["objectives[0].sense"], "of a few words, which pydantic compares itself"
    data = instance_data({**layer("a", "input"), "\ud800": 1.0})
    assert problems(EXAMPLES["instance"], data) == ["layers[0]"]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b"{", "is not JSON: .*line 1, column 2"), (b"{} x", "Extra data"),
        (b"\xff\xfe{}", r"is not UTF-8 text \(byte 0\)"), (b'{"a": NaN}', "a: got NaN, expected a finite number"),
        (b"[1, -Infinity, NaN]", r"\[1\]: got -Infinity, .*; \[2\]: got NaN"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key \"c\" stands twice"),
        (b"[" * 100_000, "nested too deeply"), (b"9" * 5000, "is not usable JSON"), (b"{'a': 1}", "is not JSON"),
    ],
)  # fmt: skip
def test_json_is_read_strictly(data, complaint):
    with pytest.raises(InputError, match=f"^some.json: .*{complaint}"):
        parse_json(data, "some.json")


def test_json_may_begin_with_a_byte_order_mark():
    assert parse_json("\ufeff[\"ä\"]".encode(), "some.json") == ["ä"]


@pytest.mark.parametrize("name", ["none.json", "", "file/none.json"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"no such file|is a directory|not a directory"):
        read_json(tmp_path / name)


def test_a_file_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("lmos_opt.files.LARGEST_FILE_BYTES", 1000)
    with pytest.raises(InputError, match="larger than 1000 bytes"):
        read_json("/dev/zero")


class Written(Record):
    inside: Written | None = None

    @pydantic.model_serializer(mode="wrap")
    def _while_somebody_presses_ctrl_c(self, serialise: pydantic.SerializerFunctionWrapHandler) -> object:
        if self.inside is None:
            os.kill(os.getpid(), signal.SIGINT)
        return serialise(self)


@pytest.mark.parametrize("found", [Written(), Written(inside=Written())])
def test_an_interruption_while_something_is_written_is_one(found: Written) -> None:
    """pydantic makes a ValueError of it."""
    for write in (found.model_dump, found.model_dump_json):
        with pytest.raises(KeyboardInterrupt):
            write()


def test_what_else_goes_wrong_while_something_is_written_stays_what_it_is() -> None:
    class Wrong(Record):
        @pydantic.model_serializer
        def _wrong(self) -> object:
            raise RuntimeError("no words")

    with pytest.raises(pydantic_core.PydanticSerializationError, match="no words"):
        Wrong().model_dump()


@EACH
def test_help_shows_keywords_with_their_types_as_they_are_written(document):
    shown = inspect.signature(type(document))
    assert {*shown.parameters} == {field.alias or name for name, field in type(document).__pydantic_fields__.items()}
    assert not re.search(r"Strict|Validator\(func", str(shown))
