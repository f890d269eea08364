"""`NetworkProfile`: a network in numbers: its real graph, and per layer the work, the weights and the output tensors.

Made by `measurement.profile_network`, read by everything after it; needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lmos_opt.codec_sizes import CodecName, Fidelity, MeasuredCodec, check_names
from lmos_opt.errors import InvalidError, Problem
from lmos_opt.files import Amount, Count, Detail, Document, Flag, Name, Number, Record, Text
from lmos_opt.graph import check_order
from lmos_opt.imports import late
from lmos_opt.preprocessing import Labels, Preprocessing
from lmos_opt.tensors import DTYPE_BYTES, Argument, InputSpec, TensorSpec, brief_inputs, settle_inputs
from lmos_opt.units import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DTYPE_BYTES", "Granularity", "InputSpec", "NetworkProfile", "NetworkSource", "ProfileLayer", "TensorSpec", "Timing",
           "Work"]  # fmt: skip

Granularity = Literal["module", "paper"]


class NetworkSource(Record):
    """How to build a network again, and the digest that proves that it is the same one.

    `builder` is `torchvision:NAME`, `timm:NAME`, `hf:DIRECTORY`, `onnx:FILE` or `package.module:callable`. `weights` is `seeded:N`
    (the builder's own initialisation, drawn from a generator that gives the same bits everywhere), `bundled:NAME` (weights in this
    package), `torchvision:NAME` (published weights), `hf:safetensors` (those in DIRECTORY), `onnx:initializers` (those in FILE), or
    `file:PATH` (a state dict in safetensors or torch format). `digest` is SHA-256 over architecture and weights. The other fields
    are the conventions of the network (`lmos_opt.preprocessing.Conventions`): how pictures become its input, the names of its
    classes, the task of its outputs; None if they are not known. `opaque` names parts that stay whole by request, each as one
    layer.
    """

    builder: Name
    weights: Name
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    preprocessing: Preprocessing | None = None
    labels: Labels | None = None
    task: Name | None = None
    opaque: tuple[Name, ...] = ()

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialise(self)
        if not found.get("opaque"):
            found.pop("opaque", None)
        for key in ("preprocessing", "labels", "task"):  # those that are known, at the end
            if (value := found.pop(key, None)) is not None:
                found[key] = value
        return found


class Work(Record):
    """The operations of one kind in a layer: their number, their multiply-accumulates, and the bytes that they move.

    Kinds are finer than a layer's (`conv2d_depthwise` and `conv2d`; `measurement/tracing/work.py` names them), and a block has
    several. Bytes are those of tensors read and written, with the weights.
    """

    kind: Name
    operations: Count
    macs: Count
    bytes: Count


class StateTensor(TensorSpec):
    """A tensor that a layer keeps from call to call, as the blocks of a decoder keep keys and values: its shape for one token.

    It grows with each token of the text, up to `most_tokens` of them (None: with all of them), and never crosses a hop.
    """

    name: Name
    most_tokens: Annotated[Count, Field(ge=1)] | None = None

    def bytes_at(self, context: int) -> int:
        """Its bytes after so many tokens."""
        return self.bytes * (context if self.most_tokens is None else min(context, self.most_tokens))


class TokenStep(Record):
    """The numbers of a layer for one more token, after a text of the profile's `context`: work, workspace and time as in
    `ProfileLayer`, and the bytes that it sends to the next layer."""

    macs: Count
    output_bytes: Count
    workspace_bytes: Count = 0
    work: tuple[Work, ...] | None = None
    t_local_s: Amount | None = None
    t_local_low_s: Amount | None = None
    t_local_high_s: Amount | None = None


class Tokens(Record):
    """The two texts that a decoder's numbers belong to: a prompt of `prompt` tokens, and one more token after `context` tokens."""

    prompt: Annotated[Count, Field(ge=1)]
    context: Annotated[Count, Field(ge=1)]


