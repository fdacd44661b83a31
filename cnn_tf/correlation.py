"""Cross-correlation of a batch of images: its definition, and faster ways to the same numbers.

`functional` describes and checks; this module computes. It calls no built-in convolution, and no
loop runs over pixels; the loops run over the few cells of the kernel.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cnn_tf.arguments import is_symbolic, spans

Tensor = Any

# Which way for which shape; the first that fits. `make bench` shows what comes of it.
#
#   image and kernel                                                way
#   one group, 1x1, strides of 1                                    correlate_pixels
#   one group; what a strip sees of a row holds few numbers         correlate_strips
#   one group, no dilation, TensorFlow, floats, and
#     3x3, strides of 1, many channels, few enough products, no GPU correlate_tiles
#     larger strides                                                on_tensorflow.correlate_strided
#   one group, strides of 1, TensorFlow, floats, and
#     an image larger than its window                               on_tensorflow.correlate_shifted
#   all others, and where a size is not known                       correlate_windows (definition)
_MOST_NUMBERS_IN_A_STRIP = 64
_FEWEST_CHANNELS_IN_TILES = 32
_MOST_PRODUCTS_IN_TILES = 0.75  # a part of the definition's
_MOST_BYTES_IN_TILES = 64_000_000  # they are kept for the gradient
_MOST_PIXELS_AN_OUTPUT = 2.0


def correlate_zero_padded(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sequence[int],
    sides: Sequence[Sequence[Any]],
    dilation_rate: Sequence[int],
    groups: int,
) -> Tensor:
    """Cross-correlate images, padded with zeros, by the way that suits their shape.

    Args:
        x: A batch of images, channels last.
        kernel: `(k_h, k_w, c_i // groups, c_o)`.
        bias: `(c_o,)`, to be added to each output, or `None`.
        strides: Steps between windows, a pair.
        sides: Zeros to be added, ((top, bottom), (left, right)): numbers, or tensors where they
            depend on a size that is not known.
        dilation_rate: Distance between the cells of the window, a pair.
        groups: Number of groups into which the channels are split.
    """
    strides, dilation_rate = tuple(strides), tuple(dilation_rate)
    known = None not in x.shape[1:] and not any(map(is_symbolic, (*sides[0], *sides[1])))
    if groups == 1 and (*kernel.shape[:2], *strides) == (1, 1, 1, 1):
        return correlate_pixels(pad_zeros(x, sides), kernel, bias)
    if not known or groups > 1:
        y = correlate_windows(pad_zeros(x, sides), kernel, strides, dilation_rate, groups)
    elif _suits_strips(x, kernel.shape, strides, sides, dilation_rate):
        return correlate_strips(x, kernel, sides, strides, dilation_rate, bias)
    else:
        y = _correlate_channels(x, kernel, strides, sides, dilation_rate)
    return y if bias is None else ops.add(y, bias)


def _correlate_channels(
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, ...],
    sides: Sequence[Sequence[int]],
    dilation_rate: tuple[int, ...],
) -> Tensor:
    """The ways whose products run over the channels of a pixel, or of a few side by side."""
    floats = "float" in keras.backend.standardize_dtype(x.dtype)
    if computes_on_tensorflow(x) and floats:
        from cnn_tf import on_tensorflow

        h, w = (n + sum(cells) for n, cells in zip(x.shape[1:3], sides, strict=True))
        if dilation_rate == (1, 1) and strides != (1, 1):
            return on_tensorflow.correlate_strided(x, kernel, sides, strides)
        if dilation_rate == (1, 1) and _suits_tiles(x, h, w, kernel.shape):
            return correlate_tiles(pad_zeros(x, sides), kernel)
        window = spans(kernel.shape[:2], dilation_rate)
        outputs = (h - window[0] + 1) * (w - window[1] + 1)
        if strides == (1, 1) and h * w <= _MOST_PIXELS_AN_OUTPUT * outputs:
            return on_tensorflow.correlate_shifted(x, kernel, sides, dilation_rate)
    return correlate_windows(pad_zeros(x, sides), kernel, strides, dilation_rate)


def _suits_strips(
    x: Tensor,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    sides: Sequence[Sequence[int]],
    dilation_rate: Sequence[int],
) -> bool:
    """Whether the windows of strips are short vectors."""
    span = spans(kernel_shape[:2], dilation_rate)[1]
    out_w = (x.shape[2] + sum(sides[1]) - span) // strides[1] + 1
    _, width, _ = strip_sizes(kernel_shape[1], span, strides[1], out_w)
    return width * x.shape[3] <= _MOST_NUMBERS_IN_A_STRIP


def _suits_tiles(x: Tensor, h: int, w: int, kernel_shape: Sequence[int]) -> bool:
    """Whether tiles are exact, fast and small for images of the padded size h, w."""
    from cnn_tf import on_tensorflow

    k_h, k_w, channels, filters = kernel_shape
    if keras.backend.standardize_dtype(x.dtype) not in ("float32", "float64"):
        return False
    if (k_h, k_w) != (3, 3) or min(channels, filters) < _FEWEST_CHANNELS_IN_TILES:
        return False
    cells = (_TILE + 2) ** 2 * math.ceil((h - 2) / _TILE) * math.ceil((w - 2) / _TILE)
    if not on_tensorflow.on_cpu():
        return False  # where products are rounded, tiles would multiply the errors
    few = cells <= _MOST_PRODUCTS_IN_TILES * 9 * (h - 2) * (w - 2)
    return few and (x.shape[0] or 1) * cells * channels * x.dtype.size <= _MOST_BYTES_IN_TILES


def computes_on_tensorflow(x: Tensor) -> bool:
    """Whether x is a tensor of TensorFlow, and not only the shape and type of one."""
    return keras.backend.backend() == "tensorflow" and not isinstance(x, keras.KerasTensor)


def pad_zeros(x: Tensor, sides: Sequence[Sequence[Any]], value: float = 0) -> Tensor:
    """Add cells around images: zeros, or another number."""
    rows, columns = sides
    if not any(is_symbolic(cells) or cells for cells in (*rows, *columns)):
        return x
    return ops.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=value)


# --- Windows --------------------------------------------------------------------------------------


def window_views(x: Tensor, axis: int, size: int, stride: int, dilation: int = 1) -> list[Tensor]:
    """For each cell of a window, what this cell sees of x as the window moves along an axis.

    x[a:b:stride] would do, and does where the size of x is not known. But its gradient is slow, on
    TensorFlow above all, so every stride-th entry is found as an axis of its own.
    """
    offsets = range(0, size * dilation, dilation)
    n = x.shape[axis]
    if n is None:  # the end is counted from the back
        return [_sliced(x, axis, o, (o - offsets[-1]) or None, stride) for o in offsets]
    count = (n - offsets[-1] - 1) // stride + 1
    if stride == 1:
        return [_cut(x, axis, o, o + count) for o in offsets]
    blocks = count + offsets[-1] // stride
    x = _cut(x, axis, 0, min(n, blocks * stride))
    if n < blocks * stride:  # cells that no window sees
        missing = [(0, blocks * stride - n) if a == axis else (0, 0) for a in range(len(x.shape))]
        x = ops.pad(x, missing)
    shape = ops.shape(x)
    x = ops.reshape(x, (-1, *shape[1:axis], blocks, stride, *shape[axis + 1 :]))
    every = ops.unstack(x, axis=axis + 1)
    return [_cut(every[o % stride], axis, o // stride, o // stride + count) for o in offsets]


def _cut(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x[start:stop] along an axis of known size."""
    if (start, stop) == (0, x.shape[axis]):
        return x
    if computes_on_tensorflow(x):
        from cnn_tf import on_tensorflow

        return on_tensorflow.cut(x, axis, start, stop)
    return _sliced(x, axis, start, stop)


