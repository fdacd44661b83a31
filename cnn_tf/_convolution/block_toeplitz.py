"""Few channels: several outputs of a row at once, by a block Toeplitz matrix.

What `n` neighbouring outputs of a row see of an image row is a strip of `width * c_i` numbers, with
`width = (n - 1) * stride + span`. What leads from the strip to the `n * c_o` numbers of the outputs
is a banded matrix: the kernel row, repeated along the diagonal (a Toeplitz matrix, of blocks of
`c_i` by `c_o`). The strips of the `k_h` rows that a window sees lie side by side. So one product
does all: the strips, `batch * out_h * (out_w / n)` rows of `k_h * width * c_i` numbers, by the band
matrix. With `n = 1` the strips are the windows themselves, and the matrix is the kernel.

Multiplications: `width / k_w` times the definition's, for that part of the band matrix is zeros.
Bytes: the strips, with strides of 1 `k_h * width / n` times the image's, in place of `k_h * k_w`
for complete windows. A window of few channels is a short vector: products of these are slow, and to
copy each pixel into all its windows is slower still.

Zeros of the matrix meet pixels that an output does not see: there an infinity or a NaN spoils it.

Source: Golub and Van Loan (2013), *Matrix computations*, section 4.7, on Toeplitz matrices.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import ops

from cnn_tf._backend import (
    NAME,
    Tensor,
    cached,
    custom_gradient,
    is_tensorflow,
    matmul,
    split,
    take,
)
from cnn_tf._convolution.cost import calls, copy, memory, once, product
from cnn_tf._convolution.geometry import Axis, Geometry
from cnn_tf._convolution.windows import (
    add_wide_windows,
    axis_of_blocks,
    region,
    untaps,
    wide_windows,
)


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size."""
    return geometry.known and geometry.groups == 1


def cost(geometry: Geometry) -> float:
    """That of the best strips."""
    return cost_of(divide(geometry), geometry)


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


@cached
def divide(geometry: Geometry) -> Strips:
    """Divide a row into the strips that cost least, of fewer than `2 * k_w` outputs.

    Short strips see the same columns again and again, long ones make a matrix of many zeros.
    """
    outputs = range(1, min(2 * geometry.columns.window, geometry.columns.outputs + 1))
    choices = (strips_of(n, geometry.columns) for n in outputs)
    # As `min` does with a key, which PyTorch's compiler does not know.
    return sorted(choices, key=lambda strips: cost_of(strips, geometry))[0]


def cost_of(strips: Strips, geometry: Geometry) -> float:
    """Padding, strips of each row, those of `k_h` rows side by side, and one product."""
    (k_h, _), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    number, width = strips.number, strips.width * channels
    times = 1 if NAME == "torch" else 2  # there a view, of which only the gradient is copied
    strips_of_rows = copy(times * geometry.rows.padded * number * width, strips.step * channels)
    kept = geometry.rows.outputs * number * k_h * width
    seen = copy(2 * kept, width) + memory(kept, geometry)
    y = geometry.rows.outputs * number * strips.outputs * filters
    cut = 0 if number * strips.outputs == geometry.columns.outputs else copy(y)
    band = once(copy(k_h * width * strips.outputs * filters), geometry.batch)
    multiplied = product(geometry.rows.outputs * number, k_h * width, strips.outputs * filters)
    copied = copy(geometry.padding_copies) + strips_of_rows + seen + cut + band
    return copied + multiplied + calls(18, geometry.batch)