class Shared(Record):
    """Weights of so many bytes that a layer has together with each of `layers`, which come before it.

    A place that runs this layer holds them beside its `weight_bytes` unless it runs one of `layers` too. Where a layer of the list
    is made from another one, and this layer from both, the other one is left out: a place that runs it runs the first too.
    """

    layers: Annotated[tuple[Name, ...], Field(min_length=1)]
    bytes: Count


class ProfileLayer(Record):
    """One layer: a leaf module or functional operation, or a group of them at granularity `paper`.

    `macs` are multiply-accumulates. `params` and `weight_bytes` count weights that several layers share at the first of them
    (`weight_bytes` with buffers; `shared` are those that a later layer has together with earlier ones). `outputs` are the
    tensors that the layer makes (several for e.g. `chunk`). `returned` says whether the network's own result holds one of them
    (always false in profiles of earlier versions). `t_local_s` is its measured time on the machine that made the profile, if
    measured: a median, with the confidence interval `t_local_low_s` to `t_local_high_s`. `peak_local_bytes` is the largest memory
    that the layer took there, above the memory before it ran. `work` is its work by kind of operation (empty for a layer that does
    nothing, None in profiles of earlier versions). `unknown_operations` are its operations that no cost formula covers: their
    `macs` are 0 because they are not known. An `opaque` layer is a part of the network that was kept whole: it was named, or cannot
    be traced. If a layer `varies`, the size of an output depends on numbers (`h[h > 0]`): no cut goes between it and the layers
    that read it. A layer of a decoder has the tensors that it keeps of a text (`state`, in all `state_bytes_per_token` while none
    of it is dropped), the memory that it needs beside these and its output (`workspace_bytes`; 0 if not measured) and the numbers
    of one more `token`. All its other numbers are those of a prompt.
    """

    name: Name
    kind: Name
    inputs: tuple[Name, ...]
    macs: Count
    params: Count
    weight_bytes: Count
    output_shape: tuple[Count, ...]
    output_bytes: Count
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    returned: Flag = False
    t_local_s: Amount | None = None
    t_local_low_s: Amount | None = None
    t_local_high_s: Amount | None = None
    peak_local_bytes: Count | None = None
    work: tuple[Work, ...] | None = None
    unknown_operations: tuple[Name, ...] = ()
    opaque: Flag = False
    varies: Flag = False
    shared: tuple[Shared, ...] = ()
    state_bytes_per_token: Count = 0
    state: tuple[StateTensor, ...] = ()
    workspace_bytes: Count = 0
    token: TokenStep | None = None

    def state_bytes(self, context: int) -> int:
        """The bytes that the layer keeps of a text of so many tokens."""
        return sum(tensor.bytes_at(context) for tensor in self.state)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = []
        if self.state_bytes_per_token != (kept := sum(tensor.bytes for tensor in self.state)):
            problems.append(Problem("state_bytes_per_token", f"got {self.state_bytes_per_token}, but the state has {kept}"))
        total, first = sum(tensor.bytes for tensor in self.outputs), self.outputs[0].shape
        if self.output_bytes != total:
            problems.append(Problem("output_bytes", f"got {self.output_bytes}, but the outputs have {total}"))
        if self.output_shape != first:
            problems.append(Problem("output_shape", f"got {list(self.output_shape)}, but the first output has {list(first)}"))
        problems += self._interval_problems()
        if self.work is not None and (macs := sum(work.macs for work in self.work)) != self.macs:
            problems.append(Problem("macs", f"got {self.macs}, but the work has {macs}"))
        if problems:
            raise InvalidError(problems)
        return self

    def _interval_problems(self) -> list[Problem]:
        found, middle = [], self.t_local_s
        for key, end, sign in (("t_local_low_s", self.t_local_low_s, 1), ("t_local_high_s", self.t_local_high_s, -1)):
            if end is not None and (middle is None or sign * (middle - end) < 0):
                found.append(Problem(key, f"got {end}, but t_local_s, which it should hold, is {middle}"))
        return found


