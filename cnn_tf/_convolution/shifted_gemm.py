"""Strides of 1: a shifted GEMM, one product of matrices for each row of the kernel.

All pixels of the padded images, one image after the other, are the rows of one long matrix of `c_i`
columns. What a window shifted by one pixel sees is the same matrix, started one row later; for a
window shifted by a line of the image it is started a whole line later. So no copy is made for the
rows of the kernel. The `k_w` shifts along a line are put side by side: a matrix of `k_w * c_i`
columns, of which row `u` of the kernel needs the part that begins `u` lines later. The `k_h`
products, each with a matrix of `k_w * c_i` by `c_o`, are added. What reaches from one line or image
into the next is thrown away.

Multiplications: the definition's, and those of the products that are thrown away.
Bytes: `k_w` times the image's, for some images at a time, or some rows of one.

The gradients are not left to automatic differentiation, which would pad each of the shifted
matrices' gradients and add them up. Both are correlations themselves: that of the images one of the
outputs' gradient with the flipped kernel, that of the kernel one of the images with the outputs'
gradient, by the same products the other way.

Source: Anderson, Vasudevan, Keane and Gregg (2017), *Low-memory GEMM-based convolution algorithms
for deep neural networks*.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from cnn_tf._backend import (
    Tensor,
    after,
    custom_gradient,
    cut,
    cut_axes,
    in_graph,
    is_tensorflow,
    matmul,
)
from cnn_tf._convolution.cost import copy, product
from cnn_tf._convolution.geometry import Axis, Geometry
from cnn_tf._convolution.windows import pad_zeros, region

# So much at a time that the windows gathered for it fill about this many bytes: they stay near the
# processor, and a large image takes little memory besides its own.
_BYTES_AT_A_TIME = 24_000_000
_MOST_PIECES = 32  # each is a part of the graph that TensorFlow has to build and to plan

_Range = tuple[int, Any]  # the first, and the one after the last: None where it is not known


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size, with strides of 1, of floats, on TensorFlow."""
    return (
        is_tensorflow()
        and geometry.known
        and geometry.groups == 1
        and geometry.strides == (1, 1)
        and "float" in geometry.dtype
    )


def cost(geometry: Geometry) -> float:
    """Padding, windows, `k_h` products with a window for each pixel, and the outputs cut out."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    windows = copy(geometry.pixels * k_w * channels, channels) if k_w > 1 else 0
    rest = copy(geometry.padding_copies + (k_h + 3) * geometry.pixels * filters)
    return windows + rest + product(k_h * geometry.pixels, k_w * channels, filters)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    if any(max(axis.pads) >= axis.span for axis in (geometry.rows, geometry.columns)):
        # Windows that see nothing but zeros have no place in the gradient's own padding.
        x, geometry = pad_zeros(x, geometry.pads), geometry.without_pads()

    def correlate(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        y, seen = _correlate(x, kernel, geometry)
        outputs = in_graph(y)

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            flipped = ops.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
            # One after the other, or memory holds the pieces of several at a time.
            with after([upstream, *outputs]):
                to_x, _ = _correlate(upstream, flipped, _of_gradient(geometry))
            with after([to_x]):
                return to_x, _kernel_gradient(x, seen, upstream, geometry)

        return y, gradients

    y = custom_gradient(correlate, x, kernel)
    return y if bias is None else ops.add(y, bias)


def _of_gradient(geometry: Geometry) -> Geometry:
    """The correlation of the outputs' gradient with the flipped kernel, to that of the images."""

    def of_axis(axis: Axis) -> Axis:
        before, behind = (axis.span - 1 - cells for cells in axis.pads)
        return axis._replace(size=axis.outputs, before=before, after=behind)

    rows, columns = of_axis(geometry.rows), of_axis(geometry.columns)
    channels, filters = geometry.filters, geometry.channels
    return geometry._replace(rows=rows, columns=columns, channels=channels, filters=filters)


