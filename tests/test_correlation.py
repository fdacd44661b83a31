"""The ways to compute a correlation: which shape takes which, and how exact each is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import correlation, functional, on_tensorflow
from tests.ways import EACH_WAY, STRIDES, forced


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

    for name in ("pixels", "strips", "tiles", "windows"):
        watch(correlation, f"correlate_{name}")
    for name in ("shifted", "strided"):
        watch(on_tensorflow, f"correlate_{name}")
    return names


@pytest.mark.parametrize(
    ("size", "kernel", "arguments", "way"),
    [
        ((28, 28, 1), (5, 5, 1, 6), {"padding": "same"}, "correlate_strips"),
        ((14, 14, 6), (5, 5, 6, 16), {}, "correlate_strips"),
        ((9, 40, 16), (3, 2, 16, 2), {}, "correlate_strips"),  # 4 columns of 16 numbers
        ((9, 40, 17), (3, 2, 17, 2), {}, "correlate_shifted"),
        ((9, 40, 17), (3, 2, 17, 2), {"strides": 2}, "correlate_strided"),
        ((12, 65, 80), (1, 1, 80, 2), {"padding": 1}, "correlate_pixels"),
        ((12, 65, 3), (1, 1, 3, 2), {}, "correlate_pixels"),
        ((12, 65, 80), (1, 1, 80, 2), {"strides": 2}, "correlate_strided"),
        (
            (12, 65, 80),
            (3, 3, 80, 2),
            {"padding": 1, "padding_mode": "reflect"},
            "correlate_shifted",
        ),
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 1}, "correlate_tiles"),
        ((12, 9, 32), (3, 3, 32, 31), {"padding": 1}, "correlate_shifted"),
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 2, "dilation_rate": 2}, "correlate_shifted"),
        ((11, 11, 32), (3, 3, 32, 32), {}, "correlate_tiles"),  # 324 products in place of 729
        ((3, 7, 32), (3, 3, 32, 32), {}, "correlate_windows"),  # 72 in place of 45
        ((12, 9, 32), (3, 3, 32, 32), {"padding": 1, "strides": 2}, "correlate_strided"),
        ((12, 65, 4), (3, 2, 2, 2), {"groups": 2}, "correlate_windows"),
        ((5, 65, 80), (4, 2, 80, 2), {}, "correlate_windows"),  # five rows for two of outputs
    ],
)
def test_the_shape_chooses_the_way(size, kernel, arguments, way, taken, rng):
    functional.correlate(rng.normal(size=(1, *size)), rng.normal(size=kernel), **arguments)
    assert taken == [way]


def test_integers_are_computed_by_the_definition(taken):
    x = np.arange(12 * 65 * 80, dtype="int32").reshape(1, 12, 65, 80)
    y = functional.correlate(x, np.ones((3, 3, 80, 1), "int32"))
    assert taken == ["correlate_windows"]
    assert y.dtype == "int32"
    assert int(y[0, 0, 0, 0]) == x[0, :3, :3].sum()


def gradients(x, kernel, bias, **arguments):
    """Outputs, and the gradients of all that goes in."""
    inputs = [tf.convert_to_tensor(each) for each in (x, kernel, bias)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        x, kernel, bias = inputs
        y = functional.correlate(x, kernel, bias=bias, **arguments)
        # Weights that differ from output to output, the same in each type of number. Those of one
        # channel, whose sum is the bias's gradient, do not cancel each other.
        weights = tf.cast(1 + tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.dtype)
        loss = tf.reduce_sum(tf.reshape(weights, tf.shape(y)) * y)
    return [y, *tape.gradient(loss, inputs)]


SHAPES = [
    ((8, 28, 28, 1), (5, 5, 1, 6), {"padding": "same"}),
    ((8, 14, 14, 6), (5, 5, 6, 16), {}),
    ((4, 32, 32, 64), (3, 3, 64, 64), {"padding": "same"}),
    ((4, 32, 32, 64), (3, 3, 64, 128), {"padding": "same", "strides": 2}),
    ((4, 16, 16, 256), (1, 1, 256, 64), {}),
    ((1, 40, 40, 128), (5, 5, 128, 128), {"padding": "same"}),
]


@EACH_WAY
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("images", "kernel", "arguments"), SHAPES)
def test_no_way_costs_accuracy(way, graph, images, kernel, arguments, rng):
    inputs = [rng.normal(size=s).astype("float32") for s in (images, kernel, kernel[3:])]
    truth = gradients(*(each.astype("float64") for each in inputs), **arguments)
    with forced(way):
        actual = (tf.function(gradients) if graph else gradients)(*inputs, **arguments)
    for ours, exact in zip(actual, truth, strict=True):
        assert ours.dtype == "float32"
        ours, exact = np.asarray(ours), np.asarray(exact)
        assert np.abs(ours - exact).max() < 2e-5 * np.abs(exact).max()


@EACH_WAY
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_batch_of_unknown_size(way, jit_compile, rng):
    x, kernel, bias = (rng.normal(size=s) for s in ((3, 9, 8, 2), (3, 2, 2, 4), (4,)))
    arguments = {"padding": 1, "strides": STRIDES[way]}
    expected = gradients(x, kernel, bias, **arguments)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 9, 8, 2], "float64")], jit_compile=jit_compile
    )
    def run(images):
        return gradients(images, kernel, bias, **arguments)

    with forced(way):
        for actual, known in zip(run(x), expected, strict=True):
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
        return tf.reduce_sum(functional.correlate(x, kernel, strides=STRIDES[way]) ** 2)

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
def test_a_gradient_that_does_not_know_its_shape(way, rng):
    x, kernel, bias = (tf.constant(rng.normal(size=s)) for s in ((2, 9, 8, 2), (3, 2, 2, 4), (4,)))

    @tf.custom_gradient
    def forget(y):
        return y, lambda upstream: tf.compat.v1.placeholder_with_default(upstream, None)

    def total(x, kernel, bias, last):
        y = functional.correlate(x, kernel, strides=STRIDES[way], bias=bias)
        return tf.reduce_sum(last(y) ** 2)

    def run(last):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel, bias])
            loss = total(x, kernel, bias, last)
        return tape.gradient(loss, [x, kernel, bias])

    with forced(way):
        actual = tf.function(lambda: run(forget))()
    for ours, exact in zip(actual, run(tf.identity), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-9)


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
                loss = tf.reduce_sum(tf.sin(correlate(x, kernel, STRIDES[way])))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, [x, kernel])

    with forced(way):
        actual = penalty_gradients(functional.correlate)
    expected = penalty_gradients(lambda *arguments: tf.nn.conv2d(*arguments, "VALID"))
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
