"""Other ways to the same numbers, each measured against the one that the package takes.

For these cases the package does none of them. They are kept so that the page on speed can say what
each gave, and so that they can be tried again with another TensorFlow or on another machine.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import cnn_tf
from benchmarks.measure import Comparison, Run, compare
from benchmarks.training import BATCH, by_keras, by_ours
from cnn_tf import correlation, functional, on_tensorflow
from cnn_tf.arguments import axis_padding
from cnn_tf.correlation import window_views

Function = Callable[..., tf.Tensor]
Ideas = dict[str, Function]


# --- Convolutions ---------------------------------------------------------------------------------


def definition(
    x: tf.Tensor, kernel: tf.Tensor, padding: str = "valid", strides: int = 1
) -> tf.Tensor:
    """The windows of a row side by side, and a product for each row of the kernel."""
    x, _ = _padded(x, kernel, padding, strides)
    return correlation.correlate_windows(x, kernel, (strides, strides))


def shifts(x: tf.Tensor, kernel: tf.Tensor, padding: str = "valid") -> tf.Tensor:
    """As for any larger window: a product for each row of the kernel, and nothing gathered."""
    _, sides = _padded(x, kernel, padding)
    return on_tensorflow.correlate_shifted(x, kernel, (sides, sides))


def wide_strips(x: tf.Tensor, kernel: tf.Tensor, outputs: int, padding: str = "valid") -> tf.Tensor:
    """Strips of another width, up to whole rows."""

    def sizes(k_w: int, span: int, stride: int, out_w: int) -> tuple[int, int, int]:
        return outputs, (outputs - 1) * stride + span, -(-out_w // outputs)

    _, sides = _padded(x, kernel, padding)
    with mock.patch.object(correlation, "strip_sizes", sizes):
        return correlation.correlate_strips(x, kernel, (sides, sides))


def each_cell(x: tf.Tensor, kernel: tf.Tensor, padding: str = "valid") -> tf.Tensor:
    """No products of matrices: one compiled loop adds a shifted image for each number of a kernel.

    The gradients are left to products, for that of the kernel is a sum over all pixels.
    """
    _, (before, after) = _padded(x, kernel, padding)

    @tf.custom_gradient
    def correlate(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradients(upstream: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = wide_strips(x, kernel, kernel.shape[1], padding)
            return tape.gradient(y, [x, kernel], upstream)

        y = on_tensorflow.compiled(_sum_of_cells, (x, kernel), before, after)
        return y, gradients

    return correlate(x, kernel)


def _sum_of_cells(x: tf.Tensor, kernel: tf.Tensor, before: int, after: int) -> tf.Tensor:
    x = tf.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    k_h, k_w, channels, _ = kernel.shape
    total = 0.0
    for u, row in enumerate(window_views(x, 1, k_h, 1)):
        for v, cell in enumerate(window_views(row, 2, k_w, 1)):
            for c in range(channels):
                total += cell[..., c : c + 1] * kernel[u, v, c]
    return total


def phases(
    x: tf.Tensor, kernel: tf.Tensor, correlate: Function = correlation.correlate_windows
) -> tf.Tensor:
    """Each block of 2x2 pixels becomes a pixel of four times the channels; then the stride is 1."""
    _, _, channels, filters = kernel.shape
    x = tf.nn.space_to_depth(tf.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0))), 2)
    kernel = tf.reshape(tf.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))), (2, 2, 2, 2, -1))
    kernel = tf.transpose(kernel, (0, 2, 1, 3, 4))
    return correlate(x, tf.reshape(kernel, (2, 2, 4 * channels, filters)))


def _padded(
    x: tf.Tensor, kernel: tf.Tensor, padding: str, stride: int = 1
) -> tuple[tf.Tensor, tuple[int, int]]:
    """Square images and windows: the padded images, and the cells before and after."""
    sides = axis_padding(x.shape[1], kernel.shape[0], padding, stride, dilation_rate=1)
    return tf.pad(x, ((0, 0), sides, sides, (0, 0))), sides


# --- Max pooling ----------------------------------------------------------------------------------


def pairs(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 by the larger of two, three times, each with a pass over memory."""
    top, bottom = window_views(x, 1, 2, 2)
    left, right = window_views(tf.maximum(top, bottom), 2, 2, 2)
    return tf.maximum(left, right)


def reduce_max(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 as a maximum over two axes of its own."""
    _, h, w, channels = x.shape
    return tf.reduce_max(tf.reshape(x, (-1, h // 2, 2, w // 2, 2, channels)), axis=(2, 4))


def from_images(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 whose gradient looks at the images again, compiled."""
    return on_tensorflow.compiled(pairs, (x,))


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
            "cnn_tf, as it is": by_ours(*train, cnn_tf.LeNet()),
            "cnn_tf, one graph": whole_epoch(*train, jit=False),
            "cnn_tf, one graph, steps by XLA": whole_epoch(*train, jit=True),
            "cnn_tf, fit, steps by XLA": by_ours(*train, cnn_tf.LeNet(), jit=True),
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

    same = {"padding": "same"}
    yield (
        "Ideas for LeNet's first layer",
        *correlations((128, 28, 28, 1), (5, 5, 1, 6), **same),
        {
            "the definition": functools.partial(definition, **same),
            "whole rows": functools.partial(wide_strips, outputs=28, **same),
            "a loop over the cells": functools.partial(each_cell, **same),
        },
    )
    yield (
        "Ideas for LeNet's second layer",
        *correlations((128, 14, 14, 6), (5, 5, 6, 16)),
        {
            "the definition": definition,
            "whole rows": functools.partial(wide_strips, outputs=10),
            "strips of 2": functools.partial(wide_strips, outputs=2),
            "a loop over the cells": each_cell,
        },
    )
    yield (
        "Ideas for 3x3, 64 to 64 channels",
        *correlations((32, 32, 32, 64), (3, 3, 64, 64), **same),
        {
            "the definition": functools.partial(definition, **same),
            "shifts": functools.partial(shifts, **same),
        },
    )
    yield (
        "Ideas for 3x3, stride 2",
        *correlations((32, 32, 32, 64), (3, 3, 64, 128), strides=2, **same),
        {
            "the definition": functools.partial(definition, strides=2, **same),
            "phases as channels": phases,
            "phases, by tiles": functools.partial(phases, correlate=correlation.correlate_tiles),
        },
    )
    yield (
        "Ideas for max pooling 2x2, 64 channels",
        [tf.random.stateless_normal((32, 32, 32, 64), (0, 0))],
        functools.partial(functional.max_pool, pool_size=2),
        functools.partial(keras.ops.max_pool, pool_size=2),
        {
            "the larger of two": pairs,
            "a maximum over two axes": reduce_max,
            "gradient from the images": from_images,
        },
    )


def _step(function: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor]) -> Run:
    """Forward and backward in a graph, as in `layers.step`."""
    upstream = tf.random.stateless_normal(function(*inputs).shape, (0, 1))

    @tf.function
    def gradients(*inputs: tf.Tensor) -> object:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return y, tape.gradient(y, inputs, upstream)

    return lambda: [gradient.numpy().ravel()[0] for gradient in gradients(*inputs)[1]]
