"""What `lmos export` wrote of a plan, run by onnxruntime: the head, and where it was asked for, the whole network.

`export.json` says of each file which network it belongs to, its SHA-256, and what it takes and returns. A file that is not the
plan's is refused before it is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmos_edge.fields import Fields, read_json, text
from lmos_edge.plans import Plan, Preprocessing
from lmos_opt.errors import InputError, MissingExtraError, Problem, first_line
from runner.errors import RunnerError
from runner.memory import release

SCHEMA = "lmos.export/1"
INDEX = "export.json"
ENGINE = "onnxruntime"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export: where it lies, its SHA-256, the network's inputs that it takes by its own names for them, its outputs
    in order, of which the last are of the network's `result`, by their paths in it; the memory (B) that a whole network
    needs here; and the numbers that cross beside its tensors (`sizes`), by name."""

    path: Path
    sha256: str
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    result: tuple[str, ...]
    memory_bytes: int | None = None
    sizes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exported:
    """The content of an export's `export.json`.

    `head` is the file of the plan's first part, `whole` that of the whole network, if it was written. `preprocessing` says how
    pictures become inputs, if the plan does not. `labels` are the names of classes.
    """

    head: ExportedFile | None
    whole: ExportedFile | None
    preprocessing: Preprocessing | None
    labels: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, head: Path | None) -> Exported:
        """The export that a head's file (or the folder around it) belongs to; InputError if it is not this plan's.

        A plan without layers at the edge needs none.
        """
        if head is None:
            if plan.edge_layers:
                raise InputError("--head", "is missing: the plan has layers at the edge, which 'lmos export' writes into a file")
            return cls(None, None, None, ())
        folder = head if head.is_dir() else head.parent
        index = folder / INDEX
        if not index.is_file():
            what = "no such file or folder" if not head.exists() else f"has no {INDEX} beside it; copy all that 'lmos export' wrote"
            raise InputError(str(head), what)
        data, problems = read_json(index), list[Problem]()
        fields = Fields(data, problems)
        fields.one_of("schema", (SCHEMA,))
        fields.one_of("format", ("onnx",))
        digest, layers = fields.inside("network").text("digest"), fields.texts("edge_layers")
        parts = fields.inside("parts")
        name = "head" if plan.n_places == 2 else "place_1"
        found = {key: _file(parts.inside(key), folder) for key in (name, "whole") if key in parts.data}
        how = Preprocessing.read(fields.inside("preprocessing")) if data.get("preprocessing") is not None else None
        labels = fields.texts("labels", ()) if data.get("labels") is not None else ()
        if problems:
            raise InputError(str(index), problems)
        for what, theirs, ours in (("network", digest, plan.network["digest"]), ("split", layers, plan.edge_layers)):
            if theirs != ours:
                raise InputError(str(index), f"is the export of another {what} than the plan's; export the plan again")
        exported = found.get(name)
        if exported is None and (not plan.offloads or plan.crossing.keys() - plan.inputs.keys()):
            raise InputError(str(index), f"parts.{name}: is missing: it runs the plan's layers at the edge; export the plan again")
        for key, file in found.items():
            _check_names(parts.inside(key), file, plan, () if key == "whole" else plan.crossing)
        if problems:
            raise InputError(str(index), problems)
        if exported is not None and not head.is_dir() and head.name != exported.path.name:
            raise InputError(str(head), f"is not the plan's first part, which {INDEX} calls {exported.path.name}")
        return cls(exported, found.get("whole"), how, labels)


