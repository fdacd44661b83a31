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
from cnn_tf import functional
from cnn_tf._convolution import block_toeplitz, shifted_gemm

Function = Callable[..., tf.Tensor]
Ideas = dict[str, Function]


# --- Convolutions ---------------------------------------------------------------------------------


def by(algorithm: str, **arguments: Any) -> Function:
    """Another algorithm of the package."""
    return functools.partial(functional.correlate, algorithm=algorithm, **arguments)


def wide_strips(x: tf.Tensor, kernel: tf.Tensor, outputs: int, padding: str = "valid") -> tf.Tensor:
    """Strips of another width, up to whole rows."""
    with mock.patch.object(
        block_toeplitz,
        "divide",
        lambda geometry: block_toeplitz.strips_of(outputs, geometry.columns),
    ):
        return functional.correlate(x, kernel, padding=padding, algorithm="block_toeplitz")


def single_outputs(x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
    """A shifted GEMM that computes one output at a time, and not two neighbouring ones."""
    one = mock.patch.object(shifted_gemm, "outputs_at_once", return_value=1)

    @tf.custom_gradient
    def correlate(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        with one, tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = functional.correlate(x, kernel, padding=padding, algorithm="shifted_gemm")

        def gradients(upstream: tf.Tensor) -> list[tf.Tensor]:
            with one:
                return tape.gradient(y, [x, kernel], upstream)

        return y, gradients

    return correlate(x, kernel)


def each_tap(x: tf.Tensor, kernel: tf.Tensor, padding: str = "valid") -> tf.Tensor:
    """No products of matrices: one compiled loop adds a shifted image for each number of a kernel.

    The gradients are left to products, for that of the kernel is a sum over all pixels.
    """
    before = (kernel.shape[0] - 1) // 2 if padding == "same" else 0

    @tf.custom_gradient
    def correlate(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradients(upstream: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = functional.correlate(x, kernel, padding=padding)
            return tape.gradient(y, [x, kernel], upstream)

        return _sum_of_taps(x, kernel, before), gradients

    return correlate(x, kernel)


@tf.function(jit_compile=True)
def _sum_of_taps(x: tf.Tensor, kernel: tf.Tensor, before: int) -> tf.Tensor:
    """Square images and windows, of odd sizes."""
    x = tf.pad(x, ((0, 0), (before, before), (before, before), (0, 0)))
    size, _, channels, _ = kernel.shape
    outputs, total = x.shape[1] - size + 1, 0.0
    for u, v in np.ndindex(size, size):
        for c in range(channels):
            seen = x[:, u : u + outputs, v : v + outputs, c : c + 1]
            total += seen * kernel[u, v, c]
    return total


def phases(x: tf.Tensor, kernel: tf.Tensor, correlate: Function) -> tf.Tensor:
    """Each block of 2x2 pixels becomes a pixel of four times the channels; then the stride is 1."""
    _, _, channels, filters = kernel.shape
    x = tf.nn.space_to_depth(tf.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0))), 2)
    kernel = tf.reshape(tf.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))), (2, 2, 2, 2, -1))
    kernel = tf.transpose(kernel, (0, 2, 1, 3, 4))
    return correlate(x, tf.reshape(kernel, (2, 2, 4 * channels, filters)))


# --- Pooling --------------------------------------------------------------------------------------


def by_differentiation(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 by the larger of two, with the gradient left to automatic differentiation."""
    _, h, w, channels = x.shape
    left, right = tf.unstack(tf.reshape(x, (-1, h, w // 2, 2, channels)), axis=3)
    x = tf.reshape(tf.maximum(left, right), (-1, h // 2, 2, w // 2, channels))
    return tf.maximum(*tf.unstack(x, axis=2))


def reduce_max(x: tf.Tensor) -> tf.Tensor:
    """Max pooling 2x2 as a maximum over two axes of its own."""
    _, h, w, channels = x.shape
    return tf.reduce_max(tf.reshape(x, (-1, h // 2, 2, w // 2, 2, channels)), axis=(2, 4))


def by_xla(function: Function) -> Function:
    """One loop in place of one for each operation, compiled anew for each shape."""
    return tf.function(function, jit_compile=True, autograph=False)


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
            "the definition": by("definition", **same),
            "compiled by XLA": by_xla(by("block_toeplitz", **same)),
            "whole rows": functools.partial(wide_strips, outputs=28, **same),
            "a loop over the taps": functools.partial(each_tap, **same),
        },
    )
    yield (
        "Ideas for LeNet's second layer",
        *correlations((128, 14, 14, 6), (5, 5, 6, 16)),
        {
            "the definition": by("definition"),
            "compiled by XLA": by_xla(by("block_toeplitz")),
            "whole rows": functools.partial(wide_strips, outputs=10),
            "strips of 2": functools.partial(wide_strips, outputs=2),
            "a loop over the taps": each_tap,
        },
    )
    yield (
        "Ideas for 3x3, 64 to 64 channels",
        *correlations((32, 32, 32, 64), (3, 3, 64, 64), **same),
        {
            "the definition": by("definition", **same),
            "shifted GEMM": by("shifted_gemm", **same),
        },
    )
    yield (
        "Ideas for 3x3, 16 to 16 channels",
        *correlations((32, 32, 32, 16), (3, 3, 16, 16), **same),
        {
            "the definition": by("definition", **same),
            "single outputs": functools.partial(single_outputs, **same),
            "Winograd": by("winograd", **same),
        },
    )
    yield (
        "Ideas for 3x3, stride 2",
        *correlations((32, 32, 32, 64), (3, 3, 64, 128), strides=2, **same),
        {
            "the definition": by("definition", strides=2, **same),
            "phases as channels": functools.partial(phases, correlate=by("definition")),
            "phases, by Winograd": functools.partial(phases, correlate=by("winograd")),
        },
    )
    slow = {
        "gradient by differentiation": by_differentiation,
        "a maximum over two axes": reduce_max,
    }
    for name, pool, more in (
        ("max", functional.max_pool, slow),
        ("average", functional.average_pool, {}),
    ):
        ours = functools.partial(pool, pool_size=2)
        yield (
            f"Ideas for {name} pooling 2x2, 64 channels",
            [tf.random.stateless_normal((32, 32, 32, 64), (0, 0))],
            ours,
            functools.partial(getattr(keras.ops, f"{name}_pool"), pool_size=2),
            {"compiled by XLA": by_xla(ours), **more},
        )


def _step(function: Callable[..., tf.Tensor], inputs: Sequence[tf.Tensor]) -> Run:
    """Forward and backward in a graph, as in `steps.training`."""
    upstream = tf.random.stateless_normal(function(*inputs).shape, (0, 1))

    @tf.function
    def gradients(*inputs: tf.Tensor) -> object:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return y, tape.gradient(y, inputs, upstream)

    return lambda: [gradient.numpy().ravel()[0] for gradient in gradients(*inputs)[1]]
