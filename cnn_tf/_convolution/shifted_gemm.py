"""Strides of 1: a shifted GEMM, one product of matrices for each row of the kernel.

All pixels of the padded images, one image after the other, are the rows of one long matrix of `c_i`
columns. What a window shifted by one pixel sees is the same matrix, started one row later; for a
window shifted by a line of the image it is started a whole line later. So no copy is made for the
rows of the kernel. The `k_w` shifts along a line are put side by side: a matrix of `k_w * c_i`
columns, of which row `u` of the kernel needs the part that begins `u` lines later. The `k_h`
products, each with a matrix of `k_w * c_i` by `c_o`, are added. What reaches from one line or image
into the next is thrown away.

Where `c_o` is small, or does not fill the processor's vectors, such products are slow. There pixels
are taken in pairs, and two neighbouring outputs are computed at once. Their windows meet
`ceil((k_w + 1) / 2)` pairs, and the matrix from these to `2 * c_o` numbers holds the kernel's row
twice, along its diagonal (see block_toeplitz.py).

On JAX, XLA would make the copies that are avoided here: one of each part that a row of the kernel
needs. There the matrices of all rows stand side by side, and there is one product. Its parts, one
for each row, each begun `u` lines later, are added. No pairs are needed, for the product is wide.

Multiplications: the definition's, those of the products that are thrown away, and with pairs those
with the zeros of the matrix, `2 * ceil((k_w + 1) / 2)` in place of `k_w`.
Bytes: `k_w` times the image's, with pairs `ceil((k_w + 1) / 2)` times, for some images at a time,
or some rows of one.

Zeros of the matrix meet pixels that an output does not see: there an infinity or a NaN spoils it.

On TensorFlow the gradients are not left to automatic differentiation, which would pad each of the
shifted matrices' gradients and add them up. Both are correlations themselves: that of the images
one of the outputs' gradient with the flipped kernel, that of the kernel one of the images with the
outputs' gradient, by the same products the other way.

Source: Anderson, Vasudevan, Keane and Gregg (2017), *Low-memory GEMM-based convolution algorithms
for deep neural networks*.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from cnn_tf._backend import (
    NAME,
    Tensor,
    after,
    cached,
    custom_gradient,
    cut_axes,
    in_graph,
    matmul,
)
from cnn_tf._convolution.block_toeplitz import band_of, strips_of
from cnn_tf._convolution.cost import calls, copy, product
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.layout import ALIGNMENT, Layout, images_of, in_one_matrix, lay_out, part_of
from cnn_tf._convolution.windows import pad_zeros, region

# So much at a time that the windows gathered for it fill about this many bytes: they stay near the
# processor, and a large image takes little memory besides its own.
_BYTES_AT_A_TIME = 24_000_000
_MOST_PIECES = 32  # each is a part of the graph that TensorFlow has to build and to plan

_Range = tuple[int, Any]  # the first, and the one after the last: None where it is not known
_Windows = tuple[list[Tensor], Layout]


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size, with strides of 1, of floats."""
    return (
        geometry.known
        and geometry.groups == 1
        and geometry.strides == (1, 1)
        and "float" in geometry.dtype
    )


def cost(geometry: Geometry) -> float:
    """That of single outputs or of pairs, whichever is less."""
    called = calls(22 + 2 * geometry.rows.window, geometry.batch)
    return _cost_of(outputs_at_once(geometry), geometry) + called