def strips_of(outputs: int, axis: Axis) -> Strips:
    """Divide a row into strips of so many outputs."""
    width = (outputs - 1) * axis.stride + axis.span
    return Strips(outputs, width, outputs * axis.stride, -(-axis.outputs // outputs))


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    strips = divide(geometry)

    def gather(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return _gather(x, strips, geometry), lambda d: _add_up(d, strips, geometry)

    seen = custom_gradient(gather, x)
    y = matmul(seen, band_of(kernel, strips, geometry))
    if bias is not None:  # before the change of shape: then TensorFlow adds it within the product
        # The gradients of this stack, and of the split below, are short: ops.tile's is not.
        y = ops.add(y, ops.reshape(ops.stack([bias] * strips.outputs), (-1,)))
    columns = strips.number * strips.outputs
    y = ops.reshape(y, (-1, geometry.rows.outputs, columns, geometry.filters))
    beyond = columns - geometry.columns.outputs
    return split(y, [columns - beyond, beyond], axis=2)[0] if beyond else y


def _gather(x: Tensor, strips: Strips, geometry: Geometry) -> Tensor:
    """What the strips see: (batch * out_h * number, k_h * width * c_i)."""
    rows, number, left = geometry.rows, strips.number, geometry.columns.before * geometry.channels
    width, step = strips.width * geometry.channels, strips.step * geometry.channels
    # With the channels in the rows, TensorFlow pads whole rows at once, and not pixel by pixel.
    x = ops.reshape(x, (-1, rows.cells, geometry.columns.cells * geometry.channels))
    views = NAME == "torch"
    # From the image's own last column on, the strips may need more zeros, or not see all.
    end = (number - 1) * step + width if views else axis_of_blocks(width, step, number).cells * step
    x = region(x, (-rows.before, rows.cells + rows.after), (-left, end - left))
    if views:  # all is copied at once
        x = x.unfold(2, width, step).unfold(1, rows.span, rows.stride)[..., :: rows.dilation]
        return ops.reshape(ops.transpose(x, (0, 1, 2, 4, 3)), (-1, rows.window * width))
    x = ops.reshape(wide_windows(x, width, step, number), (-1, rows.padded * number, width))
    first, tap = np.arange(rows.outputs) * rows.stride, np.arange(rows.window) * rows.dilation
    seen = (first[:, None, None] + tap) * number + np.arange(number)[:, None]
    x = take(x, np.reshape(seen, (-1, rows.window)), axis=1)
    return ops.reshape(x, (-1, rows.window * width))


def _add_up(seen: Tensor, strips: Strips, geometry: Geometry) -> Tensor:
    """Add up, for each pixel, what the strips that saw it hold: the adjoint of `_gather`."""
    rows, columns, channels = geometry.rows, geometry.columns, geometry.channels
    size = strips.width * channels
    seen = ops.reshape(seen, (-1, rows.outputs, strips.number, rows.window * size))
    x = untaps(split(seen, [size] * rows.window, axis=3), 1, rows.without_pads())
    x = add_wide_windows(x, strips.step * channels)
    first, last = columns.before * channels, (columns.before + columns.cells) * channels
    x = region(x, (rows.before, rows.before + rows.cells), (first, last))
    return ops.reshape(x, (-1, rows.cells, columns.cells, channels))


def band_of(kernel: Tensor, strips: Strips, geometry: Geometry) -> Tensor:
    """The matrix from what a strip sees to its outputs: (k_h * width * c_i, outputs * c_o).

    Its blocks of `c_o` numbers are rows of the kernel, or zeros.
    """
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    height = k_h * strips.width * channels
    # Four axes: output of a strip, row, column and channel of the kernel.
    sizes = strips.outputs, k_h, k_w, channels
    output, u, v, c = np.indices(sizes, sparse=True)
    column = v * geometry.columns.dilation + output * geometry.columns.stride
    # For each output of a strip and each row of the kernel, the row of the band that meets it.
    rows = (u * strips.width + column) * channels + c
    if is_tensorflow(kernel):  # there `take` has a slow gradient; on PyTorch, ops.scatter is slow
        places = np.stack(np.broadcast_arrays(rows, output), axis=-1)
        band = ops.scatter(
            places, ops.stack([kernel] * strips.outputs), (height, strips.outputs, filters)
        )
    else:
        rows = rows.reshape(strips.outputs, -1)
        there = np.full((height, strips.outputs), rows.shape[1])  # the row of zeros
        there[rows, output[:, :, 0, 0]] = np.arange(rows.shape[1])
        zeros = ops.zeros((1, filters), kernel.dtype)
        band = take(ops.concatenate([ops.reshape(kernel, (-1, filters)), zeros]), there)
    return ops.reshape(band, (height, -1))
