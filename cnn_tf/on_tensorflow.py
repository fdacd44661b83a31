"""The arithmetic where TensorFlow computes: the same numbers by ways that suit it.

The rest of the package is written in `keras.ops`. What stands here is there for speed alone, and
the tests hold it against the definitions.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnn_tf.arguments import spans
from cnn_tf.correlation import window_views

Sides = Sequence[Sequence[int]]  # ((top, bottom), (left, right))
Span = tuple[int, int]  # from one row or column to another, which is left out

# A correlation works on so many rows at a time that the windows gathered for them fill about this
# many bytes: they stay near the processor, and a large image takes little memory besides its own.
_BYTES_AT_A_TIME = 16_000_000
_MOST_PIECES = 32  # each is a part of the graph that TensorFlow has to build and to plan


def cut(x: tf.Tensor, axis: int, start: int, stop: int) -> tf.Tensor:
    """x[start:stop] along an axis: its gradient is a padding, and ten times as fast as x[...]'s."""
    begin = [start if a == axis else 0 for a in range(len(x.shape))]
    size = [stop - start if a == axis else -1 for a in range(len(x.shape))]
    return tf.slice(x, begin, size)


# --- Compiled loops -------------------------------------------------------------------------------


def compiles(x: tf.Tensor) -> bool:
    """Whether what is computed of x is worth compiling by XLA: in a graph, on a CPU.

    A graph runs many times; what is computed at once, in eager mode, would wait for the compiler.
    """
    return not tf.executing_eagerly() and None not in x.shape[1:] and on_cpu()


def on_cpu() -> bool:
    """Whether there is no accelerator to compute on."""
    return str(keras.distribution.list_devices()[0]).startswith("cpu")


def compiled(
    function: Callable[..., tf.Tensor], tensors: Sequence[tf.Tensor], *settings: Any
) -> tf.Tensor:
    """function(*tensors, *settings), by one loop in place of one for each operation.

    TensorFlow's operations each read and write whole tensors. XLA makes one loop of those that move
    numbers and add them. The gradient is such a loop too.

    Args:
        function: Of tensors, and of settings that can be keys of a dict.
        tensors: Their sizes must be known, except for the first axis.
        settings: Further arguments.
    """
    if not compiles(tensors[0]):
        return function(*tensors, *settings)

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> tuple[tf.Tensor, object]:
        y = _run(function, tensors, *settings)

        def gradients(upstream: tf.Tensor) -> list[tf.Tensor]:
            upstream = tf.ensure_shape(upstream, y.shape)  # it may not know
            return _run(_gradients, (upstream, *tensors), function, *settings)

        return y, gradients

    return run(*map(tf.identity, tensors))


def _gradients(upstream: tf.Tensor, *arguments: Any) -> list[tf.Tensor]:
    tensors = [argument for argument in arguments if isinstance(argument, tf.Tensor)]
    function, *settings = arguments[len(tensors) :]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors, *settings)
    return tape.gradient(y, tensors, upstream)


def _run(function: Callable[..., Any], tensors: Sequence[tf.Tensor], *settings: Any) -> Any:
    """function(*tensors, *settings), compiled."""
    # In the gradient of tf.cond, a compiled function cannot be the first that reads a tensor of the
    # branch: so something else is.
    tensors = [tf.identity(tensor) for tensor in tensors]
    specs = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors)
    return _program(function, settings, specs)(*tensors)


@functools.lru_cache(maxsize=1024)  # what one model has compiled, another one need not
def _program(
    function: Callable[..., Any], settings: tuple[Any, ...], specs: tuple[tf.TensorSpec, ...]
) -> Callable[..., Any]:
    # One program for each shape: TensorFlow warns of one that meets many.
    return tf.function(
        lambda *tensors: function(*tensors, *settings),
        input_signature=specs,
        jit_compile=True,
        autograph=False,
    )


# --- Pooling --------------------------------------------------------------------------------------


