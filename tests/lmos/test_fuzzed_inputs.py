"""Files that nobody should have to write: whatever a user gives a command, it ends with what it did or with one clear line.

Each input is made of a seed and its number: a sound file that is changed somewhere, or code of a user's own with a mistake.
"""

from __future__ import annotations

import builtins
import copy
import io
import json
import os
import pickle
import random
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pyomo.common.errors import PyomoException

from lmos.cli import main
from lmos_opt import Instance, pareto_front
from tests.lmos.mistakes import BODIES, HEAD, MAKERS, MODULE, NETWORKS, WHOLE
from tests.lmos_opt.documents import chain_data, diamond_data, examples, profile_data
from tests.runner.running import BRANCHED, Plans, one_thread

SEED, INPUTS, MANY = 15, 140, 3000

Files = dict[str, bytes]
Case = tuple[Files, list[str]]
"""Files by name, and a command line over them."""

# ---- files of the program's own kinds -------------------------------------------------------------------------------------------

ODD: list[Callable[[random.Random], Any]] = [
    lambda rng: None, lambda rng: rng.choice([True, False]), lambda rng: float("nan"), lambda rng: float("-inf"),
    lambda rng: -rng.choice([1, 0.0, 1e-9, 7]), lambda rng: rng.choice([10**400, 2**53, 2**63, 2**64, 1e308, 1e15, 10**12]),
    lambda rng: rng.choice([5e-324, 1e-300, 1e-9]), lambda rng: rng.choice(["", " ", "\n", "\x00", "\ud800", "é" * 600, "0"]),
    lambda rng: rng.choice([[], {}, [[]], {"": None}, [None] * 50]), lambda rng: _nested(rng.choice([10, 90])),
    lambda rng: rng.choice([0, 1, 2, 3, 1.5]), lambda rng: rng.choice(["input", "a", "split", "../../x", "file:/x", "os:getcwd"]),
]  # fmt: skip


def _nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _change(rng: random.Random, data: Any) -> None:
    """One mistake of somebody who edits a file by hand, or writes it with a program."""
    places = list(_places(data))
    if not places:
        return
    holder, key = rng.choice(places)
    other, another = rng.choice(places)
    what = rng.randrange(8)
    if what < 3:
        holder[key] = rng.choice(ODD)(rng)
    elif what == 3:
        del holder[key]
    elif what == 4:
        holder[key] = copy.deepcopy(other[another])
    elif what == 5 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
    elif what == 6 and isinstance(holder, dict):
        holder[rng.choice(["schema", "Schema", "name", "extra", "é", ""])] = rng.choice(ODD)(rng)
    elif type(holder[key]) in (int, float):
        holder[key] = holder[key] * rng.choice([-1, 0, 0.5, 1e-9, 1e9, 3])


def _spoil(rng: random.Random, data: bytes) -> bytes:
    """The bytes of a file that was cut short, stored wrongly, or damaged."""
    at = rng.randrange(max(1, len(data)))
    return rng.choice([
        lambda: data[:at], lambda: b"", lambda: b"\xef\xbb\xbf" + data, lambda: data.decode("latin-1").encode("utf-16"),
        lambda: data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:], lambda: data + data, lambda: b"[" * 100_000,
        lambda: data.replace(b'"', b"'"), lambda: data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :],
        lambda: data.replace(b"{", b'{"schema": 1, "schema": 2, ', 1), lambda: data.replace(b"\n", b"\x00"),
        lambda: data[: at // 2] + data[at:], lambda: data.replace(b"0.", b"[" * 3000 + b"]" * 3000 + b",", 1),
    ])()  # fmt: skip


def _document(rng: random.Random, data: dict[str, Any]) -> bytes:
    data = copy.deepcopy(data)
    if rng.random() < 0.75:
        for _ in range(rng.choice([1, 1, 2, 4])):
            _change(rng, data)
        return json.dumps(data).encode()
    return _spoil(rng, json.dumps(data, indent=1).encode())


SOUND: dict[str, list[dict[str, Any]]] = {name: [one.to_dict()] for name, one in examples().items()}
SOUND["instance"] += [chain_data(), diamond_data(rtt_s=0.1), chain_data(
    coding={"codec": "zstd", "sent": {"a": {"bytes": 7, "encode_s": 0.1, "decode_s": 0.1}}})]  # fmt: skip