LONGEST_REST_S = 10.0
"""Before each run of a network that is timed."""
BUSY = 0.1
"""Times are doubted where others have a larger share of all processors: an idle machine's own services need a hundredth or two."""


class Timing(Record):
    """How a profile's `t_local_s` were measured. A field is None if a profile of an earlier version does not have it.

    `repeats` runs with `threads` threads ended for the reason `ended`: `precision` (of the medians) was reached, or the `budget_s`
    was spent. `whole_s` is the median of the undivided network, between `whole_low_s` and `whole_high_s`. `sum_s` is the time of
    the layers one by one, of which the clock took `clock_s`; the rest was multiplied by `scale` (`measurement.timing.LayerTimes`).
    `restart_s` is the additional time of a second half that begins after a rest, and `rest_s` the machine's rest before each run.
    `exchange_s` is the fixed cost of an exchange between two processes of the machine. `engine`, `engine_precision` and `device`
    say what computed, if it was not torch on the processor (`cpu`). A device with memory of its own has `memory_bytes`. `widest` is
    the widest interval among the whole network and its heavy layers, relative to the median; it should be below `precision`.
    `spread` is the distance of the quartiles of the whole network's times, also relative. `others` is the share of all processors
    that other programs had meanwhile, 0 to 1. Further conditions may stand beside these.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Detail]
    torch: Text | None = None
    threads: Count | None = None
    cpu: Text | None = None
    engine: Text | None = None
    engine_precision: Text | None = None
    device: Text | None = None
    memory_bytes: Count | None = None
    repeats: Count | None = None
    ended: Literal["precision", "budget"] | None = None
    precision: Amount | None = None
    budget_s: Amount | None = None
    interval: Text | None = None
    outliers: Count | None = None
    whole_outliers: Count | None = None
    outlier_rule: Text | None = None
    whole_s: Amount | None = None
    whole_low_s: Amount | None = None
    whole_high_s: Amount | None = None
    sum_s: Amount | None = None
    difference_s: Number | None = None
    clock_s: Amount | None = None
    scale: Amount | None = None
    restart_s: Amount | None = None
    rest_s: Amount | None = None
    exchange_s: Amount | None = None
    exchange_low_s: Amount | None = None
    exchange_high_s: Amount | None = None
    widest: Amount | None = None
    spread: Amount | None = None
    others: Amount | None = None

    @property
    def measured_with(self) -> str:
        """What computed while times were measured, in a few words: engine, precision, device and torch's version."""
        where = self.device or self.cpu
        return (f"{self.engine or 'torch:cpu'} {self.engine_precision or 'float32'}{'' if where is None else f' on {where}'}"
                + ("" if self.torch is None else f", torch {self.torch}"))  # fmt: skip

    @model_serializer(mode="wrap")
    def _briefly(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {key: value for key, value in serialise(self).items() if value is not None}

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why these times may be wrong, a sentence for each reason: the precision was not reached in time, or other programs were
        at work."""
        found = []
        if self.ended == "budget" and self.precision is not None:
            how = "" if self.widest is None else f": the widest confidence interval is {self.widest:.0%} of its median"
            within = "" if self.budget_s is None else f" within {format_time(self.budget_s)}"
            found.append(f"the precision of {self.precision:.0%} was not reached{within}{how}")
        if self.others is not None and self.others > BUSY:
            found.append(f"other programs had {self.others:.0%} of the processors meanwhile")
        return tuple(found)


class NetworkProfile(Document):
    """A network's layers in topological order, with arcs (`inputs`), work and bytes.

    `input_tensors` are the network's inputs by name, which layers' `inputs` may name. An only input is called `input`, or has the
    name of its parameter as all others (`lmos_opt.tensors.TakesInputs`).

    `unknown_operations` lists the operations of all layers that no cost formula covers. `timing` holds the conditions under which
    `t_local_s` was measured. `tokens` has the lengths of a decoder's texts (None: the network is no decoder). `codecs` are those
    that were measured on this machine: the bytes that they make of each layer's output, and the time. `fidelity` is how much of the
    network's result they lose.
    """

    SCHEMA: ClassVar[str] = "lmos.profile/1"
    schema_: Literal["lmos.profile/1"] = Field("lmos.profile/1", alias="schema")
    name: Name
    granularity: Granularity
    network: NetworkSource | None
    input: InputSpec | None = None
    input_tensors: dict[Name, InputSpec] = Field(default_factory=dict)
    arguments: dict[Name, Argument] | None = None
    layers: Annotated[tuple[ProfileLayer, ...], Field(min_length=1)]
    unknown_operations: tuple[Name, ...] = ()
    timing: Timing | None = None
    tokens: Tokens | None = None
    codecs: dict[CodecName, MeasuredCodec] | None = None
    fidelity: Fidelity | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        settle_inputs(self)
        names = self.input_tensors
        if problems := [Problem(f"layers[{k}].token", "is missing in a profile with tokens" if layer.token is None else
                                "stands in a profile without tokens")
                        for k, layer in enumerate(self.layers) if (layer.token is None) != (self.tokens is None)]:
            raise InvalidError(problems)
        check_order([(layer.name, layer.inputs) for layer in self.layers], names)
        if self.network is not None and self.network.preprocessing is not None:
            self.network.preprocessing.check_fits_one(names.values(), "network.preprocessing")
        losses = {} if self.fidelity is None else self.fidelity.losses
        check_names({f"codecs.{codec}.sent": found.sent for codec, found in (self.codecs or {}).items()} |
                    {f"fidelity.losses.{codec}": found for codec, found in losses.items()},
                    [*names, *(layer.name for layer in self.layers)])  # fmt: skip
        return self

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the network's inputs by name."""
        return {name: spec.shape for name, spec in self.input_tensors.items()}

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def total_params(self) -> int:
        """Parameters that the inference uses."""
        return sum(layer.params for layer in self.layers)

    @property
    def together(self) -> tuple[tuple[str, ...], ...]:
        """Groups of layers that no cut may divide: each layer that `varies`, with those that read it."""
        varying = (layer.name for layer in self.layers if layer.varies)
        groups = [(name, *(reader.name for reader in self.layers if name in reader.inputs)) for name in varying]
        return tuple(group for group in groups if len(group) > 1)

    @property
    def is_timed(self) -> bool:
        """Whether every layer has a measured time, as the device `local` needs."""
        return all(one is None or one.t_local_s is not None for layer in self.layers for one in (layer, layer.token))

    def to_dict(self) -> dict[str, Any]:
        """The file's keys; numbers measured beside `t_local_s` only if they were measured."""
        found = brief_inputs(self, super().to_dict())
        for layer in found["layers"]:
            for key in ("t_local_low_s", "t_local_high_s", "peak_local_bytes"):
                if layer[key] is None:
                    del layer[key]
            for key in ("unknown_operations", "opaque", "varies", "shared", "state_bytes_per_token", "state", "workspace_bytes",
                        "token"):
                if not layer[key]:
                    del layer[key]
        for key in ("codecs", "fidelity", "tokens"):
            if found[key] is None:
                del found[key]
        return found

    @property
    def exchange_s(self) -> float:
        """The fixed cost of an exchange if edge and server are both the machine that was measured; 0 if unknown.

        It is the runner's own part, and the additional time of the second half, which begins after a pause. The first half's layers
        were timed after a pause themselves.
        """
        return 0.0 if self.timing is None else (self.timing.exchange_s or 0.0) + (self.timing.restart_s or 0.0)

    def layer(self, name: str) -> ProfileLayer:
        """The layer of that name; KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each layer."""
        import pandas as pd

        return pd.DataFrame([layer.model_dump(exclude={"outputs", "work", "state", "token"}) for layer in self.layers])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each layer's output and the share of the work up to it; returns the matplotlib Axes."""
        axes: Axes = late("lmos_opt.plots.layers:draw_layers")(self, ax)
        return axes