def max_pool(x: tf.Tensor, size: Span, strides: Span) -> tf.Tensor:
    """The maximum of each window. The outputs keep in mind which cell it was, for the gradient.

    Args:
        x: Images `(batch, h, w, c)`; all but the batch must be known.
        size: Height and width of the window, of at most 255 cells.
        strides: Steps between windows.
    """

    @tf.custom_gradient
    def pool(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        y, first = _run(_first_maxima, (x,), size, strides)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            upstream = tf.ensure_shape(upstream, y.shape)
            return _run(_to_cells, (upstream, first), size, strides, tuple(x.shape[1:3]))

        return y, gradient

    return pool(tf.identity(x))


def mean_pool(x: tf.Tensor, size: Span, strides: Span) -> tf.Tensor:
    """The mean of each window, with the arguments of `max_pool`."""

    @tf.custom_gradient
    def pool(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        y = _run(_means, (x,), size, strides)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            upstream = tf.ensure_shape(upstream, y.shape)
            return _run(_to_all_cells, (upstream,), size, strides, tuple(x.shape[1:3]))

        return y, gradient

    return pool(tf.identity(x))


def _cells(x: tf.Tensor, size: Span, strides: Span) -> list[tf.Tensor]:
    """For each cell of the window what it sees, row by row."""
    rows = window_views(x, 1, size[0], strides[0])
    return [cell for row in rows for cell in window_views(row, 2, size[1], strides[1])]


def _means(x: tf.Tensor, size: Span, strides: Span) -> tf.Tensor:
    cells = _cells(x, size, strides)
    return tf.add_n(cells) / len(cells)


def _first_maxima(x: tf.Tensor, size: Span, strides: Span) -> tuple[tf.Tensor, tf.Tensor]:
    """Maxima, and the number of the first cell that holds it."""
    largest, *others = _cells(x, size, strides)
    first = tf.zeros(tf.shape(largest), tf.int32)
    for number, cell in enumerate(others, start=1):
        first = tf.where(cell > largest, number, first)
        # XLA's own maximum of two numbers may pass over a NaN.
        largest = tf.where((cell > largest) | (cell != cell), cell, largest)
    return largest, tf.cast(first, tf.uint8)


def _to_all_cells(upstream: tf.Tensor, size: Span, strides: Span, image: Span) -> tf.Tensor:
    return _to_cells(upstream / math.prod(size), None, size, strides, image)


def _to_cells(
    upstream: tf.Tensor, first: tf.Tensor | None, size: Span, strides: Span, image: Span
) -> tf.Tensor:
    """Give the gradient of each output to the cells of its window, or to one of them.

    The image is taken apart into blocks as large as a step. A window begins with a block, and may
    reach into the next ones. So each pixel of a block gets something from a window for each block
    that a window touches.

    Args:
        upstream: Gradient of the outputs.
        first: Number of the cell that gets it, for each output; `None` for all.
        size: Height and width of the window.
        strides: Steps between windows.
        image: Height and width of the image.
    """
    (k_h, k_w), (s_h, s_w), (_, out_h, out_w, channels) = size, strides, upstream.shape
    more_h, more_w = -(-k_h // s_h) - 1, -(-k_w // s_w) - 1
    blocks_h, blocks_w = out_h + more_h, out_w + more_w

    def of_block(x: tf.Tensor, q: int, r: int) -> tf.Tensor:
        """For each block, what belongs to the window that began q and r blocks before."""
        rows = slice(more_h - q, more_h - q + blocks_h)
        return x[:, rows, more_w - r : more_w - r + blocks_w]

    sides = ((0, 0), (more_h, more_h), (more_w, more_w), (0, 0))
    upstream = tf.pad(upstream, sides)
    first = None if first is None else tf.pad(first, sides)
    pixels = []
    for row, column in np.ndindex(s_h, s_w):
        total = tf.zeros((), upstream.dtype)
        for u, v in itertools.product(range(row, k_h, s_h), range(column, k_w, s_w)):
            q, r = u // s_h, v // s_w
            part = of_block(upstream, q, r)
            if first is not None:
                wins = of_block(first, q, r) == tf.constant(u * k_w + v, first.dtype)
                part = tf.where(wins, part, tf.zeros((), part.dtype))
            total += part
        pixels.append(tf.broadcast_to(total, tf.shape(of_block(upstream, 0, 0))))
    x = tf.reshape(tf.stack(pixels, axis=-2), (-1, blocks_h, blocks_w, s_h, s_w, channels))
    h, w = blocks_h * s_h, blocks_w * s_w
    x = tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, h, w, channels))
    beyond_h, beyond_w = (max(n - m, 0) for n, m in zip(image, (h, w), strict=True))
    return tf.pad(x[:, : image[0], : image[1]], ((0, 0), (0, beyond_h), (0, beyond_w), (0, 0)))


# --- Correlation ----------------------------------------------------------------------------------


def correlate_shifted(
    x: tf.Tensor, kernel: tf.Tensor, sides: Sides, dilation_rate: Sequence[int] = (1, 1)
) -> tf.Tensor:
    """Cross-correlate images, padded with zeros, with strides of 1, by products of shifted images.

    Automatic differentiation would pad the gradient of each shifted image and add them all up. Both
    gradients are correlations themselves: that of the images one of the outputs' gradient with the
    flipped kernel, that of the kernel one of the images with the outputs' gradient.

    Args:
        x: Images `(batch, h, w, c_i)`; all but the batch must be known.
        kernel: `(k_h, k_w, c_i, c_o)`.
        sides: Zeros to be added, ((top, bottom), (left, right)).
        dilation_rate: Distance between the cells of the window.
    """
    window = spans(kernel.shape[:2], dilation_rate)
    if any(max(cells) >= k for k, cells in zip(window, sides, strict=True)):
        # Windows that see nothing but zeros have no place in the gradient's own padding.
        x, sides = tf.pad(x, ((0, 0), *sides, (0, 0))), ((0, 0), (0, 0))

    @tf.custom_gradient
    def correlate_images(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            upstream = tf.ensure_shape(upstream, shape)  # it may not know
            flipped = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
            rest = [[k - 1 - n for n in cells] for k, cells in zip(window, sides, strict=True)]
            # In a graph one after the other, or memory holds the pieces of several at a time.
            graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
            with tf.control_dependencies(
                [done] if done is not None and done.graph is graph else []
            ):
                to_x = _correlate(upstream, flipped, rest, dilation_rate)
            with tf.control_dependencies([to_x]):
                to_kernel = _kernel_gradient(x, upstream, kernel.shape, sides, dilation_rate)
            return to_x, to_kernel

        y = _correlate(x, kernel, sides, dilation_rate)
        shape = y.shape
        done = None if tf.executing_eagerly() else y  # eager, it would keep the outputs alive
        return y, gradient

    # Made here, for in a branch of tf.cond a custom gradient cannot read what comes from outside.
    return correlate_images(tf.identity(x), tf.identity(kernel))


def correlate_strided(
    x: tf.Tensor, kernel: tf.Tensor, sides: Sides, strides: Sequence[int]
) -> tf.Tensor:
    """Cross-correlate images, padded with zeros, with any strides, by gathered windows.

    Args:
        x: Images `(batch, h, w, c_i)`; all but the batch must be known.
        kernel: `(k_h, k_w, c_i, c_o)`.
        sides: Zeros to be added, ((top, bottom), (left, right)).
        strides: Steps between windows.
    """
    k_h, k_w, channels, filters = kernel.shape
    h, w = (n + sum(cells) for n, cells in zip(x.shape[1:3], sides, strict=True))
    s_h, s_w = strides
    out_h, out_w = (h - k_h) // s_h + 1, (w - k_w) // s_w + 1
    # For each row of the kernel, the places of what it sees: a row of pixels is copied at once.
    corners = np.arange(out_h)[:, None, None] * s_h * w + np.arange(out_w)[:, None] * s_w
    places = [np.ravel(corners + u * w + np.arange(k_w)) for u in range(k_h)]

    @tf.custom_gradient
    def correlate_images(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        pixels = tf.reshape(_padded(x, (0, h), sides), (-1, h * w, channels))
        seen = [
            tf.reshape(tf.gather(pixels, place, axis=1), (-1, k_w * channels)) for place in places
        ]
        matrices = tf.unstack(tf.reshape(kernel, (k_h, k_w * channels, filters)))
        y = tf.add_n([row @ matrix for row, matrix in zip(seen, matrices, strict=True)])

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            upstream = tf.ensure_shape(upstream, (None, out_h, out_w, filters))
            d = tf.reshape(upstream, (-1, filters))
            products = [tf.transpose(tf.matmul(d, row, transpose_a=True)) for row in seen]
            to_kernel = tf.reshape(tf.stack(products), kernel.shape)
            to_x = _image_gradient(upstream, kernel, x.shape[1:3], sides, strides)
            return to_x, to_kernel

        return tf.reshape(y, (-1, out_h, out_w, filters)), gradient

    return correlate_images(tf.identity(x), tf.identity(kernel))


def _image_gradient(
    upstream: tf.Tensor,
    kernel: tf.Tensor,
    image: Sequence[int],
    sides: Sides,
    strides: Sequence[int],
) -> tf.Tensor:
    """What each pixel gets from all windows that saw it, block by block of s_h x s_w pixels.

    Rows are added within a product: side by side stand the gradients of the windows that began
    in this block of rows, in the one above, and so on. Columns are added afterwards.
    """
    k_h, k_w, channels, filters = kernel.shape
    (s_h, s_w), (_, _, out_w, _) = strides, upstream.shape
    rows, columns = (
        (before // s, -(-(before + n) // s))
        for n, (before, _), s in zip(image, sides, strides, strict=True)
    )  # blocks that hold pixels of the image, and not only zeros
    matrices = tf.reshape(kernel, (k_h, k_w * channels, filters))
    seen = []  # for each row of a block, what the windows that touch it give to the pixels they see
    for cells in (range(row, k_h, s_h) for row in range(s_h)):
        if not cells:  # a row that no window sees
            shape = (tf.shape(upstream)[0], rows[1] - rows[0], out_w, k_w * channels)
            seen.append(tf.ensure_shape(tf.zeros(shape, upstream.dtype), (None, *shape[1:])))
            continue
        steps = [u // s_h for u in cells]
        began = [_region(upstream, (rows[0] - q, rows[1] - q), (0, out_w)) for q in steps]
        began = tf.reshape(tf.concat(began, axis=-1), (-1, len(cells) * filters))
        flipped = tf.concat([matrices[u] for u in cells], axis=1)
        products = tf.matmul(began, flipped, transpose_b=True)
        seen.append(tf.reshape(products, (-1, rows[1] - rows[0], out_w, k_w * channels)))
    top, left = sides[0][0] - rows[0] * s_h, sides[1][0] - columns[0] * s_w
    corner = (top, top + image[0]), (left, left + image[1])
    settings = channels, s_w, columns, corner
    if compiles(upstream):  # without a gradient of its own: a saved model keeps none of a gradient
        return _run(_image_of_blocks, seen, *settings)
    return _image_of_blocks(*seen, *settings)


def _image_of_blocks(*arguments: Any) -> tf.Tensor:
    """Add up what the windows of a row give to the same pixels, and put the blocks together."""
    *seen, channels, stride, columns, corner = arguments
    step, rows = stride * channels, []
    for row in seen:
        (_, count, _, width), total = row.shape, None
        for q, start in enumerate(range(0, width, step)):
            part = cut(row, 3, start, min(start + step, width))
            if part.shape[3] < step:
                part = tf.pad(part, ((0, 0), (0, 0), (0, 0), (0, step - part.shape[3])))
            part = _region(part, (0, count), (columns[0] - q, columns[1] - q))
            total = part if total is None else total + part
        rows.append(total)
    x = tf.stack(rows, axis=2) if len(rows) > 1 else rows[0]
    x = tf.reshape(x, (-1, count * len(rows), (columns[1] - columns[0]) * stride, channels))
    return _region(x, *corner)


def _padded(x: tf.Tensor, rows: Span, sides: Sides) -> tf.Tensor:
    """Some rows of the padded images, without making these."""
    (top, _), (left, right) = sides
    return _region(x, (rows[0] - top, rows[1] - top), (-left, x.shape[2] + right))


def _region(x: tf.Tensor, rows: Span, columns: Span) -> tf.Tensor:
    """A part of the images, and zeros where it reaches beyond them."""
    sides = []
    for axis, (start, stop) in ((1, rows), (2, columns)):
        n = x.shape[axis]
        first, last = min(max(start, 0), n), min(max(stop, 0), n)
        before = min(max(-start, 0), stop - start)
        sides.append((before, stop - start - before - (last - first)))
        if (first, last) != (0, n):
            x = cut(x, axis, first, last)
    if not any(sides[0] + sides[1]):
        return x
    return tf.pad(x, ((0, 0), *sides, (0, 0)))


def _correlate(
    x: tf.Tensor, kernel: tf.Tensor, sides: Sides, dilation_rate: Sequence[int]
) -> tf.Tensor:
    """One product of matrices for each row of the kernel, with all images as one long matrix.

    Its rows are the pixels of the padded images, one image after the other. To move the window by
    a cell is to begin a row later, by a line of the image a whole line later, and a matrix without
    its first rows is no copy. What reaches from one line or image into the next is thrown away.
    """
    k_h, k_w, channels, filters = kernel.shape
    matrices = tf.unstack(tf.reshape(kernel, (k_h, k_w * channels, filters)))
    (span_h, span_w), width = spans(kernel.shape[:2], dilation_rate), x.shape[2] + sum(sides[1])
    done: list[tf.Tensor] = []
    for start, stop in _pieces(x, kernel.shape, sides, dilation_rate):
        with tf.control_dependencies(done[-1:]):  # one after the other, or memory holds them all
            rows = _padded(x, (start, stop + span_h - 1), sides)
            seen = _window_rows(rows, kernel.shape, dilation_rate)
            products = [row @ matrix for row, matrix in zip(seen, matrices, strict=True)]
            y = tf.add_n(products) if k_h > 1 else products[0]
            beyond = (span_h - 1) * width + span_w - 1
            if beyond:
                y = tf.pad(y, ((0, beyond), (0, 0)))
            y = tf.reshape(y, (-1, rows.shape[1], width, filters))
            if beyond:
                y = y[:, : stop - start, : width - span_w + 1]
            done.append(y)
    return tf.concat(done, axis=1) if len(done) > 1 else done[0]


def _kernel_gradient(
    x: tf.Tensor,
    upstream: tf.Tensor,
    kernel_shape: Sequence[int],
    sides: Sides,
    dilation_rate: Sequence[int],
) -> tf.Tensor:
    """The products of `_correlate` the other way: a row of the kernel from all pixels it met."""
    k_h, k_w, channels, filters = kernel_shape
    (span_h, span_w), width = spans(kernel_shape[:2], dilation_rate), x.shape[2] + sum(sides[1])
    beyond = (span_h - 1) * width + span_w - 1
    total = None
    for start, stop in _pieces(x, kernel_shape, sides, dilation_rate):
        with tf.control_dependencies([] if total is None else [total]):
            rows = _padded(x, (start, stop + span_h - 1), sides)
            seen = _window_rows(rows, kernel_shape, dilation_rate)
            d = upstream
            if (start, stop) != (0, d.shape[1]):
                d = cut(d, 1, start, stop)
            if beyond:  # zeros where `_correlate` throws products away
                d = tf.pad(d, ((0, 0), (0, span_h - 1), (0, span_w - 1), (0, 0)))
            d = tf.reshape(d, (-1, filters))[: -beyond or None]
            if k_w * channels < filters:
                products = [tf.matmul(row, d, transpose_a=True) for row in seen]
            else:  # a product is faster with the wide matrix on its right
                products = [tf.transpose(tf.matmul(d, row, transpose_a=True)) for row in seen]
            piece = tf.reshape(tf.stack(products), (k_h, k_w, channels, filters))
            total = piece if total is None else total + piece
    return total


def _pieces(
    x: tf.Tensor, kernel_shape: Sequence[int], sides: Sides, dilation_rate: Sequence[int]
) -> list[tuple[int, int]]:
    """First and last row of the outputs that are computed together."""
    out_h = x.shape[1] + sum(sides[0]) - spans(kernel_shape[:2], dilation_rate)[0] + 1
    row_of_windows = (x.shape[2] + sum(sides[1])) * kernel_shape[1] * kernel_shape[2]
    size = (x.shape[0] or 1) * out_h * row_of_windows * x.dtype.size
    step = max(int(out_h * _BYTES_AT_A_TIME / size), -(-out_h // _MOST_PIECES))
    return [(start, min(start + step, out_h)) for start in range(0, out_h, step)]


def _window_rows(
    rows: tf.Tensor, kernel_shape: Sequence[int], dilation_rate: Sequence[int]
) -> list[tf.Tensor]:
    """For each row of the kernel, what it sees from each pixel: (pixels, k_w * c_i)."""
    k_h, k_w, channels, _ = kernel_shape
    pixels = tf.reshape(rows, (-1, channels))
    columns = _shifted(pixels, k_w, dilation_rate[1])
    windows = tf.concat(columns, axis=-1) if k_w > 1 else pixels
    return _shifted(windows, k_h, dilation_rate[0] * rows.shape[2])


def _shifted(matrix: tf.Tensor, count: int, step: int) -> list[tf.Tensor]:
    """As many matrices, each beginning step rows after the one before, all of the same length."""
    last = (count - 1) * step
    return [matrix[first : (first - last) or None] for first in range(0, last + 1, step)]