SOUND["front"].append(pareto_front(Instance.from_dict(chain_data())).to_dict())


COMMANDS: dict[str, list[list[str]]] = {
    "instance": [["front", "x.json"], ["front", "x.json", "--objectives", "latency,memory,energy", "-o", "f.csv"],
                 ["plan", "x.json", "--select", "knee", "-o", "p.json"], ["plan", "x.json", "--select", "Neurosurgeon"],
                 ["policy", "x.json", "--select", "lmos"], ["policy", "x.json", "--select", "knee", "--over", "memory"],
                 ["model", "x.json", "-o", "m.lp"], ["front", "x.json", "--memory-model", "peak", "--json"],
                 ["front", "x.json", "--codec", "zstd"], ["plan", "x.json", "--select", "lmos", "--edge", "rpi4"]],
    "profile": [["front", "x.json", "-o", "f.json"], ["front", "x.json", "--edge", "local", "--server", "local"],
                ["plan", "x.json", "--select", "lmos", "-o", "p.json"], ["model", "x.json", "-o", "m.mps"],
                ["plan", "x.json", "--select", "min_latency", "--policy", "1Mbps..9Mbps"],
                ["front", "x.json", "--codec", "fp16"], ["front", "x.json", "--back", "1Mbps"]],
    "front": [["report", "x.json", "-o", "r.html", "--source", "chain.json", "--select", "knee"],
              ["front", "chain.json", "--resume", "x.json"], ["report", "x.json", "-o", "r.html"]],
    "plan": [["run", "x.json", "--server", "127.0.0.1:1"],
             ["export", "x.json", "-o", "out", "--to", "torch", "--network", BRANCHED],
             ["report", "x.json", "-o", "r.html", "--source", "tiny.json"],
             ["run", "x.json", "--adapt", "--server", "127.0.0.1:1"]],
    "report": [["report", "x.json", "-o", "r.html", "--source", "tiny.json"], ["trace", "x.json", "-o", "t.json"]],
    "device": [["front", "tiny.json", "--edge", "x.json"], ["plan", "tiny.json", "--select", "knee", "--server", "x.json"]],
    "link": [["front", "chain.json", "--link", "x.json"], ["policy", "chain.json", "--select", "lmos", "--link", "x.json"]],
}  # fmt: skip


def _documents(rng: random.Random) -> Case:
    kind = rng.choice(["instance", "profile", *COMMANDS])
    return {"x.json": _document(rng, rng.choice(SOUND[kind]))}, rng.choice(COMMANDS[kind])


# ---- objectives, constraints and variables --------------------------------------------------------------------------------------



def _own(rng: random.Random) -> Case:
    if rng.random() < 0.7:
        code = HEAD + f"def x(m, inst):\n    {rng.choice(BODIES)}\n"
        if rng.random() < 0.5:
            code += f"x = Objective('x', 'EUR', {rng.choice(['min', 'max'])!r}, x)\n"
            options = [["--objectives", "latency,mine:x"], ["--objectives", "mine:x"], ["--objectives", "mine:x,memory,latency"]]
        else:
            options = [["--constraint", "mine:x"], ["--variables", "mine:x"], ["--variables", "mine:x", "--constraint", "mine:x"]]
    else:
        code = HEAD + rng.choice(WHOLE)
        options = [["--objectives", "latency,mine:x"], ["--constraint", "mine:x"], ["--variables", "mine:x"]]
    data = code.encode("utf-8")
    if rng.random() < 0.1:
        data = _spoil(rng, data)
    option, source = rng.choice(options), rng.choice(["chain.json", "diamond.json"])
    command = rng.choice([["front", source], ["plan", source, "--select", rng.choice(["knee", "ECO"])], ["model", source]])
    if command[0] == "model":
        option = ["--objective", "mine:x", "-o", "m.lp"] if option[0] == "--objectives" else [*option, "-o", "m.lp"]
        option += rng.choice([[], ["--bound", "mine:x=2"]])
    return {"mine.py": data}, [*command, *option]


# ---- networks -------------------------------------------------------------------------------------------------------------------


