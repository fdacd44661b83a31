"""Our layers against Keras's of the same arguments: forward, and backward to all that goes in."""

from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

import cnn_tf
from benchmarks.measure import Comparison, Run, compare

Shape = tuple[int, int, int, int]

# What is measured, on which images, and the ratio to reach.
CASES: list[tuple[str, Shape, str, tuple[int, ...], dict[str, object], float]] = [
    ("LeNet's first layer", (128, 28, 28, 1), "Conv2D", (6, 5), {"padding": "same"}, 1.0),
    ("LeNet's second layer", (128, 14, 14, 6), "Conv2D", (16, 5), {}, 1.0),
    ("3x3, 64 to 64 channels", (32, 32, 32, 64), "Conv2D", (64, 3), {"padding": "same"}, 1.25),
    (
        "3x3, stride 2, 64 to 128 channels",
        (32, 32, 32, 64),
        "Conv2D",
        (128, 3),
        {"padding": "same", "strides": 2},
        1.25,
    ),
    (
        "5x5, 128 to 128 channels, large",
        (1, 256, 256, 128),
        "Conv2D",
        (128, 5),
        {"padding": "same"},
        1.25,
    ),
    ("1x1, 256 to 64 channels", (32, 16, 16, 256), "Conv2D", (64, 1), {}, 1.0),
] + [
    (
        f"{kind} {window}x{window}, stride 2, {channels} channels",
        (batch, size, size, channels),
        kind,
        (window, 2),
        {},
        bound,
    )
    for kind in ("MaxPooling2D", "AveragePooling2D")
    for window, bound in ((2, 1.0), (3, 1.25))
    for batch, size, channels in ((128, 28, 6), (32, 32, 64))
]


def step(layer: keras.layers.Layer, shape: Shape, jit: bool) -> Run:
    """A function that runs the layer forward and backward, compiled and with fixed inputs."""
    layer.build(shape)
    x = tf.random.stateless_normal(shape, (0, 0))
    weights = [weight.value for weight in layer.trainable_weights]
    upstream = tf.random.stateless_normal(layer.compute_output_shape(shape), (0, 1))

    @tf.function(jit_compile=jit)
    def gradients() -> object:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, [x, *weights], upstream)

    # What is read waits for all that was started.
    return lambda: [gradient.numpy().ravel()[0] for gradient in gradients()[1]]


def run_all(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Comparison]:
    """Compare the layers of each wanted case, each compiled by XLA and not."""
    for name, shape, kind, arguments, more, bound in CASES:
        size = "x".join(map(str, shape))
        title = f"{name}: {kind} on {size}"
        if not wanted(title):
            continue
        rivals = {}
        for package, layers in (("cnn_tf", cnn_tf), ("keras", keras.layers)):
            for jit in (False, True):
                layer = getattr(layers, kind)(*arguments, **more)
                label = f"{package}.{kind}{', XLA' if jit else ''}"
                rivals[label] = step(layer, shape, jit)
        yield compare(title, rivals, rounds, bound)
