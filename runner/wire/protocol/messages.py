"""The messages of both sides: each is a frame's header with a schema; some also have a payload.

Tensor bytes are little endian and lie in the payload in the order of the header's `tensors`, each beginning at the
next multiple of ALIGNMENT; the payload ends with the last one. Nothing in a message is ever executed.
docs/protocol.md describes the same for authors of other clients.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.files import Amount, Count, Flag, Name, Record, Text
from lmos_opt.profile import Granularity, NetworkSource, Timing
from lmos_opt.tensors import Argument, InputSpec, brief_inputs, settle_inputs
from runner.errors import one_line
from runner.machine import Machine
from runner.wire.protocol.frames import LARGEST_TOKEN, FrameType
from runner.wire.protocol.headers import LARGEST_PAYLOAD_BYTES, MOST_TENSORS, Tensors
from runner.wire.protocol.side import TRAILER, Brief
from runner.wire.protocol.turns import LARGEST_PROBE_BYTES, MOST_PLACES, MOST_UNANSWERED, ErrorCode

MOST_LAYERS, LONGEST_MEASURING_S = 20_000, 60.0
MOST_PIECES = 2**16
PLACES, ONWARD, MEASURE, CODECS, TEXTS = "places", "onward", "measure", "codecs", "texts"
CAPABILITIES = ("probe", "resend", TRAILER, PLACES, MEASURE, CODECS, TEXTS)
"""What this side can do, in addition to its codecs, and to ONWARD if it knows a next place and measures the hop to it. A side uses
only what the other side named, and ignores names that it does not know."""

Capabilities = Annotated[tuple[Name, ...], Field(max_length=32)]
ShortName = Annotated[Name, Field(max_length=100)]
ProbeBytes = Annotated[Count, Field(le=LARGEST_PROBE_BYTES)]
OneLine = Annotated[Text, Field(max_length=2000), AfterValidator(one_line)]


class Message(Record):
    """Base of all messages; `TYPE` is its frame type."""

    TYPE: ClassVar[FrameType]

    @property
    def payload_bytes(self) -> int:
        """Length of the payload that must follow the header."""
        return 0

    def brief(self) -> Brief:
        """What its turn and payload are judged by."""
        values = vars(self)
        return Brief(self.TYPE, values.get("id"), self.payload_bytes, values.get("window"), values.get("capabilities", ()))


class Hello(Message):
    """Edge, first: its software, the token if the server wants one, and what the edge can do."""

    TYPE = FrameType.HELLO
    software: Name
    capabilities: Capabilities = ()
    token: Annotated[str, Field(max_length=LARGEST_TOKEN)] | None = Field(default=None, repr=False)


class Welcome(Message):
    """Server: its software, what it can do, and its limits.

    `window` is how many INFER may wait for their RESULT at once, `idle_s` how long the edge may stay silent.
    """

    TYPE = FrameType.WELCOME
    software: Name
    capabilities: Capabilities = ()
    window: Annotated[Count, Field(ge=1, le=MOST_UNANSWERED)]
    idle_s: Amount


class _OfNetwork(Message):
    """Of a network; its inputs stand as in a plan."""

    network: NetworkSource
    granularity: Granularity
    input: InputSpec | None = None
    input_tensors: Annotated[dict[Name, InputSpec], Field(max_length=MOST_TENSORS)] = Field(default_factory=dict)
    arguments: dict[Name, Argument] | None = None

    @model_validator(mode="after")
    def _inputs(self) -> Self:
        return settle_inputs(self)

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _without_empty(brief_inputs(self, serialise(self)), "later_layers", "codecs")


class Open(_OfNetwork):
    """Edge: build this network, check its digest, and run everything that is not in `edge_layers`.

    Over more than two places, `edge_layers` are those of all places before the server, and `later_layers` has the layers of the
    server and of each place after it. The server runs the first of these, and asks the next place, whose address its operator gave,
    for the rest. `codec` encodes every tensor except those that `codecs` names.
    `session` is random and chosen by the edge. After a lost connection the edge sends it again, and requests keep their ids.
    """

    TYPE = FrameType.OPEN
    session: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    edge_layers: tuple[Name, ...]
    later_layers: Annotated[tuple[tuple[Name, ...], ...], Field(max_length=MOST_PLACES)] = ()
    codec: ShortName
    codecs: Annotated[dict[Name, ShortName], Field(max_length=MOST_TENSORS)] = Field(default_factory=dict)


class Ready(Message):
    """Server: the tail is built, checked and warmed up. `result_bytes` is the most that a RESULT's payload may have; `beyond` are
    the machines of the places after the server."""

    TYPE = FrameType.READY
    result_bytes: Annotated[Count, Field(le=LARGEST_PAYLOAD_BYTES)]
    machine: Machine
    beyond: Annotated[tuple[Machine, ...], Field(max_length=MOST_PLACES)] = ()

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _without_empty(serialise(self), "beyond")


class _WithTensors(Message):
    id: Count
    tensors: Tensors

    @property
    def payload_bytes(self) -> int:
        return self.tensors.payload_bytes

    def brief(self) -> Brief:
        return Brief(self.TYPE, self.id, self.tensors.payload_bytes)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        if len(self.tensors) > 1 and len({tensor.name for tensor in self.tensors}) != len(self.tensors):
            raise ValueError("tensors: a name stands twice")
        return self


class TextStep(Record):
    """Where tensors of a decoder belong: in the session's text with this `number`, after its first `position` tokens.

    They went through the edge's blocks in passes of so many tokens (`pieces`), and go through later blocks in the same passes. The
    next token is the most probable one, or one drawn at a `temperature` from a `seed`. `ends`: the text is over, and its state may
    be dropped.
    """

    number: Count
    position: Count
    pieces: Annotated[tuple[Annotated[Count, Field(ge=1)], ...], Field(max_length=MOST_PIECES)] = ()
    temperature: Annotated[Amount, Field(gt=0)] | None = None
    seed: Count = 0
    ends: Flag = False

    @property
    def length(self) -> int:
        """How many tokens the text has with these."""
        return self.position + sum(self.pieces)


class Infer(_WithTensors):
    """Edge: the crossing tensors of one image, encoded by the conversation's codec, and the sizes that the tail needs. With
    `as_they_are` tensors are not encoded, by later places neither. With a `text`, the tensors are of some of its tokens."""

    TYPE = FrameType.INFER
    scalars: dict[Name, JsonValue]
    as_they_are: Flag = False
    text: TextStep | None = None

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _without_empty(serialise(self), "as_they_are", "text")


class Span(Record):
    """The times (s) of a question on a further hop and at the place that it leads to: `t_tx_s` on the hop, with the answer's way
    back, `t_server_s` of the place's part, `t_queue_s` of the wait there. Under a codec, `t_decode_s` and `t_encode_s` are parts of
    `t_server_s`. `sent_bytes` went over the hop."""

    t_tx_s: Amount
    t_server_s: Amount
    t_queue_s: Amount = 0.0
    t_decode_s: Amount = 0.0
    t_encode_s: Amount = 0.0
    sent_bytes: Count | None = None

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _without_empty(serialise(self), "t_decode_s", "t_encode_s", "sent_bytes")

    @property
    def t_s(self) -> float:
        """All of it."""
        return self.t_tx_s + self.t_server_s + self.t_queue_s


class Result(_WithTensors):
    """Server: its part of the network's output, not encoded, and the time of the tail (s) when the question first came.

    `t_decode_s` (decoding) and `t_encode_s` (encoding for the next place) are parts of that time. `t_queue_s` passed from the
    question's last byte until the tail began. `beyond` has the times of each place after the server. Of a text, `held` is how many
    of its tokens the server and all places after it hold now. If one of them has lost some, these are fewer than the question
    needs, and there are no tensors.
    """

    TYPE = FrameType.RESULT
    t_server_s: Amount
    t_decode_s: Amount = 0.0
    t_encode_s: Amount = 0.0
    t_queue_s: Amount = 0.0
    beyond: Annotated[tuple[Span, ...], Field(max_length=MOST_PLACES)] = ()
    held: Count | None = None

    @property
    def span_s(self) -> float:
        """From the question's last byte until the answer could be sent, as all places say (s)."""
        return self.t_server_s + self.t_queue_s + sum([span.t_s for span in self.beyond])

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found = _without_empty(serialise(self), "beyond", "t_encode_s")
        if self.held is None:
            found.pop("held", None)
        return found

    @model_validator(mode="after")
    def _as_they_are(self) -> Self:
        if any(tensor.encoded_bytes is not None for tensor in self.tensors):
            raise ValueError("tensors: outputs travel as they are")
        return self