def _networks(rng: random.Random) -> Case:
    made = rng.random() < 0.4
    code = HEAD + (f"import torch\n{rng.choice([*MAKERS, *MAKERS, *WHOLE])}\n" if made else MODULE.format(rng.choice(NETWORKS)))
    more = rng.choice([[], [], ["-o", "p.json"], ["--weights", "w.pt"],
                       ["--weights", rng.choice(["seeded:-1", "seeded:9" + "9" * 30, "x", "X"])],
                       ["--granularity", "paper"], ["--json"]])  # fmt: skip
    shape = rng.choice(["3x8x8", "3x8x8", "3x8x8", "1x1x1", "0x8x8", "99999x99999x99999", "3x8"])
    return {"mine.py": code.encode(), "w.pt": _weights(rng)}, ["profile", "mine:x", "--input", shape, *more]


def _weights(rng: random.Random) -> bytes:
    found = rng.choice([
        {"lin.weight": torch.zeros(4, 8), "lin.bias": torch.zeros(4), "w": torch.ones(1)}, {"lin.weight": 3}, [1], 3,
        {"lin.weight": torch.zeros(4, 8).to_sparse(), "lin.bias": torch.zeros(4), "w": torch.ones(1)}, {1: torch.zeros(2)},
        {"lin.weight": torch.zeros(4, 8, device="meta"), "lin.bias": torch.zeros(4), "w": torch.ones(1)},
    ])  # fmt: skip
    buffer = io.BytesIO()
    torch.save(found, buffer, _use_new_zipfile_serialization=rng.random() < 0.7)
    if rng.random() < 0.5:
        return buffer.getvalue()
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("x/data.pkl", rng.choice([b"", pickle.dumps({"a": print}), b"\x80\x02}q."]))
    return rng.choice([_spoil(rng, buffer.getvalue()), empty.getvalue(), pickle.dumps(random.Random)])


def _own_weights(rng: random.Random) -> Case:
    name = rng.choice(["w.pt", "w.pt", "w.safetensors"])
    files = {"mine.py": (HEAD + MODULE.format("return self.lin(x)")).encode(), name: _weights(rng)}
    return files, ["profile", "mine:x", "--input", "3x8x8", "--weights", name]


# ---- pictures -------------------------------------------------------------------------------------------------------------------


def _pictures(rng: random.Random) -> Case:
    suffix, mode = rng.choice([("png", "RGB"), ("png", "P"), ("png", "I;16"), ("png", "1"), ("jpg", "RGB"), ("jpg", "CMYK"),
                               ("gif", "P"), ("tif", "F"), ("tif", "I;16"), ("tif", "RGB"), ("webp", "RGBA"), ("bmp", "RGB"),
                               ("ppm", "RGB")])  # fmt: skip
    buffer = io.BytesIO()
    picture = Image.frombytes("L", (24, 16), rng.randbytes(24 * 16))
    options: dict[str, Any] = {"compression": rng.choice(["raw", "tiff_lzw"])} if suffix == "tif" else {}
    picture.convert(mode).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix), **options)
    data = bytearray(buffer.getvalue())
    for _ in range(rng.choice([0, 1, 3, 20])):
        data[rng.randrange(min(len(data), rng.choice([64, 10**6])))] = rng.choice([0, 255, rng.randrange(256)])
    spoiled = bytes(data) if rng.random() < 0.6 else _spoil(rng, bytes(data))
    more = rng.choice([[], ["--skip-bad-images"]])
    return {f"pictures/x.{suffix}": spoiled}, ["run", "plan.json", "--images", "pictures", "--server", "127.0.0.1:1", *more]


KINDS = [_documents, _documents, _own, _own, _networks, _own_weights, _pictures]


def case(number: int) -> Case:
    """The files and the command line of this number."""
    rng = random.Random(f"{SEED}:{number}")
    return KINDS[number % len(KINDS)](rng)


# ---- what must come of it -------------------------------------------------------------------------------------------------------

OUTPUTS = {"f.csv", "f.json", "p.json", "m.lp", "m.mps", "r.html", "t.json"}


