"""What crosses, and the inputs it comes from, of each bundled picture, as this machine computes it: `crossing.py WORK FILE.npz`."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import PIL

from lmos_edge.inputs import find_inputs
from lmos_edge.plans import Plan
from lmos_edge.programs import Exported


def main(work: Path, output: Path) -> None:
    """Write the arrays, and what computed them."""
    plan = Plan.load(work / "plan.json")
    exported = Exported.of(plan, work / "parts" / "head.onnx")
    inputs = find_inputs(plan, plan.preprocessing or exported.preprocessing, None, None, False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(work / "parts" / "head.onnx"), options, providers=["CPUExecutionProvider"])
    versions = f"numpy {np.__version__}, Pillow {PIL.__version__}, onnxruntime {onnxruntime.__version__}"
    arrays = {"machine": np.array(f"{platform.machine()}, {versions}")}
    for k in range(inputs.n):
        given = list(inputs.load(k).values())
        names = [one.name for one in session.get_inputs()]
        arrays[f"input {k}"] = given[0]
        outputs = session.run(None, dict(zip(names, given, strict=True)))
        for one, found in zip(session.get_outputs(), outputs, strict=True):
            arrays[f"crossing {k} {one.name}"] = found
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