class Ping(Message):
    """Edge: asks for a sign of life. The server answers at once, even while it computes."""

    TYPE = FrameType.PING
    id: Count


class Pong(Message):
    """Server: the answer to a PING."""

    TYPE = FrameType.PONG
    id: Count


class Probe(Message):
    """Edge: take these bytes, which mean nothing, and send `echo_bytes` bytes back. Measures a link.

    For a later `hop` than the first there is no payload: the place before that hop sends the bytes over it, and reports the time.
    """

    TYPE = FrameType.PROBE
    id: Count
    probe_bytes: ProbeBytes
    echo_bytes: ProbeBytes
    hop: Annotated[Count, Field(ge=1, le=MOST_PLACES)] = 1

    @property
    def payload_bytes(self) -> int:
        """Length of the payload."""
        return self.probe_bytes if self.hop == 1 else 0

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        return found if self.hop > 1 else {key: value for key, value in found.items() if key != "hop"}


class Echo(Message):
    """Server: the answer to a PROBE; `t_server_s` passed between the probe's last byte and this message (s).

    For a later hop than the first, `t_hop_s` is the time of the exchange over that hop, and `t_server_s` the part of it at the
    place after the hop. There is no payload.
    """

    TYPE = FrameType.ECHO
    id: Count
    echo_bytes: ProbeBytes
    t_server_s: Amount
    t_hop_s: Amount | None = None

    @property
    def payload_bytes(self) -> int:
        """Length of the payload."""
        return self.echo_bytes if self.t_hop_s is None else 0

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        return found if self.t_hop_s is not None else {key: value for key, value in found.items() if key != "t_hop_s"}