def _sliced(x: Tensor, axis: int, start: int, stop: int | None, stride: int = 1) -> Tensor:
    index = [slice(None)] * len(x.shape)
    index[axis] = slice(start, stop, stride)
    return x[tuple(index)]


# --- The ways -------------------------------------------------------------------------------------


def correlate_windows(
    x: Tensor,
    kernel: Tensor,
    strides: Sequence[int] = (1, 1),
    dilation_rate: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """The definition: gather the windows along the width, then one product per kernel row."""
    k_h, k_w, depth, filters = kernel.shape
    columns = window_views(x, 2, k_w, strides[1], dilation_rate[1])
    if groups == 1:
        windows = ops.concatenate(columns, axis=-1)  # (batch, h, out_w, k_w * c_i)
        matrices = ops.reshape(kernel, (k_h, k_w * depth, filters))
    else:
        columns = [_split_channels(column, groups, depth) for column in columns]
        windows = ops.concatenate(columns, axis=-1)  # (batch, h, groups, out_w, k_w * depth)
        matrices = ops.reshape(kernel, (k_h, k_w * depth, groups, filters // groups))
        matrices = ops.transpose(matrices, (0, 2, 1, 3))  # (k_h, groups, k_w * depth, c_o / groups)
    rows = window_views(windows, 1, k_h, strides[0], dilation_rate[0])
    y = sum(ops.matmul(row, matrices[u]) for u, row in enumerate(rows))
    return y if groups == 1 else _join_channels(y, filters)


def _split_channels(x: Tensor, groups: int, depth: int) -> Tensor:
    """(batch, h, w, c) -> (batch, h, groups, w, c / groups)."""
    shape = ops.shape(x)
    x = ops.reshape(x, (-1, *shape[1:3], groups, depth))
    return ops.transpose(x, (0, 1, 3, 2, 4))


def _join_channels(y: Tensor, channels: int) -> Tensor:
    """(batch, h, groups, w, c / groups) -> (batch, h, w, c)."""
    shape = ops.shape(y)
    return ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4)), (-1, shape[1], shape[3], channels))


