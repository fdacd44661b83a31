"""Ideas for the cases where Keras is ahead: each measured against the way that was kept.

For these cases the package does none of them. They are kept so that the page on speed can say what
each gave, and so that they can be tried again with another TensorFlow or on another machine.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import cnn_tf
from benchmarks.measure import Comparison, Run, compare
from benchmarks.training import BATCH, by_keras, by_ours
from cnn_tf import correlation, functional, on_tensorflow
from cnn_tf.correlation import window_views

Function = Callable[..., tf.Tensor]
Ideas = dict[str, Function]


# --- 3x3, 64 to 64 channels -----------------------------------------------------------------------


def one_product(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """All nine cells of a window side by side (im2col), and a single product."""
    k_h, k_w, channels, filters = kernel.shape
    before = 1 if stride == 1 else 0  # as Keras divides the padding of "same"
    x = tf.pad(x, ((0, 0), (before, 1), (before, 1), (0, 0)))
    cells = [
        cell
        for row in window_views(x, 1, k_h, stride)
        for cell in window_views(row, 2, k_w, stride)
    ]
    return tf.concat(cells, axis=-1) @ tf.reshape(kernel, (k_h * k_w * channels, filters))


def each_cell(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A product for each cell of the kernel; no windows are gathered at all."""
    x = tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return tf.add_n(
        [
            cell @ kernel[u, v]
            for u, row in enumerate(window_views(x, 1, 3, 1))
            for v, cell in enumerate(window_views(row, 2, 3, 1))
        ]
    )


def shifted(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """As for any other window: a product for each row of the kernel."""
    return on_tensorflow.correlate_shifted(x, kernel, ((1, 1), (1, 1)))


# --- 3x3, stride 2 --------------------------------------------------------------------------------


def phases(
    x: tf.Tensor, kernel: tf.Tensor, correlate: Function = correlation.correlate_windows
) -> tf.Tensor:
    """Each block of 2x2 pixels becomes a pixel of four times the channels; then the stride is 1."""
    _, _, channels, filters = kernel.shape
    x = tf.nn.space_to_depth(tf.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0))), 2)
    kernel = tf.reshape(tf.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))), (2, 2, 2, 2, -1))
    kernel = tf.transpose(kernel, (0, 2, 1, 3, 4))
    return correlate(x, tf.reshape(kernel, (2, 2, 4 * channels, filters)))


