"""The ways to compute a correlation: which shape takes which, and how exact each is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import correlation, functional, on_tensorflow
from tests.ways import EACH_WAY, WAYS, forced


@pytest.fixture
def taken(monkeypatch):
    """The names of the ways that were taken."""
    names = []

    def watch(module, name):
        function = getattr(module, name)

        def record(*arguments):
            names.append(name)
            return function(*arguments)

        monkeypatch.setattr(module, name, record)

    watch(correlation, "correlate_rows")
    watch(correlation, "correlate_tiles")
    watch(correlation, "correlate_windows")
    watch(on_tensorflow, "correlate_shifted")
    return names


@pytest.mark.parametrize(
    ("size", "kernel", "arguments", "way"),
    [
        ((5, 64, 3), (3, 2, 3, 2), {}, "correlate_rows"),
        ((5, 62, 3), (3, 3, 3, 2), {"padding": 1}, "correlate_rows"),
        ((5, 62, 3), (3, 3, 3, 2), {"padding": 1, "strides": 2}, "correlate_rows"),
        ((12, 65, 3), (3, 2, 3, 2), {}, "correlate_shifted"),
        ((12, 63, 3), (3, 3, 3, 2), {"padding": 1}, "correlate_shifted"),
        ((12, 65, 3), (1, 1, 3, 2), {"padding": 1}, "correlate_shifted"),
        ((12, 65, 3), (3, 3, 3, 2), {"padding": 1, "padding_mode": "reflect"}, "correlate_shifted"),
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 1}, "correlate_tiles"),
        ((12, 9, 32), (3, 3, 32, 31), {"padding": 1}, "correlate_shifted"),
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 2, "dilation_rate": 2}, "correlate_shifted"),
        ((11, 11, 32), (3, 3, 32, 32), {}, "correlate_tiles"),  # 324 products in place of 729
        ((3, 7, 32), (3, 3, 32, 32), {}, "correlate_windows"),  # 72 in place of 45
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 1, "strides": 2}, "correlate_windows"),
        ((12, 65, 3), (3, 2, 3, 2), {"strides": 2}, "correlate_windows"),
        ((12, 65, 4), (3, 2, 2, 2), {"groups": 2}, "correlate_windows"),
        ((5, 65, 3), (4, 2, 3, 2), {}, "correlate_windows"),  # five rows for two of outputs
    ],
)
def test_the_shape_chooses_the_way(size, kernel, arguments, way, taken, rng):
    functional.correlate(rng.normal(size=(1, *size)), rng.normal(size=kernel), **arguments)
    assert taken == [way]


def test_integers_are_computed_by_the_definition(taken):
    x = np.arange(12 * 65 * 3, dtype="int32").reshape(1, 12, 65, 3)
    y = functional.correlate(x, np.ones((3, 3, 3, 1), "int32"))
    assert taken == ["correlate_windows"]
    assert y.dtype == "int32"
    assert int(y[0, 0, 0, 0]) == x[0, :3, :3].sum()


def gradients(x, kernel, **arguments):
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = functional.correlate(x, kernel, **arguments)
        # Weights that differ from output to output, the same in each type of number.
        weights = tf.cast(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.dtype)
        loss = tf.reduce_sum(tf.reshape(weights, y.shape) * y)
    return [np.asarray(y), *map(np.asarray, tape.gradient(loss, [x, kernel]))]


SHAPES = [
    ((8, 28, 28, 1), (5, 5, 1, 6), {"padding": "same"}),
    ((8, 14, 14, 6), (5, 5, 6, 16), {}),
    ((4, 32, 32, 64), (3, 3, 64, 64), {"padding": "same"}),
    ((4, 32, 32, 64), (3, 3, 64, 128), {"padding": "same", "strides": 2}),
    ((4, 16, 16, 256), (1, 1, 256, 64), {}),
    ((1, 40, 40, 128), (5, 5, 128, 128), {"padding": "same"}),
]


@pytest.mark.parametrize(
    ("way", "images", "kernel", "arguments"),
    # By rows, the large ones would take gigabytes.
    [(way, *shape) for way in WAYS for shape in SHAPES[: 2 if way == "rows" else None]],
)
def test_no_way_costs_accuracy(way, images, kernel, arguments, rng):
    x = rng.normal(size=images).astype("float32")
    kernel = rng.normal(size=kernel).astype("float32")
    with forced(way):
        actual = gradients(x, kernel, **arguments)
    truth = gradients(x.astype("float64"), kernel.astype("float64"), **arguments)
    for ours, exact in zip(actual, truth, strict=True):
        assert ours.dtype == "float32"
        assert np.abs(ours - exact).max() < 2e-5 * np.abs(exact).max()


@EACH_WAY
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_batch_of_unknown_size(way, jit_compile, rng):
    x, kernel = rng.normal(size=(3, 9, 8, 2)), rng.normal(size=(3, 2, 2, 4))
    expected = gradients(x, kernel, padding=1)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 9, 8, 2], "float64")], jit_compile=jit_compile
    )
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            y = functional.correlate(images, kernel, padding=1)
            weights = tf.cast(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.dtype)
            loss = tf.reduce_sum(tf.reshape(weights, tf.shape(y)) * y)
        return y, tape.gradient(loss, images)

    with forced(way):
        for actual, known in zip(run(x), expected[:2], strict=True):
            np.testing.assert_allclose(actual, known, rtol=1e-9, atol=1e-12)


@EACH_WAY
@pytest.mark.parametrize("inside", ["function", "branch", "loop"])
def test_gradients_from_outside(way, inside, rng):
    """The gradient belongs to another graph than the outputs, or to none."""
    x, kernel = (
        tf.constant(rng.normal(size=(2, 9, 8, 2))),
        tf.constant(rng.normal(size=(3, 2, 2, 4))),
    )

    def total(x):
        return tf.reduce_sum(functional.correlate(x, kernel) ** 2)

    run = {
        "function": tf.function(total),
        "branch": tf.function(
            lambda x: tf.cond(x[0, 0, 0, 0] < 9, lambda: total(x), lambda: 0.0 * x[0, 0, 0, 0])
        ),
        "loop": tf.function(
            lambda x: tf.foldl(lambda s, one: s + total(one[None]), x, tf.zeros((), x.dtype))
        ),
    }[inside]
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = total(x)
    expected = tape.gradient(loss, x)
    with forced(way), tf.GradientTape() as tape:
        tape.watch(x)
        loss = run(x)
    np.testing.assert_allclose(tape.gradient(loss, x), expected, rtol=1e-9, atol=1e-9)


@EACH_WAY
def test_second_derivatives(way, rng):
    """A penalty on the gradient of the input, by our correlation and by TensorFlow's."""
    x, kernel = (
        tf.constant(rng.normal(size=(2, 6, 7, 2))),
        tf.constant(rng.normal(size=(3, 2, 2, 3))),
    )

    def penalty_gradients(correlate):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(correlate(x, kernel)))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, [x, kernel])

    with forced(way):
        actual = penalty_gradients(functional.correlate)
    expected = penalty_gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "VALID"))
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_the_points_of_the_tiles_keep_the_error_small(monkeypatch, rng):
    x, kernel = rng.normal(size=(4, 18, 18, 256)), rng.normal(size=(3, 3, 256, 64))
    exact = np.asarray(correlation.correlate_windows(x, kernel))

    def error():
        y = correlation.correlate_tiles(x.astype("float32"), kernel.astype("float32"))
        return np.abs(y - exact).max() / np.abs(exact).max()

    ours = error()
    monkeypatch.setattr(correlation, "_POINTS", (1, -1, 2, -2, 0))
    assert ours < 5e-6 < 2 * ours < error()


def test_a_symbolic_tensor_gets_the_shape():
    y = functional.correlate(keras.KerasTensor((None, 40, 40, 8)), np.zeros((3, 3, 8, 4)))
    assert tuple(y.shape) == (None, 38, 38, 4)