def _cost_of(outputs: int, geometry: Geometry) -> float:
    """Padding, windows, `k_h` products with a window for each pixel, their sum, a cut."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    lines, pitch = geometry.rows.cells + max(geometry.rows.pads), _pitch(outputs, geometry)
    pixels, given = lines * pitch, geometry.rows.cells * geometry.columns.cells
    padding = copy(pixels * channels) if pixels > given else 0
    steps, seen = pixels / outputs, _seen(outputs, geometry)
    windows = copy(steps * seen, outputs * channels) if k_w > 1 else 0
    if _by_one_product(geometry):  # all else is one loop
        rest = copy((k_h + 1) * pixels * filters)
        return padding + windows + rest + product(pixels, seen, k_h * filters)
    rest = copy((2 * k_h + 2) * pixels * filters)
    return padding + windows + rest + product(k_h * steps, seen, outputs * filters)


def _by_one_product(geometry: Geometry) -> bool:
    """Whether one product serves all rows of the kernel: where its parts are smaller to copy."""
    return NAME == "jax" and geometry.filters < geometry.columns.window * geometry.channels


@cached
def outputs_at_once(geometry: Geometry) -> int:
    """How many neighbouring outputs of a row are computed at once: three would be slower."""
    single = geometry.columns.dilation > 1 or _by_one_product(geometry)
    return 2 if not single and _cost_of(2, geometry) < _cost_of(1, geometry) else 1


def _groups(outputs: int, taps: int) -> int:
    """How many groups of that many pixels the windows of neighbouring outputs meet."""
    return -(-(outputs - 1 + taps) // outputs)


def _seen(outputs: int, geometry: Geometry) -> int:
    """How many numbers neighbouring outputs see of a row."""
    return _groups(outputs, geometry.columns.window) * outputs * geometry.channels


def _pitch(outputs: int, geometry: Geometry) -> int:
    """How many pixels it is from one row to the next.

    Zeros that follow upon a row also precede the next one. And it is whole groups of pixels, and so
    many that what begins with a row is aligned.
    """
    columns = geometry.columns
    step = outputs * (ALIGNMENT // math.gcd(ALIGNMENT, _seen(outputs, geometry)))
    return -(-(columns.cells + max(columns.pads)) // step) * step


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
    rows, columns = geometry.rows.adjoint(), geometry.columns.adjoint()
    channels, filters = geometry.filters, geometry.channels
    return geometry._replace(rows=rows, columns=columns, channels=channels, filters=filters)


def _correlate(x: Tensor, kernel: Tensor, geometry: Geometry) -> tuple[Tensor, _Windows | None]:
    """The outputs; and what was seen for them, if that was done in one piece."""
    matrices = _matrices(kernel, geometry)
    images, lines_of_each = _pieces(geometry)
    done: list[Tensor] = []
    for some, lines in itertools.product(images, lines_of_each):
        with after(done[-1:]):  # one after the other, or memory holds them all
            seen, layout = _windows(x, some, lines, geometry)
            products = _products(seen, matrices, layout, geometry)
            y = sum(products[1:], start=products[0])
            y = ops.reshape(y, (-1, geometry.filters))
            done.append(images_of(y, layout, lines[1] - lines[0], geometry.columns.outputs))
    if len(done) == 1:
        return done[0], (seen, layout)
    n = len(lines_of_each)
    whole = [_joined(done[first : first + n], axis=1) for first in range(0, len(done), n)]
    return _joined(whole, axis=0), None


def _products(
    seen: list[Tensor], matrices: Tensor, layout: Layout, geometry: Geometry
) -> list[Tensor]:
    """For each row of the kernel, its product with what it sees."""
    if not _by_one_product(geometry):
        pairs = zip(seen, ops.unstack(matrices), strict=True)
        return [matmul(row, matrix) for row, matrix in pairs]
    (windows,), filters = seen, geometry.filters
    matrix = ops.reshape(ops.transpose(matrices, (1, 0, 2)), (windows.shape[1], -1))
    y = matmul(windows, matrix)
    starts = _starts(layout.pitch, geometry)
    size = y.shape[0] - starts[-1]
    return [
        y[start : start + size, u * filters : (u + 1) * filters] for u, start in enumerate(starts)
    ]


def _kernel_gradient(
    x: Tensor, kept: _Windows | None, upstream: Tensor, geometry: Geometry
) -> Tensor:
    """The products of `_correlate` the other way: a row of the kernel from all pixels it met."""
    together, total = outputs_at_once(geometry), None
    for some, lines in itertools.product(*_pieces(geometry)):
        with after([] if total is None else [total]):
            seen, layout = kept or _windows(x, some, lines, geometry)
            # Zeros where `_correlate` throws products away.
            d = cut_axes(upstream, {0: some, 1: lines})
            d = region(d, (0, layout.lines), (0, layout.pitch))
            d = ops.reshape(d, (-1, together * geometry.filters))
            if seen[0].shape[1] < d.shape[1]:
                products = [matmul(row, d, transpose="a") for row in seen]
            else:  # a product is faster with the wide matrix on its right
                products = [ops.transpose(matmul(d, row, transpose="a")) for row in seen]
            piece = ops.stack(products)
            total = piece if total is None else total + piece
    return _kernel_of(total, geometry)


def _matrices(kernel: Tensor, geometry: Geometry) -> Tensor:
    """For each row of the kernel, what leads from groups of pixels to neighbouring outputs.

    Shape: `(k_h, groups * outputs * c_i, outputs * c_o)`.
    """
    outputs = outputs_at_once(geometry)
    if outputs > 1:
        width = _groups(outputs, geometry.columns.window) * outputs
        strips = strips_of(outputs, geometry.columns)._replace(width=width)
        kernel = band_of(kernel, strips, geometry)
    return ops.reshape(kernel, (geometry.rows.window, -1, outputs * geometry.filters))


def _kernel_of(matrices: Tensor, geometry: Geometry) -> Tensor:
    """Add up what leads from each tap to its output: the adjoint of `_matrices`."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    outputs = outputs_at_once(geometry)
    matrices = ops.reshape(matrices, (k_h, -1, channels, outputs * filters))
    parts = (
        cut_axes(matrices, {1: (i, i + k_w), 3: (i * filters, (i + 1) * filters)})
        for i in range(outputs)
    )
    return functools.reduce(operator.add, parts)