def _correlate(x: Tensor, kernel: Tensor, geometry: Geometry) -> tuple[Tensor, list[Tensor] | None]:
    """The outputs; and what was seen for them, if that was done in one piece."""
    (k_h, k_w), rows, columns = geometry.kernel, geometry.rows, geometry.columns
    kernel = ops.reshape(kernel, (k_h, k_w * geometry.channels, geometry.filters))
    matrices, beyond = ops.unstack(kernel), _beyond(geometry)
    if beyond and not geometry.batch:  # it may be empty, and stays so
        beyond = beyond * ops.minimum(ops.shape(x)[0], 1)
    images, lines_of_each = _pieces(geometry)
    done: list[Tensor] = []
    for some, (start, stop) in itertools.product(images, lines_of_each):
        with after(done[-1:]):  # one after the other, or memory holds them all
            seen = _windows(cut(x, 0, *some), start, stop, geometry)
            products = [matmul(row, matrix) for row, matrix in zip(seen, matrices, strict=True)]
            y = sum(products[1:], start=products[0])
            if _beyond(geometry):
                y = ops.pad(y, ((0, beyond), (0, 0)))
            lines = stop - start + rows.span - 1
            y = ops.reshape(y, (-1, lines, columns.padded, geometry.filters))
            done.append(region(y, (0, stop - start), (0, columns.outputs)))
    if len(done) == 1:
        return done[0], seen
    n = len(lines_of_each)
    whole = [_joined(done[first : first + n], axis=1) for first in range(0, len(done), n)]
    return _joined(whole, axis=0), None


def _kernel_gradient(
    x: Tensor, kept: list[Tensor] | None, upstream: Tensor, geometry: Geometry
) -> Tensor:
    """The products of `_correlate` the other way: a row of the kernel from all pixels it met."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    rows, columns = geometry.rows, geometry.columns
    total = None
    for some, (start, stop) in itertools.product(*_pieces(geometry)):
        with after([] if total is None else [total]):
            seen = _windows(cut(x, 0, *some), start, stop, geometry) if kept is None else kept
            # Zeros where `_correlate` throws products away.
            d = cut_axes(upstream, {0: some, 1: (start, stop)})
            d = region(d, (0, stop - start + rows.span - 1), (0, columns.padded))
            d = ops.reshape(d, (-1, filters))[: -_beyond(geometry) or None]
            if k_w * channels < filters:
                products = [matmul(row, d, transpose="a") for row in seen]
            else:  # a product is faster with the wide matrix on its right
                products = [ops.transpose(matmul(d, row, transpose="a")) for row in seen]
            piece = ops.reshape(ops.stack(products), (k_h, k_w, channels, filters))
            total = piece if total is None else total + piece
    return total


def _beyond(geometry: Geometry) -> int:
    """How many pixels from the end on a window has no room."""
    return (geometry.rows.span - 1) * geometry.columns.padded + geometry.columns.span - 1


def _pieces(geometry: Geometry) -> tuple[list[_Range], list[_Range]]:
    """The images and the rows of their outputs that are computed together.

    Whole images, as long as one is small enough: where an image is cut between two rows, both
    pieces gather the rows around the cut.
    """
    (_, k_w), out_h, batch = geometry.kernel, geometry.rows.outputs, geometry.batch
    row_of_windows = geometry.columns.padded * k_w * geometry.channels
    size = (batch or 1) * out_h * row_of_windows * geometry.bytes_of_a_number
    number = min(-(-size // _BYTES_AT_A_TIME), _MOST_PIECES)
    if not batch:  # it is not known, or there are no images
        return [(0, batch)], _ranges(out_h, number)
    return _ranges(batch, number), _ranges(out_h, -(-number // batch))


def _ranges(total: int, number: int) -> list[_Range]:
    """First and last of each part, if so many are made of a whole: of about the same size."""
    step = -(-total // number)
    return [(start, min(start + step, total)) for start in range(0, total, step)]


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else parts[0]


def _windows(x: Tensor, start: int, stop: int, geometry: Geometry) -> list[Tensor]:
    """For some rows of outputs and each row of the kernel, what it sees: (pixels, k_w * c_i)."""
    (k_h, k_w), rows, columns = geometry.kernel, geometry.rows, geometry.columns
    (top, _), (left, right) = geometry.pads
    lines = region(
        x, (start - top, stop + rows.span - 1 - top), (-left, columns.cells + right)
    )  # of the padded images, without making these
    pixels = ops.reshape(lines, (-1, geometry.channels))
    shifts = _starting_later(pixels, k_w, columns.dilation)
    windows = ops.concatenate(shifts, axis=-1) if k_w > 1 else pixels
    return _starting_later(windows, k_h, rows.dilation * columns.padded)


def _starting_later(matrix: Tensor, count: int, step: int) -> list[Tensor]:
    """As many matrices, each beginning step rows after the one before, all of the same length."""
    last = (count - 1) * step
    return [matrix[first : (first - last) or None] for first in range(0, last + 1, step)]
