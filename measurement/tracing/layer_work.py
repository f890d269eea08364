"""Multiply-accumulates of tensor operations, from shapes alone.

Convention: one MAC is one multiplication with its addition; only convolutions, linear layers and matrix products
count, as in torchvision's published figures (which they call FLOPS). Biases, activations, norms, pooling, softmax and
data movement are 0 by definition. An operation in neither table is unknown, which callers must report: never 0.

Operations carry the names of PyTorch's operator library (`aten.mm`). In `args` a tensor is replaced by its shape, a
tuple of ints; every other argument stays as it is. `out` is the shape of the (first) result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

Args = Sequence[Any]
Shape = tuple[int, ...]


def convolution(args: Args, out: Shape) -> int:
    """`(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)`.

    `weight` is (C_out, C_in/groups, *kernel), used once per output position; transposed it is
    (C_in, C_out/groups, *kernel), used once per input position. Padding counts as data.
    """
    source, weight, transposed = args[0], args[1], args[6]
    return int(prod(weight) * source[0] * prod((source if transposed else out)[2:]))


def mm(args: Args, out: Shape) -> int:
    """`(a, b)`: (n, k) by (k, m)."""
    return int(prod(args[0])) * int(args[1][-1])


def bmm(args: Args, out: Shape) -> int:
    """`(a, b)`: (batch, n, k) by (batch, k, m)."""
    return int(prod(args[0])) * int(args[1][-1])


def mv(args: Args, out: Shape) -> int:
    """`(a, x)`: (n, k) by (k,); also two vectors."""
    return int(prod(args[0]))


def linear(args: Args, out: Shape) -> int:
    """`(x, weight, bias)`: (..., k) by (m, k) transposed."""
    return int(prod(args[0])) * int(args[1][0])


def attention(args: Args, out: Shape) -> int:
    """`(query, key, value)`: (..., L, E), (..., S, E), (..., S, V): both products, no saving for a causal mask."""
    query, key, value = args[0], args[1], args[2]
    return int(prod(query[:-1])) * int(key[-2]) * (int(query[-1]) + int(value[-1]))


def multi_head_attention(args: Args, out: Shape) -> int:
    """`(query, key, value, embed_dim, heads, qkv_weight, qkv_bias, proj_weight, ...)`: self-attention, (N, L, E)."""
    batch, length, width = args[0]
    return int(batch * length * (prod(args[5]) + prod(args[7])) + 2 * batch * length * length * width)


def encoder_layer(args: Args, out: Shape) -> int:
    """A whole transformer encoder layer.

    `(src, embed_dim, heads, qkv_weight, qkv_bias, proj_weight, proj_bias, gelu, norm_first, eps, 2 weights and biases
    of norms, ffn_weight_1, ffn_bias_1, ffn_weight_2, ...)`; src is (N, L, E).
    """
    batch, length, width = args[0]
    weights = prod(args[3]) + prod(args[5]) + prod(args[14]) + prod(args[16])
    return int(batch * length * weights + 2 * batch * length * length * width)


def lstm_layer(args: Args, out: Shape) -> int:
    """`(input, weight_ih, weight_hh, ...)`: (steps, batch, features); both matrices once per step."""
    return int(prod(args[0][:2])) * (prod(args[1]) + prod(args[2]))


def linear_packed(args: Args, out: Shape) -> int:
    """`(x, packed weights, ...)`: (..., k) by what makes (..., m) of it."""
    return int(prod(args[0])) * int(out[-1])


def convolution_packed(args: Args, out: Shape) -> int:
    """`(x, packed weights, ...)`; the weights are (C_out, C_in/groups, *kernel), used once per output position."""
    return int(prod(args[1]) * out[0] * prod(out[2:]))


MACS: dict[str, Callable[[Args, Shape], int]] = {
    "aten._addmm_activation": lambda args, out: mm(args[1:], out),
    "aten._native_multi_head_attention": multi_head_attention,
    "aten._scaled_dot_product_attention_math": attention,
    "aten._scaled_dot_product_cudnn_attention": attention,
    "aten._scaled_dot_product_efficient_attention": attention,
    "aten._scaled_dot_product_flash_attention": attention,
    "aten._scaled_dot_product_flash_attention_for_cpu": attention,
    "aten._scaled_dot_product_fused_attention_overrideable": attention,
    "aten._transformer_encoder_layer_fwd": encoder_layer,
    "aten.addbmm": lambda args, out: bmm(args[1:], out),
    "aten.addmm": lambda args, out: mm(args[1:], out),
    "aten.addmv": lambda args, out: mv(args[1:], out),
    "aten.baddbmm": lambda args, out: bmm(args[1:], out),
    "aten.bmm": bmm,
    "aten.convolution": convolution,
    "aten.dot": mv,
    "aten.linear": linear,
    "aten.mkldnn_rnn_layer": lstm_layer,
    "aten.mm": mm,
    "aten.mv": mv,
    "aten.scaled_dot_product_attention": attention,
    "aten.vdot": mv,
    **{f"quantized.conv{n}d{act}": convolution_packed for n in (1, 2, 3) for act in ("", "_relu")},
    **{f"quantized.linear{how}": linear_packed for how in ("", "_relu", "_dynamic", "_relu_dynamic", "_dynamic_fp16",
                                                           "_relu_dynamic_fp16")},
}  # fmt: skip

_FREE = """
    abs acos acosh adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_max_pool2d adaptive_max_pool3d add addcdiv addcmul affine_grid_generator alias all alpha_dropout amax
    amin aminmax any arange argmax argmin argsort as_strided asin asinh _assert_async _assert_scalar
    _assert_tensor_metadata atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d batch_norm bernoulli bitwise_and
    bitwise_not bitwise_or bitwise_xor bucketize cat ceil celu channel_shuffle clamp clamp_max clamp_min clone
    col2im complex conj_physical constant_pad_nd contiguous copy copysign cos cosh cummax cummin cumprod cumsum
    detach diag_embed diagonal diagonal_copy div dropout elu embedding _embedding_bag empty empty_like
    empty_permuted empty_strided eq erf erfc erfinv exp exp2 expand expand_copy expm1 eye feature_dropout fill flip
    floor floor_divide fmax fmin fmod frac full full_like _fused_rms_norm gather ge gelu glu grid_sampler_2d
    grid_sampler_3d gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot im2col imag index index_add
    index_copy index_fill index_put index_select isfinite isinf isnan item kthvalue le leaky_relu lerp lgamma lift
    lift_fresh lift_fresh_copy linalg_vector_norm linspace _local_scalar_dense log log10 log1p log2
    log_sigmoid_forward _log_softmax logaddexp logcumsumexp logical_and logical_not logical_or logical_xor logit
    logspace logsumexp lt masked_fill masked_scatter masked_select max max_pool2d_with_indices
    max_pool3d_with_indices max_unpool2d maximum mean median meshgrid min minimum mish mkldnn_max_pool2d mode mul
    nan_to_num nanmean nansum narrow_copy native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training native_channel_shuffle native_dropout native_group_norm native_layer_norm
    ne neg new_empty new_full new_ones new_zeros nonzero norm normal ones ones_like permute permute_copy
    pixel_shuffle pixel_unshuffle pow prelu _prelu_kernel prod rand rand_like randint randn randn_like randperm real
    reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder repeat repeat_interleave
    replication_pad1d replication_pad2d replication_pad3d reshape _reshape_alias _reshape_copy resize roll round
    rrelu rrelu_with_noise rsqrt rsub _safe_softmax scalar_tensor scatter scatter_add scatter_reduce searchsorted
    select select_copy select_scatter selu set sgn sigmoid sign signbit silu sin sinc sinh slice slice_copy
    slice_scatter soft_margin_loss _softmax softplus softshrink sort split split_copy split_with_sizes
    split_with_sizes_copy sqrt square squeeze squeeze_copy stack std std_mean sub sum sym_numel sym_size
    sym_storage_offset sym_stride t t_copy take tan tanh threshold to _to_copy topk trace transpose transpose_copy
    tril triu true_divide trunc unbind unbind_copy unfold unfold_copy uniform _unique2 unique_consecutive
    unsafe_chunk _unsafe_index unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze unsqueeze_copy
    upsample_bicubic2d _upsample_bicubic2d_aa upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_trilinear3d var var_mean view view_as_complex view_as_real view_copy
    _weight_norm _weight_norm_interface where xlogy zero zeros zeros_like
"""
_QUANTIZED_FREE = "embedding_4bit embedding_bag_4bit embedding_bag_byte embedding_byte"
_TORCHVISION_FREE = "nms roi_align roi_pool"
FREE = frozenset({f"aten.{name}" for name in _FREE.split()} | {f"quantized.{name}" for name in _QUANTIZED_FREE.split()}
                 | {f"torchvision.{name}" for name in _TORCHVISION_FREE.split()})  # fmt: skip
"""Operations without multiply-accumulates, by the convention above. In-place variants (`aten.relu_`) count as these."""


def macs(op: str, args: Args, out: Shape) -> int | None:
    """Multiply-accumulates of one operation; None if no formula covers it."""
    if op in MACS:
        return MACS[op](args, out)
    base = op.removesuffix("_")
    if base in FREE:
        return 0
    return MACS[base](args, out) if base in MACS else None
