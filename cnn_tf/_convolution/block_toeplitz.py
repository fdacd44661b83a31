"""Few channels: several outputs of a row at once, by a block Toeplitz matrix.

What `n` neighbouring outputs of a row see of an image row is a strip of `width * c_i` numbers, with
`width = (n - 1) * stride + span`. What leads from the strip to the `n * c_o` numbers of the outputs
is a banded matrix: the kernel row, repeated along the diagonal (a Toeplitz matrix, of blocks of
`c_i` by `c_o`). The strips of the `k_h` rows that a window sees lie side by side, and a column of
ones at the end carries the bias. So one product does all: the strips, `batch * out_h * (out_w / n)`
rows of `k_h * width * c_i + 1` numbers, by the band matrix.

Multiplications: `width / k_w` times the definition's, for that part of the band matrix is zeros.
Bytes: the strips, with strides of 1 `k_h * width / n` times the image's, in place of `k_h * k_w`
for complete windows. A window of few channels is a short vector: products of these are slow, and to
copy each pixel into all its windows is slower still.

Zeros of the matrix meet pixels that an output does not see: there an infinity or a NaN spoils it.

Source: Golub and Van Loan (2013), *Matrix computations*, section 4.7, on Toeplitz matrices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, cut, is_tensorflow, matmul, take
from cnn_tf._convolution.geometry import Axis, Geometry
from cnn_tf._convolution.windows import (
    add_wide_windows,
    axis_of_blocks,
    region,
    taps,
    untaps,
    wide_windows,
)

_MOST_NUMBERS_IN_A_STRIP = 64


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size."""
    return geometry.known and geometry.groups == 1


def pays(geometry: Geometry) -> bool:
    """Where strips are short."""
    return divide(geometry.columns).width * geometry.channels <= _MOST_NUMBERS_IN_A_STRIP


class Strips(NamedTuple):
    """How a row is divided.

    Args:
        outputs: Outputs of a strip.
        width: Columns that they see.
        step: Columns from one strip to the next.
        number: Strips in a row.
    """

    outputs: int
    width: int
    step: int
    number: int


def divide(axis: Axis) -> Strips:
    """Divide a row into strips of `k_w` to `2 * k_w - 1` outputs.

    Short strips see the same columns again and again, long ones make a matrix of many zeros.
    """
    choices = (strips_of(n, axis) for n in range(axis.window, 2 * axis.window))
    return min(choices, key=lambda strips: strips.width * strips.number)


def strips_of(outputs: int, axis: Axis) -> Strips:
    """Divide a row into strips of so many outputs."""
    width = (outputs - 1) * axis.stride + axis.span
    return Strips(outputs, width, outputs * axis.stride, -(-axis.outputs // outputs))


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    strips = divide(geometry.columns)

    def gather(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        seen = _gather(x, strips, geometry, ones=bias is not None)
        return seen, lambda upstream: _add_up(upstream, strips, geometry)

    seen = custom_gradient(gather, x) if is_tensorflow(x) else gather(x)[0]
    band = _band(kernel, bias, strips, geometry)
    y = matmul(ops.reshape(seen, (-1, band.shape[0])), band)
    columns = strips.number * strips.outputs
    y = ops.reshape(y, (-1, geometry.rows.outputs, columns, geometry.filters))
    return cut(y, 2, 0, geometry.columns.outputs)


def _gather(x: Tensor, strips: Strips, geometry: Geometry, ones: bool) -> Tensor:
    """What the strips see: (batch, out_h, number, k_h * width * c_i), or one more for the ones."""
    (top, bottom), (left, _) = geometry.pads
    # From the image's own last column on, the strips may need more zeros, or not see all.
    columns = axis_of_blocks(strips.width, strips.step, strips.number).cells * strips.step
    x = region(x, (-top, geometry.rows.cells + bottom), (-left, columns - left))
    rows = taps(
        wide_windows(x, strips.width, strips.step, strips.number), 1, geometry.rows.without_pads()
    )
    if ones:
        rows.append(ops.ones_like(cut(rows[0], 3, 0, 1)))
    return ops.concatenate(rows, axis=-1)


def _add_up(seen: Tensor, strips: Strips, geometry: Geometry) -> Tensor:
    """Add up, for each pixel, what the strips that saw it hold: the adjoint of `_gather`."""
    size = strips.width * geometry.channels
    rows = [cut(seen, 3, u * size, (u + 1) * size) for u in range(geometry.rows.window)]
    x = untaps(rows, 1, geometry.rows.without_pads())
    x = add_wide_windows(x, strips.step, geometry.channels)
    (top, _), (left, _) = geometry.pads
    return region(x, (top, top + geometry.rows.cells), (left, left + geometry.columns.cells))


def _band(kernel: Tensor, bias: Tensor | None, strips: Strips, geometry: Geometry) -> Tensor:
    """The matrix from what a strip sees to its outputs: (k_h * width * c_i, outputs * c_o).

    Its blocks of `c_o` numbers are rows of the kernel, the bias as one more, or zeros.
    """
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    output = np.arange(strips.outputs)
    u, v, c, _ = np.ogrid[:k_h, :k_w, :channels, :1]
    column = v * geometry.columns.dilation + output * geometry.columns.stride
    # For each row of the kernel and each output of a strip, the row of the band that meets it.
    rows = ((u * strips.width + column) * channels + c).reshape(-1, strips.outputs)
    height = k_h * strips.width * channels
    if bias is not None:
        rows, height = np.vstack([rows, np.full_like(output, height)]), height + 1
    there = np.full((height, strips.outputs), len(rows))  # the row of zeros
    there[rows, output] = np.arange(len(rows))[:, None]

    def place(*parts: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        sources = [ops.reshape(part, (-1, filters)) for part in parts]
        zeros = ops.zeros((1, filters), sources[0].dtype)
        band = take(ops.concatenate([*sources, zeros]), there)

        def gradients(upstream: Tensor) -> Any:
            blocks = ops.reshape(upstream, (-1, filters))
            total = ops.sum(take(blocks, rows * strips.outputs + output), axis=1)
            to_kernel = ops.reshape(cut(total, 0, 0, k_h * k_w * channels), kernel.shape)
            if bias is None:
                return to_kernel
            return to_kernel, ops.reshape(cut(total, 0, len(rows) - 1, len(rows)), bias.shape)

        return ops.reshape(band, (height, -1)), gradients

    parts = (kernel,) if bias is None else (kernel, bias)
    return custom_gradient(place, *parts) if is_tensorflow(kernel) else place(*parts)[0]
