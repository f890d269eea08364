"""What torch reads again for each export though it stays the same, all its operators: it takes longer than a small network."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch._export import utils


def list_operators_once(patch: pytest.MonkeyPatch) -> None:
    """torch looks for operators that came since it last did, thirty times an export: only where there are further libraries."""
    look, known = utils._materialize_cpp_cia_ops, set[int]()

    def look_again() -> None:
        if (libraries := len(torch.ops._dir)) not in known:
            look()
            known.add(libraries)

    patch.setattr(utils, "_materialize_cpp_cia_ops", look_again)


def read_operators_in_onnx_once(patch: pytest.MonkeyPatch) -> None:
    """torch has the source of all operators in ONNX read, and their signatures made, for each file. Nothing is imported before the
    first one is written."""
    export = torch.onnx.export

    def export_again(*arguments: Any, **options: Any) -> Any:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        patch.setattr(torch.onnx, "export", export)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        return torch.onnx.export(*arguments, **options)

    patch.setattr(torch.onnx, "export", export_again)