def every_output(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """With a stride of 1, and three of four outputs thrown away."""
    return on_tensorflow.correlate_shifted(x, kernel, ((0, 1), (0, 1)))[:, ::2, ::2]


# --- LeNet's layers -------------------------------------------------------------------------------


def strips(x: tf.Tensor, kernel: tf.Tensor, outputs: int, padding: int) -> tf.Tensor:
    """Rows as in the package, but only so many outputs of a row at a time: fewer zeros."""
    x = tf.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    (_, h, w, channels), (k_h, k_w, _, filters) = x.shape, kernel.shape
    out_h, out_w, width = h - k_h + 1, w - k_w + 1, outputs + k_w - 1
    count = out_w // outputs
    place = np.zeros((k_w, width, outputs), "float32")
    for v in range(k_w):
        place[v, np.arange(outputs) + v, np.arange(outputs)] = 1
    cells = tf.reshape(tf.transpose(kernel, (0, 2, 3, 1)), (-1, k_w))
    band = tf.reshape(cells @ place.reshape(k_w, -1), (k_h, channels, filters, width, outputs))
    band = tf.reshape(tf.transpose(band, (0, 3, 1, 4, 2)), (-1, outputs * filters))
    x = tf.stack([x[:, :, j * outputs : j * outputs + width] for j in range(count)], axis=2)
    rows = tf.reshape(x, (-1, h * count, width * channels))
    seen = np.arange(out_h)[:, None, None] + np.arange(k_h)
    windows = tf.gather(rows, seen * count + np.arange(count)[:, None], axis=1)
    return tf.reshape(tf.reshape(windows, (-1, band.shape[0])) @ band, (-1, out_h, out_w, filters))


# --- Max pooling ----------------------------------------------------------------------------------


def _pairs(larger: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Function:
    """Max pooling 2x2 by the larger of two, three times."""

    def pool(x: tf.Tensor) -> tf.Tensor:
        top, bottom = window_views(x, 1, 2, 2)
        return larger(*window_views(larger(top, bottom), 2, 2, 2))

    return pool


def reduce_max(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 as a maximum over two axes of its own."""
    _, h, w, channels = x.shape
    return tf.reduce_max(tf.reshape(x, (-1, h // 2, 2, w // 2, 2, channels)), axis=(2, 4))


# --- Average pooling ------------------------------------------------------------------------------


def all_cells(x: tf.Tensor, size: int) -> tf.Tensor:
    """The mean of the cells of a window, added all at once and not first along a row."""
    rows = window_views(x, 1, size, 2)
    return tf.add_n([cell for row in rows for cell in window_views(row, 2, size, 2)]) / size**2


def band_products(x: tf.Tensor, size: int) -> tf.Tensor:
    """The mean along each axis as a product with a matrix, most of which is zeros."""
    _, h, w, channels = x.shape
    rows, columns = (_means(n, size) for n in (h, w))
    y = rows @ tf.reshape(x, (-1, h, w * channels))
    return columns @ tf.reshape(y, (-1, rows.shape[0], w, channels))


def _means(n: int, size: int) -> tf.Tensor:
    matrix = np.zeros(((n - size) // 2 + 1, n), "float32")
    for i, row in enumerate(matrix):
        row[2 * i : 2 * i + size] = 1 / size
    return tf.constant(matrix)


# --- An epoch of LeNet ----------------------------------------------------------------------------


def whole_epoch(images: np.ndarray, labels: np.ndarray, jit: bool) -> Run:
    """A single graph for the epoch, with the pictures in it as bytes, shuffled by their numbers."""
    model = cnn_tf.LeNet()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    pixels, classes = tf.constant((255 * images).astype("uint8")), tf.constant(labels)
    steps = len(labels) // BATCH

    @tf.function(jit_compile=jit)
    def step(batch: tf.Tensor) -> tf.Tensor:
        x = tf.cast(tf.gather(pixels, batch), "float32") / 255
        with tf.GradientTape() as tape:
            loss = loss_of(tf.gather(classes, batch), model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    @tf.function
    def epoch() -> tf.Tensor:
        order = tf.random.shuffle(tf.range(len(labels)))
        total = 0.0
        for batch in tf.reshape(order[: steps * BATCH], (steps, BATCH)):
            total += step(batch)
        return total / steps

    return lambda: epoch().numpy()


# --- The comparisons ------------------------------------------------------------------------------


def run_all(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Comparison]:
    """Compare the ideas for one case with what the package does, and with Keras."""
    if wanted(title := "Ideas for an epoch of LeNet"):
        train = cnn_tf.FashionMNIST().train
        rivals = {
            "cnn_tf, as it is": by_ours(*train),
            "cnn_tf, one graph": whole_epoch(*train, jit=False),
            "cnn_tf, one graph, steps by XLA": whole_epoch(*train, jit=True),
            "keras, fit": by_keras(*train, jit=False),
        }
        yield compare(title, rivals, rounds)
    for title, inputs, kept, keras_does, ideas in _cases():
        if not wanted(title):
            continue
        functions = {"as it is": kept} | ideas
        expected = kept(*inputs)
        scale = np.abs(expected).max()
        for name, function in ideas.items():
            difference = np.abs(function(*inputs) - expected).max() / scale
            if difference > 2e-5:
                raise ArithmeticError(f"{title}: {name} differs from the package by {difference}.")
        rivals = {
            f"cnn_tf, {name}": _step(function, inputs) for name, function in functions.items()
        }
        yield compare(title, rivals | {"keras.ops": _step(keras_does, inputs)}, rounds)


def _cases() -> Iterator[tuple[str, Sequence[tf.Tensor], Function, Function, Ideas]]:
    """Title, inputs, what the package does, what Keras does, and the ideas."""

    def correlations(
        images: tuple[int, ...], kernel: tuple[int, ...], **arguments: Any
    ) -> tuple[Sequence[tf.Tensor], Function, Function]:
        inputs = [
            tf.random.stateless_normal(s, (0, seed)) for seed, s in enumerate((images, kernel))
        ]
        return (
            inputs,
            functools.partial(functional.correlate, **arguments),
            functools.partial(keras.ops.conv, **arguments),
        )

    yield (
        "Ideas for 3x3, 64 to 64 channels",
        *correlations((32, 32, 32, 64), (3, 3, 64, 64), padding="same"),
        {
            "one product of all cells": one_product,
            "a product for each cell": each_cell,
            "a product for each row": shifted,
        },
    )
    yield (
        "Ideas for 3x3, stride 2",
        *correlations((32, 32, 32, 64), (3, 3, 64, 128), padding="same", strides=2),
        {
            "one product of all cells": functools.partial(one_product, stride=2),
            "phases as channels": phases,
            "phases, by tiles": functools.partial(phases, correlate=correlation.correlate_tiles),
            "stride 1, outputs thrown away": every_output,
        },
    )
    yield (
        "Ideas for LeNet's first layer",
        *correlations((128, 28, 28, 1), (5, 5, 1, 6), padding="same"),
        {f"strips of {n}": functools.partial(strips, outputs=n, padding=2) for n in (4, 7, 14)},
    )
    yield (
        "Ideas for LeNet's second layer",
        *correlations((128, 14, 14, 6), (5, 5, 6, 16), padding="valid"),
        {f"strips of {n}": functools.partial(strips, outputs=n, padding=0) for n in (2, 5)},
    )
    for shape in ((128, 28, 28, 6), (32, 32, 32, 64)):
        yield (
            f"Ideas for max pooling 2x2, {shape[-1]} channels",
            [tf.random.stateless_normal(shape, (0, 0))],
            functools.partial(functional.max_pool, pool_size=2),
            functools.partial(keras.ops.max_pool, pool_size=2),
            {
                "tf.where": _pairs(lambda a, b: tf.where(b > a, b, a)),
                "tf.maximum": _pairs(tf.maximum),
                "tf.reduce_max": reduce_max,
            },
        )
        for size in (2, 3):
            yield (
                f"Ideas for average pooling {size}x{size}, {shape[-1]} channels",
                [tf.random.stateless_normal(shape, (0, 0))],
                functools.partial(functional.average_pool, pool_size=size, strides=2),
                functools.partial(keras.ops.average_pool, pool_size=size, strides=2),
                {
                    "all cells at once": functools.partial(all_cells, size=size),
                    "products with bands": functools.partial(band_products, size=size),
                },
            )


def _step(function: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor]) -> Run:
    """Forward and backward, compiled, as in `layers.step`."""
    upstream = tf.random.stateless_normal(function(*inputs).shape, (0, 1))

    @tf.function
    def gradients(*inputs: tf.Tensor) -> object:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return y, tape.gradient(y, inputs, upstream)

    return lambda: [gradient.numpy().ravel()[0] for gradient in gradients(*inputs)[1]]
