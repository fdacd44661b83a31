"""The arithmetic where TensorFlow computes: the same numbers by ways that suit it.

The rest of the package is written in `keras.ops`. What stands here is there for speed alone, and
the tests hold it against the definitions.
"""

from collections.abc import Sequence

import tensorflow as tf

from cnn_tf.arguments import spans

Sides = Sequence[Sequence[int]]  # ((top, bottom), (left, right))

# A correlation works on so many rows at a time that the windows gathered for them fill about this
# many bytes: they stay near the processor, and a large image takes little memory besides its own.
_BYTES_AT_A_TIME = 16_000_000
_MOST_PIECES = 32  # each is a part of the graph that TensorFlow has to build and to plan


def cut(x: tf.Tensor, axis: int, start: int, stop: int) -> tf.Tensor:
    """x[start:stop] along an axis: its gradient is a padding, and ten times as fast as x[...]'s."""
    begin = [start if a == axis else 0 for a in range(len(x.shape))]
    size = [stop - start if a == axis else -1 for a in range(len(x.shape))]
    return tf.slice(x, begin, size)


@tf.custom_gradient
def first_maximum(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, object]:
    """The larger of two tensors; where they tie, the gradient goes to the first."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_b = upstream * tf.cast(b > a, upstream.dtype)
        return upstream - to_b, to_b

    return tf.maximum(a, b), gradient


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
        done = None if tf.executing_eagerly() else y  # eager, it would keep the outputs alive
        return y, gradient

    # Made here, for in a branch of tf.cond a custom gradient cannot read what comes from outside.
    return correlate_images(tf.identity(x), tf.identity(kernel))


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
            rows = _padded_rows(x, start, stop + span_h - 1, sides)
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
            rows = _padded_rows(x, start, stop + span_h - 1, sides)
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


def _padded_rows(x: tf.Tensor, start: int, stop: int, sides: Sides) -> tf.Tensor:
    """Rows start to stop of the padded images, without making these."""
    (top, _), columns = sides
    first, last = (min(max(row - top, 0), x.shape[1]) for row in (start, stop))
    if (first, last) != (0, x.shape[1]):
        x = cut(x, 1, first, last)
    above = max(min(top, stop) - start, 0)
    below = stop - start - above - (last - first)
    if not any((above, below, *columns)):
        return x
    return tf.pad(x, ((0, 0), (above, below), columns, (0, 0)))


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