class Measure(_OfNetwork):
    """Edge: build this network, check its digest, and time its layers on the server's machine, for `budget_s` (s) at most."""

    TYPE = FrameType.MEASURE
    id: Count
    budget_s: Annotated[Amount, Field(gt=0, le=LONGEST_MEASURING_S)]


class LayerTime(Record):
    """A layer's time as a profile has it: the median (s), the ends of its interval, and the most bytes that it held."""

    name: Name
    t_s: Amount
    low_s: Amount | None = None
    high_s: Amount | None = None
    peak_bytes: Count | None = None


class Measured(Message):
    """Server: the times of all layers, how they were measured, and on which machine."""

    TYPE = FrameType.MEASURED
    id: Count
    layers: Annotated[tuple[LayerTime, ...], Field(max_length=MOST_LAYERS)]
    timing: Timing
    machine: Machine


class Error(Message):
    """Server: why this conversation ends; `id` is the id of the INFER that caused it, if one did."""

    TYPE = FrameType.ERROR
    code: ErrorCode
    message: OneLine
    id: Count | None = None

    @classmethod
    def of(cls, code: ErrorCode, text: object, request: int | None = None) -> Error:
        """An error of one printable line."""
        return cls(code=code, message=one_line(text), id=request)


class Bye(Message):
    """Edge: ends the conversation."""

    TYPE = FrameType.BYE


def _without_empty(found: dict[str, object], *keys: str) -> dict[str, object]:
    """A message without keys that say nothing: peers that know two places alone do not know them."""
    return {key: value for key, value in found.items() if value or key not in keys}


MESSAGES: dict[FrameType, type[Message]] = {
    m.TYPE: m for m in (Hello, Welcome, Open, Ready, Infer, Result, Ping, Pong, Probe, Echo, Error, Bye, Measure, Measured)
}
Question = Infer | Ping | Probe | Measure
Answer = Result | Pong | Echo | Measured
