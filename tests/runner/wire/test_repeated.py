"""Headers that are read and written by their numbers alone are those that the messages' classes read and write."""

from __future__ import annotations

import json
import random

import pytest
from pydantic import ValidationError

from runner.wire.protocol import Infer, Message, Result, Span, TensorHeader, Tensors, repeated
from runner.wire.protocol.frames import FrameType
from runner.wire.protocol.messages import MESSAGES


def _header(name: str, *shape: int) -> TensorHeader:
    strides = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    return TensorHeader(name=name, dtype="float32", shape=shape, strides=tuple(strides))


HEADERS = Tensors((_header("features.0", 1, 3, 5), _header('},"scalars":{}} "id":7', 2), _header("é[0]", 1, 1)))


def test_what_is_written_is_what_the_class_writes_and_what_is_read_is_the_same_message() -> None:
    drawn = random.Random(0)
    for _ in range(200):
        tensors = Tensors(drawn.sample(HEADERS, drawn.randint(0, 3)))
        times = {key: drawn.choice([0.0, 1e-9, 3e-5, 0.25, drawn.random(), 12345.678])
                 for key in ("t_server_s", "t_decode_s", "t_queue_s")}  # fmt: skip
        question = repeated.infer(drawn.randint(0, 2**53), tensors, {})
        for message in (question, repeated.result(drawn.randint(0, 99), tensors, **times)):
            header = repeated.written(message)
            assert header is not None
            assert json.loads(header) == json.loads(message.model_dump_json())
            assert type(message).model_validate_json(header) == message
            assert repeated.read(message.TYPE, header) == (message if message.id < 10**15 else None)


def test_a_message_that_was_made_unchecked_is_as_one_that_was_checked() -> None:
    made = repeated.infer(3, HEADERS, {})
    assert made == Infer(id=3, tensors=HEADERS, scalars={})
    assert hash(made.tensors) == hash(HEADERS)
    assert made.model_copy(update={"id": 4}).id == 4
    assert made.payload_bytes == Infer(id=3, tensors=HEADERS, scalars={}).payload_bytes
    assert repeated.infer(3, HEADERS, {"size": 2}).scalars == {"size": 2}


def test_what_has_more_to_say_is_written_by_its_class() -> None:
    assert repeated.written(Infer(id=1, tensors=(), scalars={"size": 2})) is None
    assert repeated.written(Infer(id=1, tensors=(), scalars={}, as_they_are=True)) is None
    assert repeated.written(Result(id=1, tensors=(), t_server_s=1.0, beyond=(Span(t_tx_s=1.0, t_server_s=1.0),))) is None


ONE = HEADERS[0].model_dump_json()


@pytest.mark.parametrize(("kind", "header"), [
    (FrameType.INFER, f'{{"id":1,"tensors":[{ONE},{ONE}],"scalars":{{}}}}'),
    (FrameType.INFER, f'{{"id":1,"tensors":[{ONE}],"as_they_are":true,"tensors":[],"scalars":{{}}}}'),
    (FrameType.INFER, f'{{"id":1,"tensors":[{ONE}],"id":2,"tensors":[],"scalars":{{}}}}'),
    (FrameType.INFER, '{"id":01,"tensors":[],"scalars":{}}'),
    (FrameType.INFER, '{"id":9999999999999999999,"tensors":[],"scalars":{}}'),
    (FrameType.INFER, '{"id":1,"tensors":[{"name":"x"}],"scalars":{}}'),
    (FrameType.RESULT, f'{{"id":1,"tensors":[{ONE[:-1]},"encoded_bytes":4}}],"t_server_s":1.0,"t_decode_s":0.0,"t_queue_s":0.0}}'),
    (FrameType.RESULT, '{"id":1,"tensors":[],"t_server_s":-1.0,"t_decode_s":0.0,"t_queue_s":0.0}'),
    (FrameType.RESULT, '{"id":1,"tensors":[],"t_server_s":1e999,"t_decode_s":0.0,"t_queue_s":0.0}'),
    (FrameType.RESULT, '{"id":1,"tensors":[],"t_server_s":1.,"t_decode_s":0.0,"t_queue_s":0.0}'),
    (FrameType.RESULT, '{"id":1,"tensors":[],"t_server_s":2000000000000000.5,"t_decode_s":0.0,"t_queue_s":0.0}'),
])  # fmt: skip
def test_an_odd_header_is_read_as_its_class_reads_it(kind: FrameType, header: str) -> None:
    for _ in range(2):  # what is remembered is not another the second time
        found = repeated.read(kind, header.encode())
        wanted: Message | None = None
        try:
            wanted = MESSAGES[kind].model_validate_json(header)
        except ValidationError:
            assert found is None
        assert found is None or found == wanted