class Program:
    """A file that onnxruntime runs on the processor. InputError for one that is not what `export.json` says, or cannot be read."""

    def __init__(self, file: ExportedFile, threads: int | None) -> None:
        self._file = file
        self.name = file.path.name
        _check(file)
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or 0
        options.add_session_config_entry("session.force_spinning_stop", "1")  # between two images the processor is others'
        try:
            self._session = runtime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its errors have no base of their own
            raise InputError(str(file.path), f"cannot be loaded by onnxruntime: {first_line(error)}") from None
        release()  # what loading took beside the session's own weights
        names = [one.name for one in self._session.get_inputs()], [one.name for one in self._session.get_outputs()]
        if names != (list(file.inputs), list(file.outputs)):
            raise InputError(str(file.path), f"has other inputs or outputs than {INDEX} says")

    def run(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """From the network's inputs by name: what crosses by name, and what of the network's result by path. RunnerError where
        that fails."""
        try:
            made = self._session.run(None, {name: inputs[which] for name, which in self._file.inputs.items()})
        except Exception as error:  # noqa: BLE001 - as above
            raise RunnerError(self.name, first_line(error)) from None
        arrays = [np.asarray(array) for array in made]
        count = len(arrays) - len(self._file.result)
        crossing = dict(zip(self._file.outputs[:count], arrays[:count], strict=True))
        return crossing, dict(zip(self._file.result, arrays[count:], strict=True))


def onnxruntime() -> Any:
    """The package; MissingExtraError if it is not installed."""
    try:
        import onnxruntime as found
    except ImportError:
        raise MissingExtraError("running an exported head (onnxruntime)", "export") from None
    return found


def _file(fields: Fields, folder: Path) -> ExportedFile:
    path, digest = fields.take("file", "a file's name", _name), fields.text("sha256")
    inputs = fields.inside("inputs")
    names = {name: inputs.text(name) for name in inputs.data}
    return ExportedFile(folder / (path or ""), digest, names, fields.texts("outputs"), fields.texts("result"),
                        fields.whole("memory_bytes", None), fields.take("sizes", "numbers by name", _sizes, {}))  # fmt: skip


def _check_names(fields: Fields, file: ExportedFile, plan: Plan, crossing: Collection[str]) -> None:
    """Note inputs that the network does not have, and other outputs than what crosses and then the result's."""
    count, inputs = len(file.outputs) - len(file.result), {*plan.inputs}
    for name, which in file.inputs.items():
        if which not in inputs:
            fields.wrong(f"inputs.{name}", f"got {which!r:.60}, expected one of {', '.join(plan.inputs)}")
    if count < 0 or {*file.outputs[:count]} | inputs != {*crossing} | inputs:
        fields.wrong("outputs", f"are {', '.join(file.outputs)}, the last {len(file.result)} of them of the result; in the plan "
                                f"{', '.join(crossing) or 'nothing'} crosses")  # fmt: skip


def _sizes(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(map(_is_size, value.values())):
        raise ValueError
    return value


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, list) and all(map(_is_size, value)))


def _name(value: Any) -> str:
    if Path(text(value)).name != value:
        raise ValueError
    return str(value)


def _check(file: ExportedFile) -> None:
    try:
        with file.path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(str(file.path), (error.strerror or str(error)).lower()) from None
    if found != file.sha256:
        raise InputError(str(file.path), f"is not the file that {INDEX} speaks of: its SHA-256 is {found[:12]}, expected "
                                         f"{file.sha256[:12]}; export the plan again")  # fmt: skip


def outputs_of(file: ExportedFile | None, found: Mapping[str, Array], plan: Plan, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors that cross, in the plan's order: what the head made, and inputs as they came. InputError if one is not the
    plan's."""
    crossing = {}
    for name, spec in plan.crossing.items():
        array = found[name] if name in found else inputs.get(name)
        where = str(file.path) if file else "the plan"
        if array is None:
            raise InputError(where, f"does not make the tensor {name!r}, which crosses")
        if (array.shape, array.dtype.name) != (spec.shape, spec.dtype):
            raise InputError(where, f"makes {name!r} as {array.dtype.name}{list(array.shape)}, the plan has "
                                     f"{spec.dtype}{list(spec.shape)}")  # fmt: skip
        crossing[name] = array
    return crossing


def logits_of(outputs: Mapping[str, Array]) -> Array | None:
    """The array that says the classes: `output.logits` if it has two dimensions, else the only one that has."""
    flat: Sequence[tuple[str, Array]] = [(name, a) for name, a in outputs.items() if a.ndim == 2 and a.dtype != np.bool_]
    named = dict(flat).get("output.logits")
    return named if named is not None else flat[0][1] if len(flat) == 1 else None
