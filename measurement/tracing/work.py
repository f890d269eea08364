"""What an operation does, as models of time see it: its kind, its multiply-accumulates, the bytes it moves.

Kinds are coarse: operations of one kind cost alike per multiply-accumulate and per byte. Convolutions are told apart by
what decides how well a processor is used: a depthwise one has next to no work for each number it reads, one of 1x1 is
a matrix product. Bytes are those of the tensors an operation reads and writes, each once; a view moves none.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from lmos_opt.profile import Work
from measurement.tracing.layer_work import Args

_KINDS = {
    "attention": "_native_multi_head_attention _transformer_encoder_layer_fwd",
    "copy": "cat stack clone copy _to_copy repeat roll index index_select gather constant_pad_nd pixel_shuffle "
            "native_channel_shuffle channel_shuffle contiguous",
    "linear": "addmm linear mm mv addmv _addmm_activation",
    "matmul": "bmm baddbmm addbmm dot vdot scaled_dot_product_attention",
    "norm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training batch_norm "
            "native_layer_norm native_group_norm _fused_rms_norm _weight_norm _weight_norm_interface",
    "avg_pool": "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d "
                "_adaptive_avg_pool3d mean sum",
    "max_pool": "max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d adaptive_max_pool2d",
    "transcendental": "exp sigmoid silu gelu tanh softplus mish erf log elu selu celu _softmax _safe_softmax _log_softmax pow "
                      "sqrt rsqrt sin cos",
}  # fmt: skip
_KIND_OF = {f"aten.{name}": kind for kind, names in _KINDS.items() for name in names.split()}
ELEMENTWISE, VIEW = "elementwise", "view"
"""The kinds of whatever has no other, and of operations that make a tensor of another's memory."""


def kind_of(op: str, args: Args) -> str:
    """The kind of an operation that is no view; `op` and `args` as in `measurement.tracing.layer_work`."""
    if op == "aten.convolution":
        return _convolution(args)
    if op.startswith("aten._scaled_dot_product"):
        return "matmul"
    if op.startswith("quantized.linear"):
        return "linear"
    return _KIND_OF.get(op.removesuffix("_"), _KIND_OF.get(op, ELEMENTWISE))


def _convolution(args: Args) -> str:
    source, weight, transposed, groups = args[0], args[1], args[6], args[8]
    name = f"conv{len(weight) - 2}d"
    if transposed:
        return f"{name}_transposed"
    if groups == source[1] > 1:
        return f"{name}_depthwise"
    if groups > 1:
        return f"{name}_grouped"
    return f"{name}_1x1" if prod(weight[2:]) == 1 else name


def together(work: Iterable[Work]) -> tuple[Work, ...]:
    """The same work with each kind once, in the order in which kinds come first."""
    sums: dict[str, list[Any]] = {}
    for one in work:
        known = sums.setdefault(one.kind, [0, 0, 0])
        for k, number in enumerate((one.operations, one.macs, one.bytes)):
            known[k] += number
    return tuple(Work(kind=kind, operations=operations, macs=macs, bytes=moved)
                 for kind, (operations, macs, moved) in sums.items())  # fmt: skip
