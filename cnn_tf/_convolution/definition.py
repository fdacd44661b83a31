"""The definition: im2col along the rows, then one product for each row of the kernel.

The windows of a row are gathered side by side: a matrix of `batch * h * out_w` rows and
`k_w * c_i` columns. The rows of the kernel are `k_h` matrices of `k_w * c_i` by `c_o`. Each row of
outputs is the sum of `k_h` products, one for each row of the image that its windows see.

Multiplications: `out_h * out_w * k_h * k_w * c_i * c_o` for each image.
Bytes: the windows, `k_w / s_w` times as many as the image has.

This is the way that the book shows, and the one that all others are compared with. It takes every
setting, every type and every back end.
"""

import functools
import operator
from collections.abc import Sequence

from keras import ops

from cnn_tf._backend import NAME, Tensor, matmul, sizes
from cnn_tf._convolution.cost import calls, copy, memory, product
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import pad_zeros, windows_of_rows


def applies(geometry: Geometry) -> bool:
    """To everything."""
    return True


def cost(geometry: Geometry) -> float:
    """Padding, windows of each row, then a copy of them and a product for each kernel row."""
    (k_h, k_w), channels, groups = geometry.kernel, geometry.channels, geometry.groups
    windows = k_w * channels * geometry.columns.outputs * geometry.rows.padded
    if NAME == "torch" and geometry.columns.dilation == 1:
        windows = 0  # a view
    seen = k_h * k_w * geometry.places * channels
    copies = geometry.padding_copies + 2 * windows + seen + k_h * geometry.places * geometry.filters
    inner, columns = k_w * channels // groups, geometry.filters // groups
    multiplied = product(groups * k_h * geometry.places, inner, columns)
    copied = copy(copies, channels // groups) + memory(seen, geometry)
    return copied + multiplied + calls((8 if groups == 1 else 14) + k_h, geometry.batch)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images `(batch, h, w, c_i)` with `(k_h, k_w, c_i // groups, c_o)`."""
    x, geometry = pad_zeros(x, geometry.pads), geometry.without_pads()
    (k_h, k_w), groups, filters = geometry.kernel, geometry.groups, geometry.filters
    depth = geometry.channels // groups
    if groups == 1:
        # Each (batch, out_h, out_w, k_w * c_i).
        rows = windows_of_rows(x, geometry.rows, geometry.columns)
        matrices = ops.reshape(kernel, (k_h, k_w * depth, filters))
        y = _sum_of_products(rows, matrices)
    else:
        x = _split_channels(x, groups, depth)
        rows = windows_of_rows(x, geometry.rows, geometry.columns)
        _, out_h, out_w, inner = sizes(rows[0])
        rows = [ops.reshape(row, (groups, -1, inner)) for row in rows]
        matrices = ops.reshape(kernel, (k_h, inner, groups, filters // groups))
        matrices = ops.transpose(matrices, (0, 2, 1, 3))  # (k_h, groups, k_w * depth, c_o / groups)
        y = _sum_of_products(rows, matrices)
        y = _join_channels(ops.reshape(y, (groups, -1, out_h, out_w, filters // groups)))
    return y if bias is None else ops.add(y, bias)


def _sum_of_products(rows: Sequence[Tensor], matrices: Tensor) -> Tensor:
    """For each row of the kernel, what it sees times its matrix: all added up."""
    return functools.reduce(operator.add, map(matmul, rows, ops.unstack(matrices)))


def _split_channels(x: Tensor, groups: int, depth: int) -> Tensor:
    """(batch, h, w, c) -> (groups, batch, h, w, c / groups)."""
    x = ops.reshape(x, (-1, *sizes(x)[:2], groups, depth))
    return ops.transpose(x, (3, 0, 1, 2, 4))


def _join_channels(y: Tensor) -> Tensor:
    """(groups, batch, h, w, c / groups) -> (batch, h, w, c)."""
    groups, (_, height, width, each) = y.shape[0], sizes(y)
    return ops.reshape(ops.transpose(y, (1, 2, 3, 0, 4)), (-1, height, width, groups * each))