def _pieces(geometry: Geometry) -> tuple[list[_Range], list[_Range]]:
    """The images and the rows of their outputs that are computed together.

    Whole images, as long as one is small enough: where an image is cut between two rows, both
    pieces gather the rows around the cut.
    """
    out_h, batch = geometry.rows.outputs, geometry.batch
    together = outputs_at_once(geometry)
    row_of_windows = geometry.columns.padded * _seen(together, geometry) // together
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


def _windows(x: Tensor, images: _Range, outputs: _Range, geometry: Geometry) -> _Windows:
    """For each row of the kernel, what some rows of outputs see; and how that is laid out."""
    rows, columns, channels = geometry.rows, geometry.columns, geometry.channels
    start, stop = outputs[0] - rows.before, outputs[1] - rows.before + rows.span - 1
    first, last = max(start, 0), min(stop, rows.cells)
    x = cut_axes(x, {0: images, 1: (first, last)})
    rows = rows._replace(size=last - first, before=first - start, after=stop - last)
    # In groups of pixels: the pitch, what the last line sees below it, and what follows all images.
    together = outputs_at_once(geometry)
    groups = _groups(together, columns.span)
    reach = (groups - 1) * together
    layout = lay_out(rows, columns, x.shape[0], _pitch(together, geometry), reach)
    pitch, beyond = layout.pitch // together, layout.beyond // together
    below = (rows.span - 1) * pitch
    matrix = ops.reshape(in_one_matrix(x, channels, layout), (-1, together * channels))
    steps = range(0, groups, columns.dilation)
    shifts = [part_of(matrix, step, beyond - below - step) for step in steps]
    windows = ops.concatenate(shifts, axis=-1) if len(shifts) > 1 else shifts[0]
    if _by_one_product(geometry):
        return [windows], layout
    return [part_of(windows, start, below - start) for start in _starts(pitch, geometry)], layout


def _starts(pitch: int, geometry: Geometry) -> range:
    """Where among the windows what each row of the kernel sees begins."""
    step = geometry.rows.dilation * pitch
    return range(0, geometry.rows.window * step, step)