def correlate_pixels(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 kernel, with strides of 1, is a dense layer at every pixel."""
    shape = ops.shape(x)
    y = ops.matmul(ops.reshape(x, (-1, kernel.shape[2])), kernel[0, 0])
    if bias is not None:  # TensorFlow adds it within the product, but not behind a change of shape
        y = ops.add(y, bias)
    return ops.reshape(y, (*shape[:3], kernel.shape[3]))


def correlate_strips(
    x: Tensor,
    kernel: Tensor,
    sides: Sequence[Sequence[int]] = ((0, 0), (0, 0)),
    strides: Sequence[int] = (1, 1),
    dilation_rate: Sequence[int] = (1, 1),
    bias: Tensor | None = None,
) -> Tensor:
    """Some outputs of a row at once: the kernel row, repeated along the diagonal of a matrix.

    What a strip of n outputs sees of a row of the image is a vector of numbers; what leads from it
    to the n * c_o numbers of the outputs is a banded (block Toeplitz) matrix. The k_h rows that a
    window sees lie side by side in one long vector, so that a single product does all. About half
    of the matrix is zeros. But a window of few channels is a short vector: products of these are
    slow, and to copy each pixel into k_h * k_w of them is slower still.

    Args:
        x: Images `(batch, h, w, c_i)`; all but the batch must be known.
        kernel: `(k_h, k_w, c_i, c_o)`.
        sides: Zeros to be added, ((top, bottom), (left, right)).
        strides: Steps between windows.
        dilation_rate: Distance between the cells of the window.
        bias: `(c_o,)`, or `None`.
    """
    k_h, k_w, _, filters = kernel.shape
    h, w = (n + sum(cells) for n, cells in zip(x.shape[1:3], sides, strict=True))
    span_h, span_w = spans(kernel.shape[:2], dilation_rate)
    out_h, out_w = (h - span_h) // strides[0] + 1, (w - span_w) // strides[1] + 1
    outputs, width, count = strip_sizes(k_w, span_w, strides[1], out_w)

    (top, bottom), (left, _) = sides
    # From the image's own last column on, the strips need more zeros, or do not see all.
    right = outputs * (count - 1) * strides[1] + width - left - x.shape[2]
    windows = _compiled(
        _strip_windows,
        (x,),
        ((top, bottom), (left, max(right, 0))),
        *(k_h, strides, dilation_rate[0], outputs, width, count, bias is not None),
    )
    matrices = (kernel,) if bias is None else (kernel, bias)
    band = _compiled(_band, matrices, outputs, width, strides[1], dilation_rate[1])
    y = ops.matmul(ops.reshape(windows, (-1, band.shape[0])), band)
    return _cut(ops.reshape(y, (-1, out_h, count * outputs, filters)), 2, 0, out_w)


def strip_sizes(k_w: int, span: int, stride: int, out_w: int) -> tuple[int, int, int]:
    """Outputs in a strip, the columns that they see, and the number of strips in a row.

    Short strips see the same columns again and again, long ones make a matrix of many zeros.
    """
    sizes = [(n, (n - 1) * stride + span, -(-out_w // n)) for n in range(k_w, 2 * k_w)]
    return min(sizes, key=lambda size: size[1] * size[2])


def _compiled(function: Callable[..., Tensor], tensors: Sequence[Tensor], *settings: Any) -> Tensor:
    """function(*tensors, *settings), on TensorFlow by a loop of its own."""
    if computes_on_tensorflow(tensors[0]):
        from cnn_tf import on_tensorflow

        return on_tensorflow.compiled(function, tensors, *settings)
    return function(*tensors, *settings)


def _strip_windows(
    x: Tensor,
    sides: Sequence[Sequence[int]],
    k_h: int,
    strides: Sequence[int],
    dilation: int,
    outputs: int,
    width: int,
    count: int,
    ones: bool,
) -> Tensor:
    """What the strips see: (batch, out_h, count, k_h * width * c_i).

    With ones, each row of a strip ends in a 1. What leads from the first of these to the outputs is
    the bias, which so costs no pass over the outputs, nor its gradient a sum over theirs.
    """
    x = pad_zeros(x, sides)
    _, h, _, channels = x.shape
    starts = range(0, count * outputs * strides[1], outputs * strides[1])
    strips = [ops.reshape(_cut(x, 2, n, n + width), (-1, h, width * channels)) for n in starts]
    strips = ops.stack(strips, axis=2)  # (batch, h, count, width * c_i)
    if ones:
        strips = ops.pad(strips, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=1)
    return ops.concatenate(window_views(strips, 1, k_h, strides[0], dilation), axis=-1)


def _band(kernel: Tensor, *settings: Any) -> Tensor:
    """The matrix from what a strip sees to its outputs: (k_h * width * c_i, outputs * c_o)."""
    *bias, outputs, width, stride, dilation = settings
    k_h, k_w, channels, filters = kernel.shape
    # place[v, i, j] is 1 where cell v of the window at output j lies on column i of the strip.
    place = np.zeros((k_w, width, outputs), "bool")
    for v in range(k_w):
        place[v, np.arange(outputs) * stride + v * dilation, np.arange(outputs)] = True
    place = ops.convert_to_tensor(place.reshape(k_w, -1), dtype=kernel.dtype)
    cells = ops.reshape(ops.transpose(kernel, (0, 2, 3, 1)), (-1, k_w))  # (k_h * c_i * c_o, k_w)
    band = ops.reshape(ops.matmul(cells, place), (k_h, channels, filters, width, outputs))
    band = ops.reshape(ops.transpose(band, (0, 3, 1, 4, 2)), (k_h, -1, outputs * filters))
    if bias:
        row = ops.reshape(ops.tile(bias[0], outputs), (1, 1, -1))
        band = ops.concatenate([band, ops.pad(row, ((0, k_h - 1), (0, 0), (0, 0)))], axis=1)
    return ops.reshape(band, (-1, outputs * filters))


_TILE = 4  # outputs along each side of a tile
# Near one, so that their powers are too, and symmetric; the last point is infinity. With the usual
# 0, 1, -1, 2 and -2 the largest error is more than twice as large.
_POINTS = (2 / 3, -2 / 3, 4 / 3, -4 / 3, 0)


def correlate_tiles(x: Tensor, kernel: Tensor) -> Tensor:
    """Tiles of 4x4 outputs by the algorithm of Toom, Cook and Winograd: fewer multiplications.

    A row of m outputs of a kernel of r cells takes m * r products. But there are values of
    polynomials at n = m + r - 1 points behind them, of which n products know all. What leads to
    these values and back is linear, the same for all channels: a product with a small matrix. In
    two dimensions, with 3x3 cells, 36 products do in place of 144.

    Args:
        x: Images `(batch, h, w, c_i)`; all but the batch must be known.
        kernel: `(r, r, c_i, c_o)`, with r up to 3. The strides are 1.

    Source:
        Lavin and Gray (2016), *Fast algorithms for convolutional neural networks*.
    """
    m, (r, _, channels, filters) = _TILE, kernel.shape
    n = m + r - 1
    out_h, out_w = (side - r + 1 for side in x.shape[1:3])
    tiles_h, tiles_w = math.ceil(out_h / m), math.ceil(out_w / m)

    # Axes: row and column of a pixel within its m x m block, image, row and column of the block.
    blocks = (tiles_h + 1, tiles_w + 1)
    x = pad_zeros(x, [(0, m * b - side) for b, side in zip(blocks, x.shape[1:3], strict=True)])
    x = ops.reshape(x, (-1, blocks[0], m, blocks[1], m, channels))
    x = ops.transpose(x, (2, 4, 0, 1, 3, 5))
    # A tile sees a block and the first r - 1 rows and columns of those below and to the right.
    seen, order = [], []
    for i, rows in enumerate((m, r - 1)):
        part = _cut(_cut(x, 0, 0, rows), 3, i, i + tiles_h)
        for j, columns in enumerate((m, r - 1)):
            pixels = _cut(_cut(part, 1, 0, columns), 4, j, j + tiles_w)
            seen.append(ops.reshape(pixels, (rows * columns, -1)))
            order += [(u + i * m) * n + v + j * m for u in range(rows) for v in range(columns)]

    to_outputs, of_kernel, of_tile = (
        ops.convert_to_tensor(np.kron(matrix, matrix), dtype=kernel.dtype)
        for matrix in _tile_matrices(m, r)
    )
    of_tile = ops.take(of_tile, order, axis=1)
    x = ops.reshape(ops.matmul(of_tile, ops.concatenate(seen)), (n * n, -1, channels))
    kernel = ops.matmul(of_kernel, ops.reshape(kernel, (r * r, channels * filters)))
    y = ops.matmul(x, ops.reshape(kernel, (n * n, channels, filters)))
    y = ops.matmul(to_outputs, ops.reshape(y, (n * n, -1)))
    y = ops.reshape(y, (m, m, -1, tiles_h, tiles_w, filters))
    y = ops.reshape(ops.transpose(y, (2, 3, 0, 4, 1, 5)), (-1, tiles_h * m, tiles_w * m, filters))
    return _cut(_cut(y, 1, 0, out_h), 2, 0, out_w)


def _tile_matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What leads from values to m outputs, from r kernel cells to values, from pixels to values."""
    points = np.array(_POINTS[: m + r - 2])
    n = len(points) + 1
    to_outputs, of_kernel, of_tile = np.zeros((m, n)), np.zeros((n, r)), np.zeros((n, n))
    for j, point in enumerate(points):
        others = np.delete(points, j)
        to_outputs[:, j] = point ** np.arange(m)
        of_kernel[j] = point ** np.arange(r) / np.prod(point - others)
        of_tile[j, :-1] = np.poly(others)[::-1]
    to_outputs[-1, -1] = of_kernel[-1, -1] = 1
    of_tile[-1] = np.poly(points)[::-1]
    return to_outputs, of_kernel, of_tile