def _raw() -> re.Pattern[str]:
    """A traceback, and what the libraries call their exceptions, beside Python's own names and plain words."""
    found, stack = set(), [BaseException]
    while stack:
        for kind in stack.pop().__subclasses__():
            stack.append(kind)
            if kind.__module__.partition(".")[0] in {"torch", "pyomo", "pydantic", "pydantic_core", "PIL"}:
                found.add(kind.__name__)
    names = sorted(name for name in found if not hasattr(builtins, name) and len(re.findall("[A-Z]", name)) > 1)
    assert {"ValidationError", "UnidentifiedImageError", PyomoException.__name__} <= set(names)
    return re.compile(rf"\b({'|'.join(names)})\b|Traceback|pydantic|\.py\", line")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(SOUND, "plan", [plan.to_dict() for plan in map(Plans(BRANCHED), (0, 1, 3, -1))])
    default = torch.get_default_dtype()
    with one_thread():
        yield tmp_path
    torch.set_default_dtype(default)


def _fault(number: int, folder: Path, raw: re.Pattern[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is wrong with the end that this input came to; None where nothing is."""
    files, arguments = case(number)
    base = {"chain.json": chain_data(), "diamond.json": diamond_data(), "tiny.json": profile_data(), "plan.json": SOUND["plan"][1]}
    for name, data in {**{name: json.dumps(data).encode() for name, data in base.items()}, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        code: object = main(arguments)
    except BaseException as error:  # noqa: BLE001 - this is what it is about
        code = repr(error)
    finally:
        sys.modules.pop("mine", None)
    err = capsys.readouterr().err
    own = [line.startswith("lmos: ") for line in err.splitlines()]
    if code not in (0, 1, 2, 3):
        return f"ends with {code:.300}"
    if shown := raw.search(err):
        return f"shows {shown[0]}: {err}"
    if (code and not any(own)) or (code in (2, 3) and not all(own)):
        return f"ends with {code} and says {err}"
    written = [path.name for path in folder.rglob("*") if path.suffix == ".part" or (code in (2, 3) and path.name in OUTPUTS)]
    return f"ends with {code} and leaves {written}" if written else None


def _faults(numbers: range, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    raw, found = _raw(), []
    for number in numbers:
        here = folder / str(number)
        here.mkdir()
        os.chdir(here)  # `folder` goes back
        if (fault := _fault(number, here, raw, capsys)) is not None:
            found.append(f"{number}: {' '.join(case(number)[1])}: {fault}")
        shutil.rmtree(here)
    return found


def test_no_input_brings_up_a_raw_exception(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _faults(range(INPUTS), folder, capsys) == []


@pytest.mark.slow
def test_none_of_many_inputs_brings_up_a_raw_exception(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _faults(range(INPUTS, MANY), folder, capsys) == []


def test_a_raw_exception_is_noticed(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(arguments: list[str]) -> int:
        raise RuntimeError("raw")

    def quoting(arguments: list[str]) -> int:
        sys.stderr.write("lmos: x.json: ValidationError: 1 error\n")
        return 2

    for other, words in ((raising, "RuntimeError('raw')"), (quoting, "shows ValidationError")):
        monkeypatch.setattr(f"{__name__}.main", other)
        assert all(words in fault for fault in _faults(range(len(KINDS)), folder, capsys))
        assert len(_faults(range(len(KINDS)), folder, capsys)) == len(KINDS)


def _objective(options: str) -> str:
    return f"x = Objective('x', 's', 'min', lambda m, i: m.offload, {options})"


FRONT, PROFILE = ["front", "chain.json"], ["profile", "mine:x", "--input", "3x8x8"]
OBJECTIVE, CONSTRAINT = [*FRONT, "--objectives", "latency,mine:x"], [*FRONT, "--constraint", "mine:x"]

ONCE_RAW = {
    "leaves where it is imported": ("sys.exit(4)", OBJECTIVE, "mine:x: 'mine' cannot be imported: SystemExit: 4"),
    "leaves where it is called": ("def x(m, inst): sys.exit('bye')", CONSTRAINT, "failed with SystemExit: bye"),
    "leaves in value": (_objective("value=lambda s: sys.exit(4)"), OBJECTIVE, "failed with SystemExit: 4"),
    "leaves in granule": (_objective("granule=lambda i: sys.exit(4)"), OBJECTIVE, "failed with SystemExit: 4"),
    "leaves where it builds": ("def x(): sys.exit(4)", PROFILE, "mine:x: failed with SystemExit: 4"),
    "leaves in train": ("import torch\nclass x(torch.nn.Linear):\n    def __init__(self): super().__init__(8, 4)\n"
                        "    def train(self, mode=True): raise SystemExit", PROFILE, ""),
    "an error without words": ("def x(m, inst): raise Awkward", CONSTRAINT, "failed with Awkward"),
    "the same at an import": ("raise Awkward", CONSTRAINT, "'mine' cannot be imported: Awkward"),
    "the same in a network": (MODULE.format("raise Awkward"), PROFILE, "mine:x: fails on an input of shape [1, 3, 8, 8]: Awkward"),
    "a shape that was a guess": (MODULE.format("return torch.ones(2) + x"), ["front", "mine:x"],
                                 "the shape is a guess; give yours: lmos profile mine:x --input 3x128x128"),
    "a module's own __getattr__": ("def __getattr__(name): raise RuntimeError(name)", PROFILE,
                                   "mine:x: module 'mine' fails where it is asked for 'x': RuntimeError: x"),
    "a number beyond floats": ("def x(m, inst): return 10**400 * m.edge['a'] >= 1", CONSTRAINT,
                               "which holds a number that is not finite"),
    "a value beyond floats": (_objective("value=lambda s: 10**400"), OBJECTIVE, "expected a finite number"),
    "a method of torch's that is no such": ("import torch\nclass x(torch.nn.ReLU):\n    def named_parameters(self, **k): return 3",
                                            PROFILE, "it has a method named_parameters that fails: TypeError: "),
    "an extra_repr that fails": ("import torch\nclass x(torch.nn.ReLU):\n    def extra_repr(self): return 1 / 0",
                                 PROFILE, "it has a method extra_repr that fails: ZeroDivisionError: "),
    "a class of torch's in a reason": (MODULE.format("return x[:, :int(x.sum())]"), PROFILE,
                                       "torch.export for any batch: Could not guard on data-dependent expression "),
    "an input beyond memory": (MODULE.format("return x"), [*PROFILE[:3], "99999x99999x99999"],
                               "input: 1x99999x99999x99999 float32 are 3999880001199996 bytes, more than this machine can hold"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONCE_RAW)
def test_what_was_raw_is_one_clear_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    code, arguments, words = ONCE_RAW[name]
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(HEAD + code)
    Path("chain.json").write_text(json.dumps(chain_data()))
    try:
        assert main(arguments) == (2 if words else 0)
    finally:
        sys.modules.pop("mine", None)
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == (1 if words else 0)


@pytest.mark.parametrize(
    ("state", "protocol", "words"),
    [({1: torch.zeros(2)}, 2, "(names to tensors), but no tensor is under 1"), ({("a", 2): 3}, 2, "no tensor is under ('a', 2)"),
     ({"lin.weight": torch.zeros(4, 8).to_sparse()}, 2, "all their numbers; sparse, nested or empty (meta) are lin.weight"),
     ({"lin.bias": torch.zeros(4, device="meta")}, 2, "sparse, nested or empty (meta) are lin.bias"),
     (random.Random, 4, "is not a readable state dict: ")],
)  # fmt: skip
def test_a_file_of_odd_weights_is_refused_in_one_line(
    state: object, protocol: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(HEAD + MODULE.format("return self.lin(x)"))
    torch.save(state, "w.pt", pickle_protocol=protocol)
    try:
        assert main([*PROFILE, "--weights", "w.pt"]) == 2
    finally:
        sys.modules.pop("mine", None)
    err = capsys.readouterr().err
    assert err.startswith("lmos: file:w.pt: ")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("suffix", ["lp", "mps"])
def test_a_users_own_pyomo_objective_is_left_out_of_a_model_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("chain.json").write_text(json.dumps(chain_data()))
    Path("mine.py").write_text(HEAD + "def x(m, inst):\n    m.optimised = pyo.Objective(expr=m.edge['a'])\n"
                                      "    m.epsilon = pyo.Var(bounds=(0, 1))\n    return m.epsilon <= m.edge['b']\n")
    try:
        assert main(["model", "chain.json", "--constraint", "mine:x", "--bound", "memory=1e9", "-o", f"m.{suffix}"]) == 0
    finally:
        sys.modules.pop("mine", None)
    assert capsys.readouterr().err == f"lmos: wrote m.{suffix}\n"
    assert "epsilon" in Path(f"m.{suffix}").read_text()
